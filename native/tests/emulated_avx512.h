// What do the intrinsics of AVX-512 compute where no CPU has them? SIMDe says it in AVX2 and plain C; here is the rest.
//
// The compiler reads this before kernels_avx512vnni.cpp (CMake option GREENLIGHT_EMULATE_AVX512). What SIMDe (0.7.4)
// lacks, or says otherwise, follows Intel's "64 and IA-32 Architectures Software Developer's Manual", volume 2, under
// the instruction that is named beside each.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>

#include <cstring>

#if defined(__AVX512F__) || !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "build this with -mavx2 -mfma -mf16c: without -mfma SIMDe rounds an fma twice, with AVX-512 nothing is emulated"
#endif

namespace greenlight::emulated {

template <class Half, class Whole>
static inline Half half(Whole x, int which) {
    Half out;
    std::memcpy(&out, reinterpret_cast<const char*>(&x) + which * sizeof out, sizeof out);
    return out;
}
template <class Whole, class Half>
static inline Whole joined(Half low, Half high) {
    Whole out;
    std::memcpy(&out, &low, sizeof low);
    std::memcpy(reinterpret_cast<char*>(&out) + sizeof low, &high, sizeof high);
    return out;
}

// VCVTDQ2PS, VCVTPS2DQ, VCVTPH2PS, VCVTPS2PH, VPMOVSXBD, VPMOVZXBD, VPMOVZXWD: each lane by itself, as in their 256-bit
// forms; rounding as MXCSR or the immediate says.
static inline __m512 cvtepi32_ps(__m512i x) {
    return joined<__m512>(_mm256_cvtepi32_ps(half<__m256i>(x, 0)), _mm256_cvtepi32_ps(half<__m256i>(x, 1)));
}
static inline __m512i cvtps_epi32(__m512 x) {
    return joined<__m512i>(_mm256_cvtps_epi32(half<__m256>(x, 0)), _mm256_cvtps_epi32(half<__m256>(x, 1)));
}
static inline __m512 cvtph_ps(__m256i x) {
    return joined<__m512>(_mm256_cvtph_ps(half<__m128i>(x, 0)), _mm256_cvtph_ps(half<__m128i>(x, 1)));
}
template <int rounding>
static inline __m256i cvtps_ph(__m512 x) {
    return joined<__m256i>(_mm256_cvtps_ph(half<__m256>(x, 0), rounding),
                           _mm256_cvtps_ph(half<__m256>(x, 1), rounding));
}
static inline __m512i cvtepi8_epi32(__m128i x) {
    return joined<__m512i>(_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)));
}
static inline __m512i cvtepu8_epi32(__m128i x) {
    return joined<__m512i>(_mm256_cvtepu8_epi32(x), _mm256_cvtepu8_epi32(_mm_srli_si128(x, 8)));
}
static inline __m512i cvtepu16_epi32(__m256i x) {
    return joined<__m512i>(_mm256_cvtepu16_epi32(half<__m128i>(x, 0)), _mm256_cvtepu16_epi32(half<__m128i>(x, 1)));
}

// VMOVUPS with a mask: lanes without a bit read nothing and become 0; lanes without a bit write nothing.
static inline __m512 maskz_loadu_ps(__mmask16 lanes, const void* from) {
    float out[16] = {};
    for (int i = 0; i < 16; ++i) {
        if (lanes >> i & 1) std::memcpy(out + i, static_cast<const float*>(from) + i, sizeof(float));
    }
    return _mm512_loadu_ps(out);
}
static inline void mask_storeu_ps(void* to, __mmask16 lanes, __m512 x) {
    float in[16];
    std::memcpy(in, &x, sizeof in);
    for (int i = 0; i < 16; ++i) {
        if (lanes >> i & 1) std::memcpy(static_cast<float*>(to) + i, in + i, sizeof(float));
    }
}

// VPANDD with 0x7fffffff: the sign goes, of -0 and of NaN too. SIMDe keeps theirs.
static inline __m512 abs_ps(__m512 x) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff)));
}

// VPDPBUSD: four products of an unsigned byte and a signed one are added to the lane without saturation. SIMDe says the
// same in a way that costs the compiler minutes. VPMADDUBSW would saturate: bytes become 16-bit words first.
static inline __m256i dpbusd_half(__m256i sum, __m256i a, __m256i b) {
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(a, _mm256_set1_epi16(255)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(a, 8), _mm256_srai_epi16(b, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
static inline __m512i dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
    return joined<__m512i>(dpbusd_half(half<__m256i>(sum, 0), half<__m256i>(a, 0), half<__m256i>(b, 0)),
                           dpbusd_half(half<__m256i>(sum, 1), half<__m256i>(a, 1), half<__m256i>(b, 1)));
}

}  // namespace greenlight::emulated

#undef _mm512_abs_ps
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtepi8_epi32
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepu8_epi32
#undef _mm512_cvtph_ps
#undef _mm512_cvtps_epi32
#undef _mm512_cvtps_ph
#undef _mm512_dpbusd_epi32
#undef _mm512_extractf32x8_ps
#undef _mm512_mask_storeu_ps
#undef _mm512_maskz_loadu_ps
#undef _mm512_shuffle_f32x4
#define _mm512_abs_ps greenlight::emulated::abs_ps
#define _mm512_cvtepi32_ps greenlight::emulated::cvtepi32_ps
#define _mm512_cvtepi8_epi32 greenlight::emulated::cvtepi8_epi32
#define _mm512_cvtepu16_epi32 greenlight::emulated::cvtepu16_epi32
#define _mm512_cvtepu8_epi32 greenlight::emulated::cvtepu8_epi32
#define _mm512_cvtph_ps greenlight::emulated::cvtph_ps
#define _mm512_cvtps_epi32 greenlight::emulated::cvtps_epi32
#define _mm512_cvtps_ph(x, rounding) greenlight::emulated::cvtps_ph<rounding>(x)
#define _mm512_dpbusd_epi32 greenlight::emulated::dpbusd_epi32
#define _mm512_mask_storeu_ps greenlight::emulated::mask_storeu_ps
#define _mm512_maskz_loadu_ps greenlight::emulated::maskz_loadu_ps
// VEXTRACTF32X8: the half that the immediate's lowest bit names.
#define _mm512_extractf32x8_ps(x, which) greenlight::emulated::half<__m256>(x, (which) & 1)
// VSHUFF32X4: SIMDe has it under its own name only.
#define _mm512_shuffle_f32x4 simde_mm512_shuffle_f32x4
