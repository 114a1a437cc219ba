// Sixteen lanes on AVX-512 with VNNI: a vector is one register, four products per lane are one instruction.
#pragma once

#include <immintrin.h>

#include "layout.h"

namespace greenlight::GREENLIGHT_ISA {

#define GL_INLINE static inline __attribute__((always_inline))

constexpr int kNarrowRows = 12, kWideRows = 6, kWideTiles = 2, kFloatNarrowRows = 6, kFloatWideRows = 8,
              kAttentionRows = 8;

using F = __m512;
using I = __m512i;
using Line = __m512i;
using Sum4 = __m512i;
using Sum8 = __m512i;

GL_INLINE __mmask16 first_lanes(int n) { return n >= kLanes ? 0xffff : static_cast<__mmask16>((1u << n) - 1); }

GL_INLINE F zero() { return _mm512_setzero_ps(); }
GL_INLINE F broadcast(float x) { return _mm512_set1_ps(x); }
GL_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
GL_INLINE F load_first(const float* p, int n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
GL_INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
GL_INLINE void store_first(float* p, F x, int n) { _mm512_mask_storeu_ps(p, first_lanes(n), x); }
GL_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
GL_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
GL_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
GL_INLINE F abs(F a) { return _mm512_abs_ps(a); }
// Of two values without sign, compared as integers: so that a NaN, the largest of them, is never lost.
GL_INLINE F larger(F a, F b) {
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}
GL_INLINE F keep_first(F x, int n, float other) { return _mm512_mask_mov_ps(broadcast(other), first_lanes(n), x); }

GL_INLINE I round_to_int(F x) { return _mm512_cvtps_epi32(x); }
GL_INLINE F to_float(I x) { return _mm512_cvtepi32_ps(x); }
GL_INLINE I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
GL_INLINE F power_of_two(I n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(127)), 23));
}

GL_INLINE F load_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
GL_INLINE void store_f16(uint16_t* p, F x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
GL_INLINE F load_bf16(const uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
GL_INLINE F load_i8(const int8_t* p) {
    return to_float(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
GL_INLINE void store_i8(int8_t* p, I x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(x)); }

// Sums and maxima fold halves: lane i with i+8, then i+4, i+2, i+1. The order is the same in every instruction set.
GL_INLINE float sum_lanes(F x) {
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
GL_INLINE float max_lanes(F x) {
    const __m256 a = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

// Sixteen vectors folded to one whose lane i is v[i]'s largest or sum: halves, quarters, pairs, neighbours.
template <class Fold>
GL_INLINE F fold_each(const F* v, const Fold& fold) {
    F quarters[4];
    for (int p = 0; p < 4; ++p) {
        const F a = fold(_mm512_shuffle_f32x4(v[p], v[4 + p], 0x44), _mm512_shuffle_f32x4(v[p], v[4 + p], 0xee));
        const F b =
            fold(_mm512_shuffle_f32x4(v[8 + p], v[12 + p], 0x44), _mm512_shuffle_f32x4(v[8 + p], v[12 + p], 0xee));
        quarters[p] = fold(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
    }
    const auto pairs = [&](F a, F b) {
        const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
        return fold(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    };
    const F a = pairs(quarters[0], quarters[1]), b = pairs(quarters[2], quarters[3]);
    return fold(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}
GL_INLINE F larger_of_each(const F* v) {
    return fold_each(v, [](F a, F b) { return larger(a, b); });
}
GL_INLINE I sum_of_each(const I* v) {
    const auto add = [](F a, F b) {
        return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
    };
    return _mm512_castps_si512(fold_each(reinterpret_cast<const F*>(v), add));
}

GL_INLINE Line load_line(const uint8_t* p) { return _mm512_loadu_si512(p); }
GL_INLINE void store_line(uint8_t* p, Line x) { _mm512_storeu_si512(p, x); }
GL_INLINE Line low_nibbles(Line x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
GL_INLINE Line high_nibbles(Line x) { return _mm512_and_si512(_mm512_srli_epi16(x, 4), _mm512_set1_epi8(15)); }
// Bits of 16-bit words move down (or up, for n below 0); what crosses from a byte to its neighbour is to be masked.
template <int n>
GL_INLINE Line shifted(Line x) {
    return n >= 0 ? _mm512_srli_epi16(x, n < 0 ? 0 : n) : _mm512_slli_epi16(x, n < 0 ? -n : 0);
}
GL_INLINE Line masked(Line x, int mask) { return _mm512_and_si512(x, _mm512_set1_epi8(static_cast<char>(mask))); }
GL_INLINE Line either(Line x, Line y) { return _mm512_or_si512(x, y); }
GL_INLINE Line plus(Line x, int n) { return _mm512_add_epi8(x, _mm512_set1_epi8(static_cast<char>(n))); }
// Bytes below 16 name one of 16 entries.
GL_INLINE Line lookup(const uint8_t* table, Line x) {
    return _mm512_shuffle_epi8(
        _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(table))), x);
}
// 2^(e - 128) of 16 bytes, the subnormal ones too; infinite for 255.
GL_INLINE F half_powers(const uint8_t* p) {
    const I bits = _mm512_slli_epi32(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 23);
    return _mm512_castsi512_ps(_mm512_max_epi32(bits, _mm512_set1_epi32(0x00400000))) * broadcast(0.5f);
}

// The running sum begins at `offset`; `end` returns it as 16 integers.
GL_INLINE Sum4 begin4(const int32_t* offset) { return _mm512_set1_epi32(*offset); }
GL_INLINE Sum4 dot4(Sum4 sum, Line weights, const int32_t* four) {
    return _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(*four));
}
GL_INLINE I end4(Sum4 sum, const int32_t*) { return sum; }
GL_INLINE Sum8 begin8(const int32_t* offset) { return begin4(offset); }
GL_INLINE Sum8 dot8(Sum8 sum, Line weights, const int32_t* four) { return dot4(sum, weights, four); }
GL_INLINE I end8(Sum8 sum, const int32_t*) { return sum; }

}  // namespace greenlight::GREENLIGHT_ISA
