// What is e^x in lanes, and what is built on it: activations, gates, caps?
#pragma once

#include "lanes.inl"

namespace greenlight::GREENLIGHT_ISA {

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

}  // namespace greenlight::GREENLIGHT_ISA
