// What are a file's bytes in float32? For embeddings, whose rows stay as the file has them (blocks.h draws these).
#pragma once

#include "blocks.h"
#include "lanes.inl"

namespace greenlight::GREENLIGHT_ISA {

GL_INLINE F load_kind(Kind kind, const uint8_t* source, int64_t index) {
    if (kind == Kind::F32) return load(reinterpret_cast<const float*>(source) + index);
    const uint16_t* halves = reinterpret_cast<const uint16_t*>(source) + index;
    return kind == Kind::F16 ? load_f16(halves) : load_bf16(halves);
}

static uint16_t read_u16(const uint8_t* p) {
    uint16_t value;
    __builtin_memcpy(&value, p, 2);
    return value;
}

static void dequantise_block(Kind kind, const uint8_t* block, float scale, float* out) {
    const float d = f16_to_f32(read_u16(block));
    if (kind == Kind::Q8_0) {
        for (int i = 0; i < kBlock; ++i) out[i] = static_cast<int8_t>(block[2 + i]) * d * scale;
        return;
    }
    const float base = kind == Kind::Q4_1 ? f16_to_f32(read_u16(block + 2)) : 0.0f;
    const int offset = kind == Kind::Q4_0 ? 8 : 0;
    const uint8_t* quants = block + (kind == Kind::Q4_1 ? 4 : 2);
    for (int i = 0; i < kBlock / 2; ++i) {
        out[i] = (((quants[i] & 15) - offset) * d + base) * scale;
        out[i + kBlock / 2] = (((quants[i] >> 4) - offset) * d + base) * scale;
    }
}

static void dequantise(Kind kind, const uint8_t* source, int64_t n, float scale, float* out) {
    const Shape shape = shape_of(kind);
    if (is_quantised(kind)) {
        const auto values = is_compact(kind) ? block_values : dequantise_block;
        for (int64_t i = 0; i < n; i += shape.inputs, source += shape.bytes) values(kind, source, scale, out + i);
        return;
    }
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(out + i, load_kind(kind, source, i) * broadcast(scale));
    for (; i < n; ++i) {
        const uint8_t* p = source + i * shape.bytes;
        float value;
        if (kind == Kind::F32) {
            __builtin_memcpy(&value, p, 4);
        } else {
            value = kind == Kind::F16 ? f16_to_f32(read_u16(p)) : bf16_to_f32(read_u16(p));
        }
        out[i] = value * scale;
    }
}

}  // namespace greenlight::GREENLIGHT_ISA
