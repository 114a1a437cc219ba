// What is a 16-bit float worth? Exact conversions in plain integer arithmetic, for code without conversion
// instructions.
//
// Every function here is static on purpose: files compiled for different instruction sets include this header, and a
// shared (inline) copy could be the one that a plain CPU cannot run.
#pragma once

#include <cstdint>

namespace greenlight {

static inline float bits_to_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }

static inline uint32_t float_to_bits(float value) { return __builtin_bit_cast(uint32_t, value); }

static inline float f16_to_f32(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    // Read as a float, the shifted bits are 2^112 too small; the product is exact, subnormal halves included.
    uint32_t magnitude = float_to_bits(bits_to_float(static_cast<uint32_t>(half & 0x7fffu) << 13) * 0x1p112f);
    if ((half & 0x7c00u) == 0x7c00u) magnitude |= 0x7f800000u;
    return bits_to_float(sign | magnitude);
}

// Nearest, ties to even, as the conversion instructions do.
static inline uint16_t f32_to_f16(float value) {
    const uint32_t bits = float_to_bits(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t half;
    if (magnitude >= 0x47800000u) {  // 65536 and above, infinities, NaN
        half = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    } else if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 rounds on the grid of subnormal halves
        half = float_to_bits(bits_to_float(magnitude) + 0.5f) - 0x3f000000u;
    } else {
        half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    }
    return static_cast<uint16_t>(sign | half);
}

static inline float bf16_to_f32(uint16_t brain) { return bits_to_float(static_cast<uint32_t>(brain) << 16); }

}  // namespace greenlight
