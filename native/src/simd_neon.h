// Sixteen lanes on 64-bit ARM with the dot-product extension: a vector is four registers, four products per lane are
// one instruction.
#pragma once

#include <arm_neon.h>

#include "layout.h"

namespace greenlight::GREENLIGHT_ISA {

#define GL_INLINE static inline __attribute__((always_inline))

constexpr int kNarrowRows = 4, kWideRows = 4, kWideTiles = 1, kFloatNarrowRows = 4, kFloatWideRows = 4,
              kAttentionRows = 3;

struct F {
    float32x4_t v[4];
};
struct I {
    int32x4_t v[4];
};
struct Line {
    uint8x16_t v[4];
};
using Sum4 = I;
using Sum8 = I;

#define GL_QUARTERS(type, expression)                                                                                  \
    type result;                                                                                                       \
    for (int i = 0; i < 4; ++i) {                                                                                      \
        result.v[i] = expression;                                                                                      \
    }                                                                                                                  \
    return result

GL_INLINE F operator+(F x, F y) { GL_QUARTERS(F, vaddq_f32(x.v[i], y.v[i])); }
GL_INLINE F operator-(F x, F y) { GL_QUARTERS(F, vsubq_f32(x.v[i], y.v[i])); }
GL_INLINE F operator*(F x, F y) { GL_QUARTERS(F, vmulq_f32(x.v[i], y.v[i])); }
GL_INLINE F operator/(F x, F y) { GL_QUARTERS(F, vdivq_f32(x.v[i], y.v[i])); }

GL_INLINE F broadcast(float x) { GL_QUARTERS(F, vdupq_n_f32(x)); }
GL_INLINE F zero() { return broadcast(0.0f); }
GL_INLINE F load(const float* p) { GL_QUARTERS(F, vld1q_f32(p + 4 * i)); }
GL_INLINE void store(float* p, F x) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.v[i]);
}
GL_INLINE F load_first(const float* p, int n) {
    float lanes[kLanes] = {};
    for (int i = 0; i < n && i < kLanes; ++i) lanes[i] = p[i];
    return load(lanes);
}
GL_INLINE void store_first(float* p, F x, int n) {
    float lanes[kLanes];
    store(lanes, x);
    for (int i = 0; i < n && i < kLanes; ++i) p[i] = lanes[i];
}
GL_INLINE F fma(F x, F y, F z) { GL_QUARTERS(F, vfmaq_f32(z.v[i], x.v[i], y.v[i])); }
GL_INLINE F max(F x, F y) { GL_QUARTERS(F, vmaxq_f32(x.v[i], y.v[i])); }
GL_INLINE F min(F x, F y) { GL_QUARTERS(F, vminq_f32(x.v[i], y.v[i])); }
GL_INLINE F abs(F x) { GL_QUARTERS(F, vabsq_f32(x.v[i])); }
// Of two values without sign, compared as integers: so that a NaN, the largest of them, is never lost.
GL_INLINE F larger(F x, F y) {
    GL_QUARTERS(F, vreinterpretq_f32_s32(vmaxq_s32(vreinterpretq_s32_f32(x.v[i]), vreinterpretq_s32_f32(y.v[i]))));
}
GL_INLINE F keep_first(F x, int n, float other) {
    float lanes[kLanes];
    store(lanes, x);
    for (int i = n < 0 ? 0 : n; i < kLanes; ++i) lanes[i] = other;
    return load(lanes);
}

GL_INLINE I round_to_int(F x) { GL_QUARTERS(I, vcvtnq_s32_f32(x.v[i])); }
GL_INLINE F to_float(I x) { GL_QUARTERS(F, vcvtq_f32_s32(x.v[i])); }
GL_INLINE I add_int(I x, I y) { GL_QUARTERS(I, vaddq_s32(x.v[i], y.v[i])); }
GL_INLINE F power_of_two(I n) {
    GL_QUARTERS(F, vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n.v[i], vdupq_n_s32(127)), 23)));
}

GL_INLINE F load_f16(const uint16_t* p) { GL_QUARTERS(F, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)))); }
GL_INLINE void store_f16(uint16_t* p, F x) {
    for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.v[i])));
}
GL_INLINE F load_bf16(const uint16_t* p) {
    GL_QUARTERS(F, vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)));
}
GL_INLINE void store_i8(int8_t* p, I x) {
    for (int half = 0; half < 2; ++half) {
        const int16x8_t words = vcombine_s16(vqmovn_s32(x.v[2 * half]), vqmovn_s32(x.v[2 * half + 1]));
        vst1_s8(p + 8 * half, vqmovn_s16(words));
    }
}

// Sums and maxima fold halves: lane i with i+8, then i+4, i+2, i+1. The order is the same in every instruction set.
GL_INLINE float sum_lanes(F x) {
    const float32x4_t a = vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]));
    const float32x2_t b = vadd_f32(vget_low_f32(a), vget_high_f32(a));
    return vget_lane_f32(b, 0) + vget_lane_f32(b, 1);
}
GL_INLINE float max_lanes(F x) { return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.v[0], x.v[2]), vmaxq_f32(x.v[1], x.v[3]))); }

// Sixteen vectors folded to one whose lane i is v[i]'s largest or sum.
GL_INLINE F larger_of_each(const F* v) {
    float lanes[kLanes];
    for (int j = 0; j < kLanes; ++j) {
        const F x = v[j];
        int32x4_t largest = vreinterpretq_s32_f32(x.v[0]);
        for (int i = 1; i < 4; ++i) largest = vmaxq_s32(largest, vreinterpretq_s32_f32(x.v[i]));
        lanes[j] = __builtin_bit_cast(float, vmaxvq_s32(largest));
    }
    return load(lanes);
}
GL_INLINE I sum_of_each(const I* v) {
    int32_t lanes[kLanes];
    for (int j = 0; j < kLanes; ++j) {
        lanes[j] = vaddvq_s32(vaddq_s32(vaddq_s32(v[j].v[0], v[j].v[1]), vaddq_s32(v[j].v[2], v[j].v[3])));
    }
    GL_QUARTERS(I, vld1q_s32(lanes + 4 * i));
}

GL_INLINE Line load_line(const uint8_t* p) { GL_QUARTERS(Line, vld1q_u8(p + 16 * i)); }
GL_INLINE void store_line(uint8_t* p, Line x) {
    for (int i = 0; i < 4; ++i) vst1q_u8(p + 16 * i, x.v[i]);
}
GL_INLINE Line low_nibbles(Line x) { GL_QUARTERS(Line, vandq_u8(x.v[i], vdupq_n_u8(15))); }
GL_INLINE Line high_nibbles(Line x) { GL_QUARTERS(Line, vshrq_n_u8(x.v[i], 4)); }
// Bits of bytes move down (or up, for n below 0).
template <int n>
GL_INLINE Line shifted(Line x) {
    GL_QUARTERS(Line, vshlq_u8(x.v[i], vdupq_n_s8(-n)));
}
GL_INLINE Line masked(Line x, int mask) { GL_QUARTERS(Line, vandq_u8(x.v[i], vdupq_n_u8(static_cast<uint8_t>(mask)))); }
GL_INLINE Line either(Line x, Line y) { GL_QUARTERS(Line, vorrq_u8(x.v[i], y.v[i])); }
GL_INLINE Line plus(Line x, int n) { GL_QUARTERS(Line, vaddq_u8(x.v[i], vdupq_n_u8(static_cast<uint8_t>(n)))); }
// Bytes below 16 name one of 16 entries.
GL_INLINE Line lookup(const uint8_t* table, Line x) { GL_QUARTERS(Line, vqtbl1q_u8(vld1q_u8(table), x.v[i])); }
GL_INLINE F load_i8(const int8_t* p) {
    const int8x16_t bytes = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
    return to_float({{vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)), vmovl_s16(vget_low_s16(high)),
                      vmovl_s16(vget_high_s16(high))}});
}
// 2^(e - 128) of 16 bytes, the subnormal ones too; infinite for 255.
GL_INLINE F half_powers(const uint8_t* p) {
    int32_t bits[kLanes];
    for (int i = 0; i < kLanes; ++i) bits[i] = p[i] ? static_cast<int32_t>(uint32_t{p[i]} << 23) : 0x00400000;
    GL_QUARTERS(F, vmulq_n_f32(vreinterpretq_f32_s32(vld1q_s32(bits + 4 * i)), 0.5f));
}

// The running sum begins at `offset`; `end` returns it as 16 integers.
GL_INLINE Sum4 begin4(const int32_t* offset) { GL_QUARTERS(I, vdupq_n_s32(*offset)); }
GL_INLINE Sum4 dot4(Sum4 sum, Line weights, const int32_t* four) {
    const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(*four));
    GL_QUARTERS(I, vdotq_s32(sum.v[i], vreinterpretq_s8_u8(weights.v[i]), x));
}
GL_INLINE I end4(Sum4 sum, const int32_t*) { return sum; }

// The instruction wants both sides signed: without the stored offset of 128 the sum begins at zero.
GL_INLINE Sum8 begin8(const int32_t*) { GL_QUARTERS(I, vdupq_n_s32(0)); }
GL_INLINE Sum8 dot8(Sum8 sum, Line weights, const int32_t* four) {
    const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(*four));
    GL_QUARTERS(I, vdotq_s32(sum.v[i], vreinterpretq_s8_u8(veorq_u8(weights.v[i], vdupq_n_u8(128))), x));
}
GL_INLINE I end8(Sum8 sum, const int32_t*) { return sum; }

}  // namespace greenlight::GREENLIGHT_ISA
