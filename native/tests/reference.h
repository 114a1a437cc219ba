// What should a kernel have computed? The same in plain loops and float64, written from the formats' own definitions
// (ggml-org/ggml src/ggml-common.h, src/ggml-quants.c) and sharing no code with the kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "layout.h"

namespace reference {

using greenlight::Kind;

inline double half(const uint8_t* p) {
    const int bits = p[0] | p[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
    return bits & 0x8000 ? -size : size;
}

inline int low_or_high(int byte, bool high) { return high ? byte >> 4 : byte & 15; }

inline double uneven(int code) {
    static const int values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    return values[code];
}

inline double e2m1(int code) {
    static const double values[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    return code & 8 ? -values[code & 7] : values[code & 7];
}

struct ScaleMin {
    int scale, minimum;
};

inline ScaleMin scale_of_k4(const uint8_t* p, int j) {
    if (j < 4) return {p[j] & 63, p[j + 4] & 63};
    return {(p[j + 4] & 15) | (p[j - 4] >> 6) << 4, p[j + 4] >> 4 | (p[j] >> 6) << 4};
}

// Value i of a block of 32.
inline double value_of_32(Kind kind, const uint8_t* p, int i) {
    const bool high = i >= 16;
    const int at = i % 16;
    switch (kind) {
        case Kind::Q4_0: return half(p) * (low_or_high(p[2 + at], high) - 8);
        case Kind::Q4_1: return half(p) * low_or_high(p[4 + at], high) + half(p + 2);
        case Kind::Q8_0: return half(p) * static_cast<int8_t>(p[2 + i]);
        case Kind::Q5_0: return half(p) * ((low_or_high(p[6 + at], high) | (p[2 + i / 8] >> i % 8 & 1) << 4) - 16);
        case Kind::Q5_1:
            return half(p) * (low_or_high(p[8 + at], high) | (p[4 + i / 8] >> i % 8 & 1) << 4) + half(p + 2);
        case Kind::IQ4_NL: return half(p) * uneven(low_or_high(p[2 + at], high));
        default: return std::ldexp(e2m1(low_or_high(p[1 + at], high)), p[0] - 127);  // MXFP4
    }
}

// Value i of a block of 256.
inline double value_of_256(Kind kind, const uint8_t* p, int i) {
    const int l = i % 32, step = i / 32, part = i / 128, quarter = i % 128 / 32, run = i / 16;
    if (kind == Kind::Q2_K) {
        const int code = p[16 + 32 * part + l] >> 2 * quarter & 3;
        return half(p + 80) * (p[run] & 15) * code - half(p + 82) * (p[run] >> 4);
    }
    if (kind == Kind::Q3_K) {
        const int code = (p[32 + 32 * part + l] >> 2 * quarter & 3) - (p[l] >> step & 1 ? 0 : 4);
        const uint8_t* scales = p + 96;
        const int scale = low_or_high(scales[run % 8], run >= 8) | (scales[8 + run % 4] >> 2 * (run / 4) & 3) << 4;
        return half(p + 108) * (scale - 32) * code;
    }
    if (kind == Kind::Q4_K || kind == Kind::Q5_K) {
        const bool five = kind == Kind::Q5_K;
        int code = low_or_high(p[(five ? 48 : 16) + 32 * (step / 2) + l], step % 2);
        if (five) code |= (p[16 + l] >> step & 1) << 4;
        const ScaleMin found = scale_of_k4(p + 4, step);
        return half(p) * found.scale * code - half(p + 2) * found.minimum;
    }
    if (kind == Kind::Q6_K) {
        const int low = low_or_high(p[64 * part + l + quarter % 2 * 32], quarter >= 2);
        const int code = low | (p[128 + 32 * part + l] >> 2 * quarter & 3) << 4;
        return half(p + 208) * static_cast<int8_t>(p[192 + run]) * (code - 32);
    }
    const int scale = low_or_high(p[4 + step / 2], step % 2) | ((p[2 + step / 4] >> 2 * (step % 4)) & 3) << 4;
    return half(p) * (scale - 32) * uneven(low_or_high(p[8 + 16 * step + l % 16], l >= 16));  // IQ4_XS
}

// Value i of a row as a file has it.
inline double value(Kind kind, const uint8_t* row, int64_t i) {
    if (kind == Kind::F16) return half(row + 2 * i);
    if (kind == Kind::F32 || kind == Kind::BF16) {
        const uint8_t* p = row + (kind == Kind::F32 ? 4 : 2) * i;
        uint8_t bytes[4] = {0, 0, p[0], p[1]};
        if (kind == Kind::F32) std::memcpy(bytes, p, 4);
        float wide;
        std::memcpy(&wide, bytes, 4);
        return wide;
    }
    const greenlight::Shape shape = greenlight::shape_of(kind);
    const uint8_t* block = row + i / shape.inputs * shape.bytes;
    const int place = static_cast<int>(i % shape.inputs);
    return shape.inputs == 32 ? value_of_32(kind, block, place) : value_of_256(kind, block, place);
}

// What is left of 32 activations in int8.
inline void round_to_int8(const float* x, int n, double* out) {
    float largest = 0;
    for (int i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float inverse = 127.0f / std::max(largest, 0x1p-120f), scale = largest / 127.0f;
    for (int i = 0; i < n; ++i) out[i] = static_cast<double>(std::nearbyint(x[i] * inverse)) * scale;
}

struct Sum {
    double value, size;  // size: what rounding errors are measured by
};

// One output of a linear: int8 activations with quantised weights, float ones with the others.
inline Sum product(Kind kind, const uint8_t* row, const float* x, int k) {
    Sum sum{0, 0};
    for (int first = 0; first < k; first += 32) {
        const int n = std::min(32, k - first);
        double rounded[32], weights[32], largest = 0;
        for (int i = 0; i < n; ++i) {
            weights[i] = value(kind, row, first + i);
            largest = std::max(largest, std::fabs(weights[i]));
            rounded[i] = x[first + i];
        }
        if (greenlight::is_quantised(kind)) round_to_int8(x + first, n, rounded);
        for (int i = 0; i < n; ++i) {
            sum.value += rounded[i] * weights[i];
            // Codes and minimum may be much larger than the value they make together.
            sum.size += std::fabs(rounded[i]) * 4 * largest;
        }
    }
    return sum;
}

inline double activate(greenlight::Glu glu, double x) {
    if (glu == greenlight::Glu::silu) return x / (1 + std::exp(-x));
    if (glu == greenlight::Glu::gelu) return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

inline double gated(greenlight::Glu glu, double gate, double up) {
    if (glu != greenlight::Glu::swiglu_oss) return activate(glu, gate) * up;
    gate = std::min(gate, 7.0);
    up = std::clamp(up, -7.0, 7.0);
    return gate / (1 + std::exp(-1.702 * gate)) * (up + 1);
}

inline std::vector<double> normed(const float* x, const float* weight, int n, double eps) {
    double squares = 0;
    for (int i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
    std::vector<double> out(n);
    for (int i = 0; i < n; ++i) out[i] = x[i] / std::sqrt(squares / n + eps) * weight[i];
    return out;
}

}  // namespace reference
