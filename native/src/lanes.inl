// How does a loop become vectors? Loops over registers that are unrolled whole, loops over memory in steps of 16 lanes.
#pragma once

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

// Calls fn(i, n) for n lanes from i on, whole vectors with a constant n: they need no masks.
template <class Fn>
GL_INLINE void each_vector(int first, int last, const Fn& fn) {
    int i = first;
    for (; i + kLanes <= last; i += kLanes) fn(i, Index<kLanes>{});
    if (i < last) fn(i, last - i);
}
GL_INLINE F load_some(const float* p, Index<kLanes>) { return load(p); }
GL_INLINE F load_some(const float* p, int n) { return load_first(p, n); }
GL_INLINE void store_some(float* p, F x, Index<kLanes>) { store(p, x); }
GL_INLINE void store_some(float* p, F x, int n) { store_first(p, x, n); }

}  // namespace greenlight::GREENLIGHT_ISA
