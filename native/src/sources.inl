// Where do 32 inputs of a tile come from? A source for each kind of weights: its lines of codes, scales and minima.
#pragma once

#include "blocks.h"
#include "lanes.inl"

namespace greenlight::GREENLIGHT_ISA {

GL_INLINE F load_halves(const uint8_t* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }

// How far ahead a stream of weights asks for memory. The hardware's own prefetchers stop at each 4 KB page and need a
// few lines to start again: this is worth 15 % at one row, 40 % at four. A step of 32 inputs takes about as long for
// each kind, so memory has the same time for all when so many steps lie between: with 4 KB, as for Q4_0, Q8_0 was 6 %
// slower.
constexpr int kStepsAhead = 15;
// Of floats, in bytes.
constexpr int kAhead = 4096;

GL_INLINE void prefetch(const uint8_t* p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 3);
}
template <class Source>
GL_INLINE void prefetch_step(const uint8_t* tile) {
    prefetch(tile + kStepsAhead * Source::step, Source::step);
}

// A source says where a kernel reads 32 inputs of a tile from. lines(j): inputs 4j..4j+3 and 16+4j..16+4j+3 of 16 rows.
// `head` is what comes before every eighth step, where a kind has that. Stored codes have `offset` added to them: none,
// 8 or 128; the panel's word at that place begins the integer sum, and takes it off again.

// Q4_0 and Q4_1:
//
//              row 0                row 1               row 15
//   line 0   | 4 bytes            | 4 bytes |   ...   | 4 bytes |   low nibbles: inputs 0-3, high: 16-19
//   line 1   |                    |         |         |         |   4-7, 20-23
//   line 2   |                    |         |         |         |   8-11, 24-27
//   line 3   |                    |         |         |         |   12-15, 28-31
//   byte 256 | 16 scales, f16     |
//   byte 288 | 16 minima, f16     |   Q4_1 alone
template <bool has_minimum>
struct PackedQ4 {
    static constexpr bool wide_range = false, minimum = has_minimum, halves = false;
    static constexpr size_t step = has_minimum ? 320 : 288, header = 0;
    static constexpr int offset = has_minimum ? -1 : static_cast<int>(kOffset8);
    template <int j>
    GL_INLINE void lines(const uint8_t* block, Index<j>, Line& low, Line& high) {
        const Line line = load_line(block + 64 * j);
        low = low_nibbles(line);
        high = high_nibbles(line);
    }
    GL_INLINE F scales(const uint8_t* block, const uint8_t*, int) { return load_halves(block + 256); }
    GL_INLINE F minima(const uint8_t* block, const uint8_t*, int) { return load_halves(block + 288); }
};

// Q8_0:
//
//   line 0   | 4 bytes of row 0 | row 1 |  ...  | row 15 |   inputs 0-3, stored + 128
//     ...                                                    line j: inputs 4j to 4j + 3
//   line 7   |                                           |   inputs 28-31
//   byte 512 | 16 scales, f16   |
struct PackedQ8 {
    static constexpr bool wide_range = true, minimum = false, halves = false;
    static constexpr size_t step = 544, header = 0;
    static constexpr int offset = kOffset128;
    template <int j>
    GL_INLINE void lines(const uint8_t* block, Index<j>, Line& low, Line& high) {
        low = load_line(block + 64 * j);
        high = load_line(block + 64 * (j + 4));
    }
    GL_INLINE F scales(const uint8_t* block, const uint8_t*, int) { return load_halves(block + 512); }
    GL_INLINE F minima(const uint8_t*, const uint8_t*, int) { return zero(); }
};

// Entries of a table, stored + 128, as `lookup` wants them.
struct alignas(16) StoredEntries {
    uint8_t bytes[16];
    constexpr explicit StoredEntries(const int8_t (&entries)[16]) : bytes{} {
        for (int i = 0; i < 16; ++i) bytes[i] = static_cast<uint8_t>(entries[i] + 128);
    }
};
static constexpr StoredEntries kStoredUneven{kUneven}, kStoredE2M1{kTwiceE2M1};

// Bit j of each byte of a line, moved to bit `to`.
template <int j, int to>
GL_INLINE Line bit(Line bits) {
    return masked(shifted<j - to>(bits), 1 << to);
}
// Bits 2j and 2j+1 of each byte of a line, moved to bit `to`.
template <int j, int to>
GL_INLINE Line pair(Line pairs) {
    return masked(shifted<2 * j - to>(pairs), 3 << to);
}

// The kinds whose codes take more work, stored + 128; Q4_K as it is. A line is [16 rows][4 bytes] again. What its byte
// i of a row holds, the highest bits first:
//
//   nibbles, line j of 4   |       16+4j+i       |        4j+i         |   the input whose low four bits stand there
//   pairs, line h of 2     | 16h+12+i | 16h+8+i  | 16h+4+i  |  16h+i   |   the input whose two bits (of Q6_K: 4 and 5)
//   bits, one line         |28+i|24+i|20+i|16+i  |12+i|8+i |4+i | i    |   the input whose highest bit
//
//   kind       before 8 steps   a step: lines                 then, of 16 rows
//   Q5_0, Q5_1                  | nibbles 4 | bits 1 |         | f16 scales | Q5_1: f16 minima |
//   IQ4_NL                      | nibbles 4 |                  | f16 scales |
//   MXFP4                       | nibbles 4 |                  | exponents, a byte each |
//   Q2_K       | d | dmin |     | pairs 2 |                    | int8 scales, first half | second half | minima, both |
//   Q3_K       | d |            | pairs 2 | bits 1 |           | int8 scales, first half | second half |
//   Q4_K       | d | dmin |     | nibbles 4 |                  | int8 scales | int8 minima |
//   Q5_K       | d | dmin |     | nibbles 4 | bits 1 |         | int8 scales | int8 minima |
//   Q6_K       | d |            | nibbles 4 | pairs 2 |        | int8 scales, first half | second half |
//   IQ4_XS     | d |            | nibbles 4 |                  | int8 scales |
//
// d and dmin: 16 f16 factors of these scales and minima. MXFP4 and IQ4 codes are entries of the tables above.
template <Kind kind>
struct Compact {
    static constexpr bool wide_range = kind != Kind::Q4_K, halves = has_halves(kind);
    static constexpr bool minimum = kind == Kind::Q5_1 || has_dmin(kind);
    static constexpr size_t step = shape_of(kind).step, header = shape_of(kind).header;
    static constexpr int offset = kind == Kind::Q4_K ? -1 : static_cast<int>(kOffset128);

    template <int j>
    GL_INLINE void lines(const uint8_t* block, Index<j>, Line& low, Line& high) {
        if constexpr (kind == Kind::Q2_K || kind == Kind::Q3_K) {
            low = pair<j, 0>(load_line(block));
            high = pair<j, 0>(load_line(block + 64));
            if constexpr (kind == Kind::Q3_K) {
                const Line third = load_line(block + 128);
                low = either(low, bit<j, 2>(third));
                high = either(high, bit<j + 4, 2>(third));
            }
        } else {
            const Line line = load_line(block + 64 * j);
            low = low_nibbles(line);
            high = high_nibbles(line);
            if constexpr (kind == Kind::Q5_0 || kind == Kind::Q5_1 || kind == Kind::Q5_K) {
                const Line fifth = load_line(block + 256);
                low = either(low, bit<j, 4>(fifth));
                high = either(high, bit<j + 4, 4>(fifth));
            } else if constexpr (kind == Kind::Q6_K) {
                low = either(low, pair<j, 4>(load_line(block + 256)));
                high = either(high, pair<j, 4>(load_line(block + 320)));
            }
        }
        low = stored(low);
        high = stored(high);
    }
    GL_INLINE Line stored(Line codes) {
        if constexpr (kind == Kind::IQ4_NL || kind == Kind::IQ4_XS) return lookup(kStoredUneven.bytes, codes);
        if constexpr (kind == Kind::MXFP4) return lookup(kStoredE2M1.bytes, codes);
        if constexpr (kind == Kind::Q4_K) return codes;
        return plus(codes, 128 - code_offset(kind));
    }

    static constexpr size_t at = code_bytes(kind);
    // Products of a 16-bit float and a small integer: exact.
    GL_INLINE F scales(const uint8_t* block, const uint8_t* head, int half) {
        // 255, which the format keeps for "not a number", counts as the exponent above 254, as in ggml.
        if constexpr (kind == Kind::MXFP4) return min(half_powers(block + at), broadcast(0x1p127f));
        if constexpr (!header) return load_halves(block + at);
        return load_halves(head) * load_i8(reinterpret_cast<const int8_t*>(block + at + 16 * half));
    }
    GL_INLINE F minima(const uint8_t* block, const uint8_t* head, int half) {
        if constexpr (kind == Kind::Q5_1) return load_halves(block + at + 32);
        const size_t first = at + (halves ? 32 : 16);
        return zero() - load_halves(head + 32) * load_i8(reinterpret_cast<const int8_t*>(block + first + 16 * half));
    }
};

// Calls fn(Source{}) with where tiles of a kind are read from.
template <class Fn>
GL_INLINE auto with_source(Kind kind, const Fn& fn) {
    switch (kind) {
        case Kind::Q4_0: return fn(PackedQ4<false>{});
        case Kind::Q4_1: return fn(PackedQ4<true>{});
        case Kind::Q5_0: return fn(Compact<Kind::Q5_0>{});
        case Kind::Q5_1: return fn(Compact<Kind::Q5_1>{});
        case Kind::IQ4_NL: return fn(Compact<Kind::IQ4_NL>{});
        case Kind::MXFP4: return fn(Compact<Kind::MXFP4>{});
        case Kind::Q2_K: return fn(Compact<Kind::Q2_K>{});
        case Kind::Q3_K: return fn(Compact<Kind::Q3_K>{});
        case Kind::Q4_K: return fn(Compact<Kind::Q4_K>{});
        case Kind::Q5_K: return fn(Compact<Kind::Q5_K>{});
        case Kind::Q6_K: return fn(Compact<Kind::Q6_K>{});
        case Kind::IQ4_XS: return fn(Compact<Kind::IQ4_XS>{});
        default: return fn(PackedQ8{});
    }
}

}  // namespace greenlight::GREENLIGHT_ISA
