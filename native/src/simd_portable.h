// Sixteen lanes in the compiler's own vectors: it makes of them what the baseline of the machine allows.
#pragma once

#include "half.h"
#include "layout.h"

namespace greenlight::GREENLIGHT_ISA {

#define GL_INLINE static inline __attribute__((always_inline))

constexpr int kNarrowRows = 1, kWideRows = 1, kWideTiles = 1, kFloatNarrowRows = 1, kFloatWideRows = 1,
              kAttentionRows = 1;

typedef float F __attribute__((vector_size(64)));
typedef int32_t I __attribute__((vector_size(64)));
// Sums that what a NaN has become may overflow wrap around, as registers do.
typedef uint32_t U __attribute__((vector_size(64)));
struct Line {
    uint8_t bytes[64];
};
using Sum4 = I;
using Sum8 = I;

GL_INLINE F zero() { return F{}; }
GL_INLINE F broadcast(float x) { return F{} + x; }
GL_INLINE F load(const float* p) {
    F x;
    __builtin_memcpy(&x, p, 64);
    return x;
}
GL_INLINE F load_first(const float* p, int n) {
    F x{};
    for (int i = 0; i < n && i < kLanes; ++i) x[i] = p[i];
    return x;
}
GL_INLINE void store(float* p, F x) { __builtin_memcpy(p, &x, 64); }
GL_INLINE void store_first(float* p, F x, int n) {
    for (int i = 0; i < n && i < kLanes; ++i) p[i] = x[i];
}
GL_INLINE F fma(F a, F b, F c) {
    F x;
    for (int i = 0; i < kLanes; ++i) x[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return x;
}
GL_INLINE F max(F a, F b) { return a > b ? a : b; }
GL_INLINE F min(F a, F b) { return a < b ? a : b; }
GL_INLINE F abs(F a) { return __builtin_bit_cast(F, __builtin_bit_cast(I, a) & 0x7fffffff); }
// Of two values without sign, compared as integers: so that a NaN, the largest of them, is never lost.
GL_INLINE F larger(F a, F b) {
    const I x = __builtin_bit_cast(I, a), y = __builtin_bit_cast(I, b);
    return __builtin_bit_cast(F, x > y ? x : y);
}
GL_INLINE F keep_first(F x, int n, float other) {
    for (int i = n; i < kLanes; ++i) x[i] = other;
    return x;
}

GL_INLINE I round_to_int(F x) {
    // Above 2^23 floats are whole: adding 1.5 * 2^23 and taking it away rounds to nearest, ties to even.
    const F whole = (x + 12582912.0f) - 12582912.0f;
    return __builtin_convertvector(whole, I);
}
GL_INLINE F to_float(I x) { return __builtin_convertvector(x, F); }
GL_INLINE I add_int(I a, I b) { return (I)((U)a + (U)b); }
GL_INLINE F power_of_two(I n) { return __builtin_bit_cast(F, (n + 127) << 23); }

// A file's rows may begin at any byte.
struct Halves {
    uint16_t of[kLanes];
};
GL_INLINE Halves halves_at(const uint16_t* p) {
    Halves halves;
    __builtin_memcpy(&halves, p, sizeof(halves));
    return halves;
}
GL_INLINE F load_f16(const uint16_t* p) {
    const Halves halves = halves_at(p);
    F x;
    for (int i = 0; i < kLanes; ++i) x[i] = f16_to_f32(halves.of[i]);
    return x;
}
GL_INLINE void store_f16(uint16_t* p, F x) {
    for (int i = 0; i < kLanes; ++i) p[i] = f32_to_f16(x[i]);
}
GL_INLINE F load_bf16(const uint16_t* p) {
    const Halves halves = halves_at(p);
    F x;
    for (int i = 0; i < kLanes; ++i) x[i] = bf16_to_f32(halves.of[i]);
    return x;
}
GL_INLINE void store_i8(int8_t* p, I x) {
    for (int i = 0; i < kLanes; ++i) p[i] = static_cast<int8_t>(x[i] > 127 ? 127 : x[i] < -128 ? -128 : x[i]);
}

// Sums and maxima fold halves: lane i with i+8, then i+4, i+2, i+1. The order is the same in every instruction set.
GL_INLINE float sum_lanes(F x) {
    for (int width = 8; width; width /= 2) {
        for (int i = 0; i < width; ++i) x[i] = x[i] + x[i + width];
    }
    return x[0];
}
GL_INLINE float max_lanes(F x) {
    for (int width = 8; width; width /= 2) {
        for (int i = 0; i < width; ++i) x[i] = x[i] > x[i + width] ? x[i] : x[i + width];
    }
    return x[0];
}
// Sixteen vectors folded to one whose lane i is v[i]'s largest or sum.
GL_INLINE F larger_of_each(const F* v) {
    F x{};
    for (int i = 0; i < kLanes; ++i) {
        F folded = v[i];
        for (int width = 8; width; width /= 2) {
            F upper{};
            for (int j = 0; j < width; ++j) upper[j] = folded[j + width];
            folded = larger(folded, upper);
        }
        x[i] = folded[0];
    }
    return x;
}
GL_INLINE I sum_of_each(const I* v) {
    U x{};
    for (int i = 0; i < kLanes; ++i) {
        for (int j = 0; j < kLanes; ++j) x[i] += static_cast<uint32_t>(v[i][j]);
    }
    return (I)x;
}

GL_INLINE Line load_line(const uint8_t* p) {
    Line x;
    __builtin_memcpy(&x, p, 64);
    return x;
}
GL_INLINE void store_line(uint8_t* p, Line x) { __builtin_memcpy(p, &x, 64); }
GL_INLINE Line low_nibbles(Line x) {
    for (uint8_t& byte : x.bytes) byte &= 15;
    return x;
}
GL_INLINE Line high_nibbles(Line x) {
    for (uint8_t& byte : x.bytes) byte >>= 4;
    return x;
}
// Bits of bytes move down (or up, for n below 0).
template <int n>
GL_INLINE Line shifted(Line x) {
    for (uint8_t& byte : x.bytes) {
        if constexpr (n >= 0) byte = static_cast<uint8_t>(byte >> n);
        else byte = static_cast<uint8_t>(byte << -n);
    }
    return x;
}
GL_INLINE Line masked(Line x, int mask) {
    for (uint8_t& byte : x.bytes) byte = static_cast<uint8_t>(byte & mask);
    return x;
}
GL_INLINE Line either(Line x, Line y) {
    for (int i = 0; i < 64; ++i) x.bytes[i] = static_cast<uint8_t>(x.bytes[i] | y.bytes[i]);
    return x;
}
GL_INLINE Line plus(Line x, int n) {
    for (uint8_t& byte : x.bytes) byte = static_cast<uint8_t>(byte + n);
    return x;
}
// Bytes below 16 name one of 16 entries.
GL_INLINE Line lookup(const uint8_t* table, Line x) {
    for (uint8_t& byte : x.bytes) byte = table[byte & 15];
    return x;
}
GL_INLINE F load_i8(const int8_t* p) {
    F x;
    for (int i = 0; i < kLanes; ++i) x[i] = p[i];
    return x;
}
// 2^(e - 128) of 16 bytes, the subnormal ones too; infinite for 255.
GL_INLINE F half_powers(const uint8_t* p) {
    I bits;
    for (int i = 0; i < kLanes; ++i) bits[i] = p[i] ? static_cast<int32_t>(uint32_t{p[i]} << 23) : 0x00400000;
    return __builtin_bit_cast(F, bits) * 0.5f;
}

// The running sum begins at `offset`; `end` returns it as 16 integers.
GL_INLINE Sum4 begin4(const int32_t* offset) { return I{} + *offset; }
GL_INLINE Sum4 dot4(Sum4 sum, Line weights, const int32_t* four) {
    int8_t x[4];
    __builtin_memcpy(x, four, 4);
    for (int i = 0; i < kLanes; ++i) {
        const uint8_t* w = weights.bytes + 4 * i;
        sum[i] += w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3];
    }
    return sum;
}
GL_INLINE I end4(Sum4 sum, const int32_t*) { return sum; }
GL_INLINE Sum8 begin8(const int32_t* offset) { return begin4(offset); }
GL_INLINE Sum8 dot8(Sum8 sum, Line weights, const int32_t* four) { return dot4(sum, weights, four); }
GL_INLINE I end8(Sum8 sum, const int32_t*) { return sum; }

}  // namespace greenlight::GREENLIGHT_ISA
