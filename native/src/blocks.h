// Which codes and scales does a block of a file hold? The quantised types beyond Q4_0, Q4_1 and Q8_0.
//
// Blocks as files have them, with the number of bytes of each part (ggml-org/ggml src/ggml-common.h); d and dmin are f16:
//
//   Q4_0     | d 2 | nibbles 16 |                                                   18 bytes for 32 inputs
//   Q4_1     | d 2 | minimum 2 | nibbles 16 |                                       20
//   Q8_0     | d 2 | int8 32 |                                                      34
//   Q5_0     | d 2 | fifth bits 4 | nibbles 16 |                                    22
//   Q5_1     | d 2 | minimum 2 | fifth bits 4 | nibbles 16 |                        24
//   IQ4_NL   | d 2 | nibbles 16 |                                                   18
//   MXFP4    | exponent 1 | nibbles 16 |                                            17
//   Q2_K     | 4-bit scales and minima 16 | pairs 64 | d 2 | dmin 2 |               84 bytes for 256 inputs
//   Q3_K     | third bits 32 | pairs 64 | 6-bit scales 12 | d 2 |                   110
//   Q4_K     | d 2 | dmin 2 | 6-bit scales and minima 12 | nibbles 128 |            144
//   Q5_K     | d 2 | dmin 2 | 6-bit scales and minima 12 | fifth bits 32 | nibbles 128 |   176
//   Q6_K     | nibbles 128 | pairs 64 | int8 scales 16 | d 2 |                      210
//   IQ4_XS   | d 2 | scales' high bits 2 | scales' nibbles 4 | nibbles 128 |        136
//
// Static on purpose, as in half.h.
#pragma once

#include "half.h"
#include "layout.h"

namespace greenlight {

// Up to 256 codes as the file has them, without sign; factors of all of them; scales and minima of each run of `run`.
struct BlockCodes {
    uint8_t codes[256];
    int8_t scales[16], minima[16];
    uint16_t d, dmin;
    int run;
};

static constexpr int8_t kUneven[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static constexpr int8_t kTwiceE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// What is taken from a code to get its value; kinds that name entries of a table have none.
static constexpr int code_offset(Kind kind) {
    if (kind == Kind::Q5_0) return 16;
    if (kind == Kind::Q3_K) return 4;
    return kind == Kind::Q6_K ? 32 : 0;
}

static inline uint16_t half_at(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }

// Runs of `run` bytes hold their codes from the lowest bits up: those of `bits` bits each, `from` bit `at` of the code.
static inline void add_bits(const uint8_t* packed, int n_bytes, int run, int bits, int at, uint8_t* codes) {
    const int mask = (1 << bits) - 1;
    for (int first = 0; first < n_bytes; first += run) {
        for (int shift = 0; shift < 8; shift += bits, codes += run) {
            for (int i = 0; i < run; ++i)
                codes[i] = static_cast<uint8_t>(codes[i] | (packed[first + i] >> shift & mask) << at);
        }
    }
}

static inline void add_fifth_bits(const uint8_t* packed, uint8_t* codes) {
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(codes[i] | (packed[i / 8] >> i % 8 & 1) << 4);
}

// Eight scales and eight minima of six bits each in twelve bytes.
static inline void six_bits(const uint8_t* p, BlockCodes& out) {
    for (int i = 0; i < 4; ++i) {
        out.scales[i] = static_cast<int8_t>(p[i] & 63);
        out.minima[i] = static_cast<int8_t>(p[i + 4] & 63);
        out.scales[i + 4] = static_cast<int8_t>((p[i + 8] & 15) | (p[i] >> 6) << 4);
        out.minima[i + 4] = static_cast<int8_t>(p[i + 8] >> 4 | (p[i + 4] >> 6) << 4);
    }
}

static inline void read_q3_scales(const uint8_t* p, BlockCodes& out) {
    uint8_t scales[16] = {};
    add_bits(p, 8, 8, 4, 0, scales);
    add_bits(p + 8, 4, 4, 2, 4, scales);
    for (int i = 0; i < 16; ++i) out.scales[i] = static_cast<int8_t>(scales[i] - 32);
}

static inline void read_iq4_xs_scales(const uint8_t* p, BlockCodes& out) {
    for (int i = 0; i < 8; ++i) {
        const int low = p[4 + i / 2] >> 4 * (i % 2) & 15, high = p[2 + i / 4] >> 2 * (i % 4) & 3;
        out.scales[i] = static_cast<int8_t>((low | high << 4) - 32);
    }
}

// `codes` start as zeros.
static inline void read_codes(Kind kind, const uint8_t* p, BlockCodes& out) {
    switch (kind) {
        case Kind::Q5_0:
        case Kind::Q5_1:
            add_fifth_bits(p + (kind == Kind::Q5_0 ? 2 : 4), out.codes);
            return add_bits(p + (kind == Kind::Q5_0 ? 6 : 8), 16, 16, 4, 0, out.codes);
        case Kind::IQ4_NL: return add_bits(p + 2, 16, 16, 4, 0, out.codes);
        case Kind::MXFP4: return add_bits(p + 1, 16, 16, 4, 0, out.codes);
        case Kind::IQ4_XS: return add_bits(p + 8, 128, 16, 4, 0, out.codes);
        case Kind::Q2_K: return add_bits(p + 16, 64, 32, 2, 0, out.codes);
        case Kind::Q3_K:
            add_bits(p, 32, 32, 1, 2, out.codes);
            return add_bits(p + 32, 64, 32, 2, 0, out.codes);
        case Kind::Q4_K: return add_bits(p + 16, 128, 32, 4, 0, out.codes);
        case Kind::Q5_K:
            add_bits(p + 16, 32, 32, 1, 4, out.codes);
            return add_bits(p + 48, 128, 32, 4, 0, out.codes);
        default:
            add_bits(p, 128, 64, 4, 0, out.codes);
            return add_bits(p + 128, 64, 32, 2, 4, out.codes);
    }
}

static inline void read_scales(Kind kind, const uint8_t* p, BlockCodes& out) {
    out.run = has_halves(kind) ? 16 : 32;
    out.d = half_at(p);
    out.dmin = half_at(p + 2);
    if (kind == Kind::Q4_K || kind == Kind::Q5_K) return six_bits(p + 4, out);
    if (kind == Kind::IQ4_XS) return read_iq4_xs_scales(p, out);
    if (kind == Kind::Q6_K) {
        out.d = half_at(p + 208);
        for (int i = 0; i < 16; ++i) out.scales[i] = static_cast<int8_t>(p[192 + i]);
    } else if (kind == Kind::Q3_K) {
        out.d = half_at(p + 108);
        read_q3_scales(p + 96, out);
    } else if (kind == Kind::Q2_K) {
        out.d = half_at(p + 80);
        out.dmin = half_at(p + 82);
        for (int i = 0; i < 16; ++i) {
            out.scales[i] = static_cast<int8_t>(p[i] & 15);
            out.minima[i] = static_cast<int8_t>(p[i] >> 4);
        }
    }
}

static inline void read_block(Kind kind, const uint8_t* block, BlockCodes& out) {
    __builtin_memset(out.codes, 0, sizeof out.codes);
    read_codes(kind, block, out);
    read_scales(kind, block, out);
}

// 2^(e - 128), subnormal at the low end.
static inline float half_power(uint8_t e) {
    return bits_to_float(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23);
}

// The values of one block, times `scale`; each product and difference is rounded once.
static inline void block_values(Kind kind, const uint8_t* block, float scale, float* out) {
    BlockCodes found;
    read_block(kind, block, found);
    const int n = shape_of(kind).inputs;
    const bool table = kind == Kind::IQ4_NL || kind == Kind::IQ4_XS || kind == Kind::MXFP4;
    const int8_t* entries = kind == Kind::MXFP4 ? kTwiceE2M1 : kUneven;
    const float d = kind == Kind::MXFP4 ? half_power(block[0]) : f16_to_f32(found.d), dmin = f16_to_f32(found.dmin);
    for (int i = 0; i < n; ++i) {
        const int run = i / found.run;
        const float step = n == 256 ? d * static_cast<float>(found.scales[run]) : d;
        const int code = table ? entries[found.codes[i]] : found.codes[i] - code_offset(kind);
        float value = step * static_cast<float>(code);
        if (has_dmin(kind)) value = value - dmin * static_cast<float>(found.minima[run]);
        if (kind == Kind::Q5_1) value = value + dmin;
        out[i] = value * scale;
    }
}

}  // namespace greenlight
