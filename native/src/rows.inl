// What happens to one row at a time: sums, factors, norms, log-softmax?
#pragma once

#include "activations.inl"

namespace greenlight::GREENLIGHT_ISA {

static void scale(const float* x, float factor, int64_t n, float* out) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(out + i, load(x + i) * broadcast(factor));
    for (; i < n; ++i) out[i] = x[i] * factor;
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
