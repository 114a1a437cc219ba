// Sixteen lanes on AVX2: a vector is two registers, four products per lane are two or three instructions.
#pragma once

#include <immintrin.h>

#include "layout.h"

namespace greenlight::GREENLIGHT_ISA {

#define GL_INLINE static inline __attribute__((always_inline))

constexpr int kNarrowRows = 4, kWideRows = 4, kWideTiles = 1, kFloatNarrowRows = 6, kFloatWideRows = 6,
              kAttentionRows = 3;

struct F {
    __m256 a, b;
};
struct I {
    __m256i a, b;
};
struct Line {
    __m256i a, b;
};
// Q4: sums of two products each, in 16 bits: 32 inputs reach 16 * 15 * 127 = 30,480 at most.
struct Sum4 {
    __m256i a, b;
};
using Sum8 = I;

GL_INLINE F operator+(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
GL_INLINE F operator-(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
GL_INLINE F operator*(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
GL_INLINE F operator/(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }

// All bits set in lanes first..first+7 below n.
GL_INLINE __m256i lanes_below(int n, int first) {
    const __m256i lane = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
}

GL_INLINE F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
GL_INLINE F broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
GL_INLINE F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
GL_INLINE F load_first(const float* p, int n) {
    return {_mm256_maskload_ps(p, lanes_below(n, 0)), _mm256_maskload_ps(p + 8, lanes_below(n, 8))};
}
GL_INLINE void store(float* p, F x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
GL_INLINE void store_first(float* p, F x, int n) {
    _mm256_maskstore_ps(p, lanes_below(n, 0), x.a);
    _mm256_maskstore_ps(p + 8, lanes_below(n, 8), x.b);
}
GL_INLINE F fma(F x, F y, F z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
GL_INLINE F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
GL_INLINE F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
GL_INLINE F abs(F x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
// Of two values without sign, compared as integers: so that a NaN, the largest of them, is never lost.
GL_INLINE __m256 larger_half(__m256 a, __m256 b) {
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}
GL_INLINE F larger(F x, F y) { return {larger_half(x.a, y.a), larger_half(x.b, y.b)}; }
GL_INLINE F keep_first(F x, int n, float other) {
    const __m256 y = _mm256_set1_ps(other);
    return {_mm256_blendv_ps(y, x.a, _mm256_castsi256_ps(lanes_below(n, 0))),
            _mm256_blendv_ps(y, x.b, _mm256_castsi256_ps(lanes_below(n, 8)))};
}

GL_INLINE I round_to_int(F x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
GL_INLINE F to_float(I x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
GL_INLINE I add_int(I x, I y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
GL_INLINE F power_of_two(I n) {
    const __m256i bias = _mm256_set1_epi32(127);
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.a, bias), 23)),
            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n.b, bias), 23))};
}

GL_INLINE __m128i load_half(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
GL_INLINE F load_f16(const uint16_t* p) { return {_mm256_cvtph_ps(load_half(p)), _mm256_cvtph_ps(load_half(p + 8))}; }
GL_INLINE void store_f16(uint16_t* p, F x) {
    constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x.a, nearest));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(x.b, nearest));
}
GL_INLINE F load_bf16(const uint16_t* p) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_half(p)), 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_half(p + 8)), 16))};
}
GL_INLINE void store_i8(int8_t* p, I x) {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

// Sums and maxima fold halves: lane i with i+8, then i+4, i+2, i+1. The order is the same in every instruction set.
GL_INLINE float sum_lanes(F x) {
    const __m256 a = _mm256_add_ps(x.a, x.b);
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
GL_INLINE float max_lanes(F x) {
    const __m256 a = _mm256_max_ps(x.a, x.b);
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

// Eight registers folded to one whose lane i is v[i]'s largest or sum: halves, pairs, neighbours.
template <class Fold>
GL_INLINE __m256 fold_eight(const __m256* v, const Fold& fold) {
    __m256 halves[4];
    for (int p = 0; p < 4; ++p) {
        halves[p] = fold(_mm256_permute2f128_ps(v[p], v[4 + p], 0x20), _mm256_permute2f128_ps(v[p], v[4 + p], 0x31));
    }
    const auto pairs = [&](__m256 a, __m256 b) {
        const __m256d x = _mm256_castps_pd(a), y = _mm256_castps_pd(b);
        return fold(_mm256_castpd_ps(_mm256_unpacklo_pd(x, y)), _mm256_castpd_ps(_mm256_unpackhi_pd(x, y)));
    };
    const __m256 a = pairs(halves[0], halves[1]), b = pairs(halves[2], halves[3]);
    return fold(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
}
template <class Fold>
GL_INLINE F fold_each(const F* v, const Fold& fold) {
    __m256 folded[kLanes];
    for (int i = 0; i < kLanes; ++i) folded[i] = fold(v[i].a, v[i].b);
    return {fold_eight(folded, fold), fold_eight(folded + 8, fold)};
}
GL_INLINE F larger_of_each(const F* v) {
    return fold_each(v, [](__m256 a, __m256 b) { return larger_half(a, b); });
}
GL_INLINE I sum_of_each(const I* v) {
    const auto add = [](__m256 a, __m256 b) {
        return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
    };
    F lanes[kLanes];
    for (int i = 0; i < kLanes; ++i) lanes[i] = {_mm256_castsi256_ps(v[i].a), _mm256_castsi256_ps(v[i].b)};
    const F x = fold_each(lanes, add);
    return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)};
}

GL_INLINE Line load_line(const uint8_t* p) {
    const __m256i* lines = reinterpret_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(lines), _mm256_loadu_si256(lines + 1)};
}
GL_INLINE void store_line(uint8_t* p, Line x) {
    __m256i* lines = reinterpret_cast<__m256i*>(p);
    _mm256_storeu_si256(lines, x.a);
    _mm256_storeu_si256(lines + 1, x.b);
}
GL_INLINE Line low_nibbles(Line x) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
}
GL_INLINE Line high_nibbles(Line x) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(_mm256_srli_epi16(x.a, 4), mask), _mm256_and_si256(_mm256_srli_epi16(x.b, 4), mask)};
}
// Bits of 16-bit words move down (or up, for n below 0); what crosses from a byte to its neighbour is to be masked.
template <int n>
GL_INLINE Line shifted(Line x) {
    if constexpr (n >= 0) return {_mm256_srli_epi16(x.a, n), _mm256_srli_epi16(x.b, n)};
    else return {_mm256_slli_epi16(x.a, -n), _mm256_slli_epi16(x.b, -n)};
}
GL_INLINE Line masked(Line x, int mask) {
    const __m256i y = _mm256_set1_epi8(static_cast<char>(mask));
    return {_mm256_and_si256(x.a, y), _mm256_and_si256(x.b, y)};
}
GL_INLINE Line either(Line x, Line y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
GL_INLINE Line plus(Line x, int n) {
    const __m256i y = _mm256_set1_epi8(static_cast<char>(n));
    return {_mm256_add_epi8(x.a, y), _mm256_add_epi8(x.b, y)};
}
// Bytes below 16 name one of 16 entries.
GL_INLINE Line lookup(const uint8_t* table, Line x) {
    const __m256i entries = _mm256_broadcastsi128_si256(load_half(table));
    return {_mm256_shuffle_epi8(entries, x.a), _mm256_shuffle_epi8(entries, x.b)};
}
GL_INLINE F load_i8(const int8_t* p) {
    const __m128i bytes = load_half(p);
    return to_float({_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))});
}
// 2^(e - 128) of 16 bytes, the subnormal ones too; infinite for 255.
GL_INLINE __m256 half_powers_of(__m128i bytes) {
    const __m256i bits = _mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 23);
    const __m256 powers = _mm256_castsi256_ps(_mm256_max_epi32(bits, _mm256_set1_epi32(0x00400000)));
    return _mm256_mul_ps(powers, _mm256_set1_ps(0.5f));
}
GL_INLINE F half_powers(const uint8_t* p) {
    const __m128i bytes = load_half(p);
    return {half_powers_of(bytes), half_powers_of(_mm_srli_si128(bytes, 8))};
}

// The offset joins at the end, where sums have 32 bits.
GL_INLINE Sum4 begin4(const int32_t*) { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
// Adds a product now. Left alone, GCC 12 computes all products of a block first, and has registers for an eighth of
// them.
GL_INLINE void add_now16(__m256i& sum, __m256i product) {
    sum = _mm256_add_epi16(sum, product);
    asm volatile("" : "+x"(sum));
}
GL_INLINE void add_now32(__m256i& sum, __m256i product) {
    sum = _mm256_add_epi32(sum, product);
    asm volatile("" : "+x"(sum));
}
GL_INLINE Sum4 dot4(Sum4 sum, Line weights, const int32_t* four) {
    const __m256i x = _mm256_set1_epi32(*four);
    add_now16(sum.a, _mm256_maddubs_epi16(weights.a, x));
    add_now16(sum.b, _mm256_maddubs_epi16(weights.b, x));
    return sum;
}
GL_INLINE I end4(Sum4 sum, const int32_t* offset) {
    const __m256i ones = _mm256_set1_epi16(1), start = _mm256_set1_epi32(*offset);
    return {_mm256_add_epi32(_mm256_madd_epi16(sum.a, ones), start),
            _mm256_add_epi32(_mm256_madd_epi16(sum.b, ones), start)};
}

// 255 * 127 * 2 does not fit 16 bits, so Q8 goes by magnitude and sign, and needs no offset: |w| * (x with w's sign).
GL_INLINE Sum8 begin8(const int32_t*) { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
GL_INLINE __m256i dot8_half(__m256i stored, __m256i x) {
    const __m256i w = _mm256_xor_si256(stored, _mm256_set1_epi8(-128));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_sign_epi8(w, w), _mm256_sign_epi8(x, w));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
GL_INLINE Sum8 dot8(Sum8 sum, Line weights, const int32_t* four) {
    const __m256i x = _mm256_set1_epi32(*four);
    add_now32(sum.a, dot8_half(weights.a, x));
    add_now32(sum.b, dot8_half(weights.b, x));
    return sum;
}
GL_INLINE I end8(Sum8 sum, const int32_t*) { return sum; }

}  // namespace greenlight::GREENLIGHT_ISA
