// What happens to one row at a time: widening, norms, quantisation, activations, log-softmax.
#pragma once

#include "blocks.h"

namespace greenlight::GREENLIGHT_ISA {

template <int N>
struct Index {
    static constexpr int value = N;
    constexpr operator int() const { return N; }
};

// Calls fn(0) … fn(N-1) with constants, so that arrays indexed by them live in registers.
template <int N, class Fn>
GL_INLINE void unroll(const Fn& fn) {
    if constexpr (N > 0) {
        unroll<N - 1>(fn);
        fn(Index<N - 1>{});
    }
}
#define GL_EACH(name) [&](auto name) __attribute__((always_inline))

// e^x to about one unit in the last place, for x clamped to [-87, 88]: 2^n times a Taylor polynomial on ±ln(2)/2.
GL_INLINE F exp_lanes(F x) {
    // Bounds come first: of a bound and a NaN these return the second, and a NaN must stay one.
    x = min(broadcast(88.0f), max(broadcast(-87.0f), x));
    const I n = round_to_int(x * broadcast(1.44269504f));
    const F whole = to_float(n);
    F r = fma(whole, broadcast(-0.693359375f), x);  // ln 2 in two parts, the first with few bits: n times it is exact
    r = fma(whole, broadcast(2.12194440e-4f), r);
    F p = broadcast(1.0f / 5040);
    p = fma(p, r, broadcast(1.0f / 720));
    p = fma(p, r, broadcast(1.0f / 120));
    p = fma(p, r, broadcast(1.0f / 24));
    p = fma(p, r, broadcast(1.0f / 6));
    p = fma(p, r, broadcast(0.5f));
    p = fma(p, r, broadcast(1.0f));
    p = fma(p, r, broadcast(1.0f));
    return p * power_of_two(n);
}

GL_INLINE F sigmoid_product(F x, F argument) { return x / (broadcast(1.0f) + exp_lanes(zero() - argument)); }

GL_INLINE F gelu_exact(F x) {
    float lanes[kLanes];
    store(lanes, x);
    for (float& lane : lanes) lane = 0.5f * lane * (1.0f + static_cast<float>(::erf(lane * 0.70710678118654752)));
    return load(lanes);
}

GL_INLINE F activate(Glu glu, F x) {
    if (glu == Glu::silu) return sigmoid_product(x, x);
    if (glu == Glu::gelu) return gelu_exact(x);
    // 0.5 (1 + tanh u) is the sigmoid of 2u.
    const F inner = fma(x * x, broadcast(0.044715f), broadcast(1.0f));
    return sigmoid_product(x, broadcast(1.59576912f) * x * inner);
}

// The hidden layer of a gated pair. gpt-oss bends both: g sigmoid(1.702 g) (u + 1), g at most 7, u within 7.
GL_INLINE F gated(Glu glu, F gate, F up) {
    if (glu != Glu::swiglu_oss) return activate(glu, gate) * up;
    const F limit = broadcast(7.0f);
    gate = min(limit, gate);
    up = min(limit, max(broadcast(-7.0f), up));
    return sigmoid_product(gate, broadcast(1.702f) * gate) * (up + broadcast(1.0f));
}

// c tanh(x / c) is 2c times the sigmoid of 2x / c, less c.
GL_INLINE F capped(F x, float cap) {
    return sigmoid_product(broadcast(2.0f * cap), x * broadcast(2.0f / cap)) - broadcast(cap);
}

static void softcap(const float* x, float cap, int64_t n, float* out) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(out + i, capped(load(x + i), cap));
    const int left = static_cast<int>(n - i);
    if (left) store_first(out + i, capped(load_first(x + i, left), cap), left);
}

static void gate(Glu glu, const float* x, const float* y, int64_t n, float* out) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(out + i, gated(glu, load(x + i), load(y + i)));
    const int left = static_cast<int>(n - i);
    if (left) store_first(out + i, gated(glu, load_first(x + i, left), load_first(y + i, left)), left);
}

static void scale(const float* x, float factor, int64_t n, float* out) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(out + i, load(x + i) * broadcast(factor));
    for (; i < n; ++i) out[i] = x[i] * factor;
}

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

static void add(const float* x, const float* y, int64_t n, float* out) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(out + i, load(x + i) + load(y + i));
    for (; i < n; ++i) out[i] = x[i] + y[i];
}

static void rms_norm(const float* x, const float* weight, float eps, int n, float* out) {
    // Four chains of sums: one would wait for each fma to end before it began the next.
    F squares[4] = {zero(), zero(), zero(), zero()};
    int i = 0;
    for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
        unroll<4>(GL_EACH(j) {
            const F v = load(x + i + j * kLanes);
            squares[j] = fma(v, v, squares[j]);
        });
    }
    for (; i < n; i += kLanes) {
        const F v = load_first(x + i, n - i);
        squares[0] = fma(v, v, squares[0]);
    }
    const float sum = sum_lanes((squares[0] + squares[1]) + (squares[2] + squares[3]));
    const F inverse = broadcast(1.0f / __builtin_sqrtf(sum / static_cast<float>(n) + eps));
    for (i = 0; i + kLanes <= n; i += kLanes) store(out + i, load(x + i) * inverse * load(weight + i));
    if (i < n) store_first(out + i, load_first(x + i, n - i) * inverse * load_first(weight + i, n - i), n - i);
}

// Symmetric int8 with one scale per 32 values, for `n` blocks of one row in a panel of `rows`. Sixteen blocks at a
// time: what is computed once per block (the largest value, two divisions, the sum) then fills a vector.
static void quantise_blocks(const float* x, int n, int rows, int32_t* words, float* meta, float* half_meta) {
    F largest_lanes[kLanes];
    for (int b = 0; b < n; ++b)
        largest_lanes[b] = larger(abs(load(x + b * kBlock)), abs(load(x + b * kBlock + kLanes)));
    for (int b = n; b < kLanes; ++b) largest_lanes[b] = zero();
    const F largest = larger_of_each(largest_lanes);
    alignas(64) float inverses[kLanes], scales[kLanes], sums[kLanes], products[kLanes];
    // A block of zeros divides by the smallest normal number instead of by zero: its integers are zero all the same.
    store(inverses, broadcast(127.0f) / max(broadcast(0x1p-120f), largest));
    const F scale = largest / broadcast(127.0f);
    store(scales, scale);
    I sum_lanes_of[kLanes], low_lanes_of[kLanes];
    for (int b = 0; b < n; ++b) {
        const F inverse = broadcast(inverses[b]);
        const I low = round_to_int(load(x + b * kBlock) * inverse),
                high = round_to_int(load(x + b * kBlock + kLanes) * inverse);
        alignas(32) int32_t packed[8];
        store_i8(reinterpret_cast<int8_t*>(packed), low);
        store_i8(reinterpret_cast<int8_t*>(packed + 4), high);
        for (int j = 0; j < 8; ++j) words[(b * 8 + j) * rows] = packed[j];
        sum_lanes_of[b] = add_int(low, high);
        low_lanes_of[b] = low;
    }
    for (int b = n; b < kLanes; ++b) sum_lanes_of[b] = low_lanes_of[b] = round_to_int(zero());
    const F sum = to_float(sum_of_each(sum_lanes_of));  // at most 4,064: exact
    store(sums, sum);
    store(products, scale * sum);
    for (int b = 0; b < n; ++b, meta += kMetaWords * rows) {
        // Unsigned: what a row that holds a NaN sums to has no meaning, and must have no undefined product either.
        const uint32_t total = static_cast<uint32_t>(static_cast<int32_t>(sums[b]));
        meta[kScale * rows] = scales[b];
        meta[kOffset8 * rows] = __builtin_bit_cast(float, 0u - 8u * total);
        meta[kOffset128 * rows] = __builtin_bit_cast(float, 0u - 128u * total);
        meta[kSum * rows] = products[b];
    }
    if (!half_meta) return;
    alignas(64) float lows[kLanes];
    store(lows, to_float(sum_of_each(low_lanes_of)));
    for (int b = 0; b < n; ++b, half_meta += kHalfWords * rows) {
        for (int half = 0; half < 2; ++half) {
            const float part = half ? sums[b] - lows[b] : lows[b];
            const uint32_t total = static_cast<uint32_t>(static_cast<int32_t>(part));
            half_meta[(kHalfOffset128 + half) * rows] = __builtin_bit_cast(float, 0u - 128u * total);
            half_meta[(kHalfSum + half) * rows] = scales[b] * part;
        }
    }
}

static void quantise_row(const float* x, int k, int row, int rows, int8_t* quant, float* meta, float* half_meta) {
    int32_t* words = reinterpret_cast<int32_t*>(quant) + row;
    for (int b = 0; b < k / kBlock; b += kLanes) {
        const int n = k / kBlock - b < kLanes ? k / kBlock - b : kLanes;
        float* halves = half_meta ? half_meta + b * kHalfWords * rows + row : nullptr;
        quantise_blocks(x + b * kBlock, n, rows, words + b * 8 * rows, meta + b * kMetaWords * rows + row, halves);
    }
}

static void float_row(const float* x, int k, int row, int rows, float* panel) {
    for (int i = 0; i < k; ++i) panel[i * rows + row] = x[i];
}

// Logits come in strips of columns; what is kept after each strip depends on the row alone.
static void logits(const float* x, int n, int first_column, int target, LogitState& state) {
    F largest = broadcast(-__builtin_inff());
    int i = 0;
    for (; i + kLanes <= n; i += kLanes) largest = max(largest, load(x + i));
    if (i < n) largest = max(largest, keep_first(load_first(x + i, n - i), n - i, -__builtin_inff()));
    const float strip_max = max_lanes(largest);
    if (strip_max > state.max) {
        int where = 0;
        while (where < n - 1 && x[where] != strip_max) ++where;
        state.sum *= ::exp(static_cast<double>(state.max) - strip_max);
        state.max = strip_max;
        state.argmax = first_column + where;
    }
    // float32 within 1,024 columns, float64 across them: enough digits, and still vectors.
    const F shift = broadcast(state.max);
    for (int chunk = 0; chunk < n; chunk += 1024) {
        const int stop = n - chunk < 1024 ? n : chunk + 1024;
        F sum = zero();
        for (i = chunk; i + kLanes <= stop; i += kLanes) sum = sum + exp_lanes(load(x + i) - shift);
        if (i < stop) sum = sum + keep_first(exp_lanes(load_first(x + i, stop - i) - shift), stop - i, 0.0f);
        state.sum += sum_lanes(sum);
    }
    if (target >= first_column && target < first_column + n) state.target = x[target - first_column];
}

}  // namespace greenlight::GREENLIGHT_ISA
