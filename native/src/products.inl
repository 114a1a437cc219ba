// What is a product of a panel and a tile? Integer dot products per 32 inputs, one float fma per output and block,
// blocks in order.
//
// The sum of one output is the same chain of operations whatever stands beside it, so its bits depend on its own row
// and its own weights only: not on the batch, the panel it fell into, the tile pair, or the thread.
#pragma once

#include "sources.inl"
#include "widen.inl"

namespace greenlight::GREENLIGHT_ISA {

// Both integer widths behind one name: Q4 sums may use narrower arithmetic than Q8 sums.
template <class Source>
GL_INLINE auto begin_sum(const int32_t* offset) {
    if constexpr (Source::wide_range) return begin8(offset);
    else return begin4(offset);
}
template <class Source, class Sum>
GL_INLINE Sum dot(Sum sum, Line weights, const int32_t* four) {
    if constexpr (Source::wide_range) return dot8(sum, weights, four);
    else return dot4(sum, weights, four);
}
template <class Source, class Sum>
GL_INLINE I end_sum(Sum sum, const int32_t* offset) {
    if constexpr (Source::wide_range) return end8(sum, offset);
    else return end4(sum, offset);
}

alignas(64) static const int32_t kNoOffset[16] = {};

// Steps to the 32 inputs that come next; past a header first where there is one.
template <class Source, int T>
GL_INLINE void enter(int b, const uint8_t** tiles, const uint8_t** heads) {
    if constexpr (Source::header > 0) {
        if (b % 8) return;
        for (int t = 0; t < T; ++t) {
            heads[t] = tiles[t];
            tiles[t] += Source::header;
        }
    }
}

// R rows times T tiles; out is [T][R][16]. One tile alone comes straight from memory, two are taken from a cache.
template <class Source, int R, int T>
static void quant_kernel(const uint8_t* first, const uint8_t* second, const int8_t* quant, const float* meta,
                         const float*, int n_blocks, float* out) {
    const uint8_t* tiles[2] = {first, second};
    const uint8_t* heads[2] = {first, second};
    using Sum = decltype(begin_sum<Source>(nullptr));
    F total[T][R];
    unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { total[t][r] = zero(); }); });
    const int32_t* four = reinterpret_cast<const int32_t*>(quant);
    for (int b = 0; b < n_blocks; ++b, four += 8 * R, meta += kMetaWords * R) {
        if constexpr (T == 1) prefetch_step<Source>(tiles[0]);
        enter<Source, T>(b, tiles, heads);
        const int32_t* offsets =
            Source::offset < 0 ? kNoOffset : reinterpret_cast<const int32_t*>(meta) + Source::offset * R;
        Sum sum[T][R];
        unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { sum[t][r] = begin_sum<Source>(offsets + r); }); });
        unroll<4>(GL_EACH(j) {
            Line low[T], high[T];
            unroll<T>(GL_EACH(t) { Source::lines(tiles[t], j, low[t], high[t]); });
            unroll<R>(GL_EACH(r) {
                unroll<T>(GL_EACH(t) { sum[t][r] = dot<Source>(sum[t][r], low[t], four + j * R + r); });
            });
            unroll<R>(GL_EACH(r) {
                unroll<T>(GL_EACH(t) { sum[t][r] = dot<Source>(sum[t][r], high[t], four + (j + 4) * R + r); });
            });
        });
        unroll<T>(GL_EACH(t) {
            const F scales = Source::scales(tiles[t], heads[t], 0);
            unroll<R>(GL_EACH(r) {
                const F scale = scales * broadcast(meta[kScale * R + r]);
                total[t][r] = fma(to_float(end_sum<Source>(sum[t][r], offsets + r)), scale, total[t][r]);
            });
            if constexpr (Source::minimum) {
                const F minima = Source::minima(tiles[t], heads[t], 0);
                unroll<R>(GL_EACH(r) { total[t][r] = fma(minima, broadcast(meta[kSum * R + r]), total[t][r]); });
            }
            tiles[t] += Source::step;
        });
    }
    unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { store(out + (t * R + r) * kLanes, total[t][r]); }); });
}

// The same where each 16 inputs have a scale: two sums per 32, the first half before the second.
template <class Source, int R, int T>
static void halves_kernel(const uint8_t* first, const uint8_t* second, const int8_t* quant, const float* meta,
                          const float* half_meta, int n_blocks, float* out) {
    const uint8_t* tiles[2] = {first, second};
    const uint8_t* heads[2] = {first, second};
    using Sum = decltype(begin_sum<Source>(nullptr));
    F total[T][R];
    unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { total[t][r] = zero(); }); });
    const int32_t* four = reinterpret_cast<const int32_t*>(quant);
    for (int b = 0; b < n_blocks; ++b, four += 8 * R, meta += kMetaWords * R, half_meta += kHalfWords * R) {
        if constexpr (T == 1) prefetch_step<Source>(tiles[0]);
        enter<Source, T>(b, tiles, heads);
        unroll<2>(GL_EACH(half) {
            const int32_t* offsets = reinterpret_cast<const int32_t*>(half_meta) + (kHalfOffset128 + half) * R;
            Sum sum[T][R];
            unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { sum[t][r] = begin_sum<Source>(offsets + r); }); });
            unroll<4>(GL_EACH(j) {
                Line lines[T][2];
                unroll<T>(GL_EACH(t) { Source::lines(tiles[t], j, lines[t][0], lines[t][1]); });
                unroll<R>(GL_EACH(r) {
                    unroll<T>(GL_EACH(t) {
                        sum[t][r] = dot<Source>(sum[t][r], lines[t][half], four + (j + 4 * half) * R + r);
                    });
                });
            });
            unroll<T>(GL_EACH(t) {
                const F scales = Source::scales(tiles[t], heads[t], half);
                unroll<R>(GL_EACH(r) {
                    const F scale = scales * broadcast(meta[kScale * R + r]);
                    total[t][r] = fma(to_float(end_sum<Source>(sum[t][r], offsets + r)), scale, total[t][r]);
                });
                if constexpr (Source::minimum) {
                    const F minima = Source::minima(tiles[t], heads[t], half);
                    unroll<R>(GL_EACH(r) {
                        total[t][r] = fma(minima, broadcast(half_meta[(kHalfSum + half) * R + r]), total[t][r]);
                    });
                }
            });
        });
        unroll<T>(GL_EACH(t) { tiles[t] += Source::step; });
    }
    unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { store(out + (t * R + r) * kLanes, total[t][r]); }); });
}

template <Kind kind, int R, int T>
static void float_kernel(const uint8_t* first, const uint8_t* second, const float* x, int k, float* out) {
    const uint8_t* tiles[2] = {first, second};
    F total[T][R];
    unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { total[t][r] = zero(); }); });
    for (int i = 0; i < k; ++i, x += R) {
        F weights[T];
        unroll<T>(GL_EACH(t) {
            if constexpr (T == 1) __builtin_prefetch(tiles[t] + kAhead, 0, 3);
            weights[t] = load_kind(kind, tiles[t], 0);
            tiles[t] += shape_of(kind).step;
        });
        unroll<R>(GL_EACH(r) {
            const F value = broadcast(x[r]);
            unroll<T>(GL_EACH(t) { total[t][r] = fma(weights[t], value, total[t][r]); });
        });
    }
    unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { store(out + (t * R + r) * kLanes, total[t][r]); }); });
}

}  // namespace greenlight::GREENLIGHT_ISA
