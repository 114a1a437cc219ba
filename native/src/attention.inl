// What does a query see? Scores of keys, their softmax, values mixed by it.
//
// Keys are never split for a sum: a score is one chain over the head's dims, a mixed value one chain over positions, a
// softmax sum stands in 16 lanes by absolute position. So a row's bits do not depend on how work was cut.
#pragma once

#include "activations.inl"
#include "pages.inl"

namespace greenlight::GREENLIGHT_ISA {

GL_INLINE F load_element(const uint16_t* p) { return load_f16(p); }
GL_INLINE F load_element(const float* p) { return load(p); }
template <class T>
GL_INLINE void prefetch_line(const T* p) {
    __builtin_prefetch(p, 0, 3);
    if constexpr (sizeof(T) == 4) __builtin_prefetch(p + kLanes, 0, 3);
}

// 32 keys for R query rows. `ahead` is what will be read next: pages lie apart, and no hardware foresees them.
template <class T, int R>
static void score_panel(const T* keys, const T* ahead, const float* const* queries, int head_dim, float* scores,
                        size_t stride) {
    F sum[R][2];
    unroll<R>(GL_EACH(r) { sum[r][0] = sum[r][1] = zero(); });
    const auto dim = [&](int d) __attribute__((always_inline)) {
        prefetch_line(ahead + d * kPage);
        const F first = load_element(keys + d * kPage), second = load_element(keys + d * kPage + kLanes);
        unroll<R>(GL_EACH(r) {
            const F value = broadcast(queries[r][d]);
            sum[r][0] = fma(first, value, sum[r][0]);
            sum[r][1] = fma(second, value, sum[r][1]);
        });
    };
    int d = 0;
    for (; d + 4 <= head_dim; d += 4) unroll<4>(GL_EACH(i) { dim(d + i); });
    for (; d < head_dim; ++d) dim(d);
    unroll<R>(GL_EACH(r) {
        store(scores + r * stride, sum[r][0]);
        store(scores + r * stride + kLanes, sum[r][1]);
    });
}

// Adds `n` positions of one slab to R rows of 32 dims.
template <class T, int R>
static void value_panel(const T* values, const T* ahead, int n, const float* weights, size_t stride, float* mixed) {
    F sum[R][2];
    unroll<R>(GL_EACH(r) {
        sum[r][0] = load(mixed + r * kSlab);
        sum[r][1] = load(mixed + r * kSlab + kLanes);
    });
    const auto position = [&](int i) __attribute__((always_inline)) {
        prefetch_line(ahead + i * kSlab);
        const F first = load_element(values + i * kSlab), second = load_element(values + i * kSlab + kLanes);
        unroll<R>(GL_EACH(r) {
            const F weight = broadcast(weights[r * stride + i]);
            sum[r][0] = fma(first, weight, sum[r][0]);
            sum[r][1] = fma(second, weight, sum[r][1]);
        });
    };
    int i = 0;
    for (; i + 4 <= n; i += 4) unroll<4>(GL_EACH(j) { position(i + j); });
    for (; i < n; ++i) position(i);
    unroll<R>(GL_EACH(r) {
        store(mixed + r * kSlab, sum[r][0]);
        store(mixed + r * kSlab + kLanes, sum[r][1]);
    });
}

template <int R, class Fn>
GL_INLINE void with_rows(int rows, const Fn& fn) {
    if constexpr (R > 0) {
        if (rows == R) fn(Index<R>{});
        else with_rows<R - 1>(rows, fn);
    }
}

static int group_of(const AttentionJob& job) { return job.n_heads / job.n_kv_heads; }

// Which (token, query head) a unit's row stands for, counted through (T, H).
static int64_t head_row(const AttentionJob& job, const AttentionUnit& unit, int row) {
    const int group = group_of(job);
    return static_cast<int64_t>(unit.token + row / group) * job.n_heads + unit.kv_head * group + row % group;
}

template <class T>
static void score_panels(const AttentionJob& job, const T* keys, const T* ahead, const Panels& panels,
                         const float* const* queries, float* scores, size_t stride) {
    for (int p = 0; p < panels.count; ++p) {
        const int64_t row = panels.first_row(p);
        with_rows<kAttentionRows>(
            panels.size(p), GL_EACH(R) {
                score_panel<T, decltype(R)::value>(keys, ahead, queries + row, job.head_dim, scores + row * stride,
                                                   stride);
            });
    }
}

template <class T>
static void value_panels(const T* values, const T* ahead, int n, const Panels& panels, const float* weights,
                         size_t stride, float* mixed) {
    for (int p = 0; p < panels.count; ++p) {
        const int64_t row = panels.first_row(p);
        with_rows<kAttentionRows>(
            panels.size(p), GL_EACH(R) {
                value_panel<T, decltype(R)::value>(values, ahead, n, weights + row * stride, stride,
                                                   mixed + row * kSlab);
            });
    }
}

static void widen(const uint16_t* from, const uint16_t* ahead, int n, float* to) {
    for (int i = 0; i < n; i += kLanes) {
        prefetch_line(ahead + i);
        store(to + i, load_f16(from + i));
    }
}

template <class T>
static void scores_of(const AttentionJob& job, const AttentionUnit& unit, int first_page, int last_page,
                      float* scratch) {
    const int rows = unit.n_tokens * group_of(job), n = job.head_dim * kPage;
    const Panels panels = Panels::split(rows, kAttentionRows);
    const float* queries[kMostUnitRows];
    for (int row = 0; row < rows; ++row) queries[row] = job.q + head_row(job, unit, row) * job.head_dim;
    float* widened = scratch;
    for (int page = first_page; page < last_page; ++page) {
        float* out = unit.scores + page * kPage;
        const T* keys = head_page<T>(job, unit.sequence, page, unit.kv_head);
        const T* ahead = head_page<T>(job, unit.sequence, page + 1 < last_page ? page + 1 : first_page, unit.kv_head);
        if (sizeof(T) == 4 || panels.count == 1) {
            score_panels(job, keys, ahead, panels, queries, out, unit.stride);
        } else if constexpr (sizeof(T) == 2) {
            widen(keys, ahead, n, widened);
            const float* wide = widened;
            score_panels(job, wide, wide, panels, queries, out, unit.stride);
        }
    }
}

static void scores(const AttentionJob& job, const AttentionUnit& unit, int first_page, int last_page, float* scratch) {
    if (job.half_pages) scores_of<uint16_t>(job, unit, first_page, last_page, scratch);
    else scores_of<float>(job, unit, first_page, last_page, scratch);
}

// The first n lanes of `instead`, the others of x.
GL_INLINE F drop_first(F x, int n, F instead) {
    float lanes[kLanes], other[kLanes];
    store(lanes, x);
    store(other, instead);
    for (int i = 0; i < n && i < kLanes; ++i) lanes[i] = other[i];
    return load(lanes);
}

// A row's scores from position `first` on, which is a multiple of the lanes; before `seen` it sees nothing.
static F lane_scores(const float* x, int i, int seen, int n) {
    const F infinite = broadcast(-__builtin_inff());
    F scores = load(x + i);
    if (i + kLanes > n) scores = keep_first(scores, n - i, -__builtin_inff());
    return i < seen ? drop_first(scores, seen - i, infinite) : scores;
}

static float exp_one(float x) {
    float lanes[kLanes];
    store(lanes, exp_lanes(broadcast(x)));
    return lanes[0];
}

static void softmax(const AttentionJob& job, const AttentionUnit& unit, int first_row, int last_row) {
    const int group = group_of(job);
    for (int row = first_row; row < last_row; ++row) {
        float* x = unit.scores + row * unit.stride;
        const int n = job.positions[unit.token + row / group] + 1;
        const int begin = unit.first_page * kPage;
        const int seen = job.window && n > job.window ? n - job.window : 0;
        const int start = begin + (seen > begin ? (seen - begin) / kLanes * kLanes : 0);
        if (job.softcap > 0.0f)
            for (int i = start; i < n; i += kLanes) store(x + i, capped(load(x + i), job.softcap));
        F largest = broadcast(-__builtin_inff());
        for (int i = start; i < n; i += kLanes) largest = max(largest, lane_scores(x, i, seen, n));
        const float* sink = job.sinks ? job.sinks + unit.kv_head * group + row % group : nullptr;
        const float peak = max_lanes(largest), highest = sink && *sink > peak ? *sink : peak;
        const F shift = broadcast(highest);
        F sum = zero();
        for (int i = begin; i < start; i += kLanes) store(x + i, zero());
        int i = start;
        for (; i < n; i += kLanes) {
            F weight = exp_lanes(lane_scores(x, i, seen, n) - shift);
            if (i + kLanes > n) weight = keep_first(weight, n - i, 0.0f);
            if (i < seen) weight = drop_first(weight, seen - i, zero());
            store(x + i, weight);
            sum = sum + weight;
        }
        for (; i < unit.n_pages * kPage; i += kLanes) store(x + i, zero());
        const float total = sum_lanes(sum);
        unit.inverse[row] = 1.0f / (sink ? total + exp_one(*sink - highest) : total);
    }
}

// One slab of the values of all positions, mixed by the rows' weights: [rows][32].
template <class T>
static void mix_slab(const AttentionJob& job, const AttentionUnit& unit, int slab, const Panels& panels, float* mixed,
                     float* widened) {
    const int64_t start = job.head_dim * kPage + static_cast<int64_t>(slab) * kPage * kSlab;
    for (int page = unit.first_page; page * kPage < unit.n_keys; ++page) {
        // Positions not written yet may hold anything: not even a weight of zero may meet them.
        const int left = unit.n_keys - page * kPage, n = left < kPage ? left : kPage;
        const float* weights = unit.scores + page * kPage;
        const T* source = head_page<T>(job, unit.sequence, page, unit.kv_head) + start;
        const int next = left > kPage ? page + 1 : unit.first_page;  // the next slab begins at the first page again
        const T* ahead = head_page<T>(job, unit.sequence, next, unit.kv_head) + start;
        if (sizeof(T) == 4 || panels.count == 1) {
            value_panels(source, ahead, n, panels, weights, unit.stride, mixed);
        } else if constexpr (sizeof(T) == 2) {
            widen(source, ahead, n * kSlab, widened);
            const float* wide = widened;
            value_panels(wide, wide, n, panels, weights, unit.stride, mixed);
        }
    }
}

static void values(const AttentionJob& job, const AttentionUnit& unit, int first_slab, int last_slab, float* scratch) {
    const int D = job.head_dim, group = group_of(job), rows = unit.n_tokens * group;
    const Panels panels = Panels::split(rows, kAttentionRows);
    float* mixed = scratch;
    float* widened = scratch + static_cast<int64_t>(rows) * kSlab;
    for (int slab = first_slab; slab < last_slab; ++slab) {
        for (int i = 0; i < rows * kSlab; i += kLanes) store(mixed + i, zero());
        if (job.half_pages) mix_slab<uint16_t>(job, unit, slab, panels, mixed, widened);
        else mix_slab<float>(job, unit, slab, panels, mixed, widened);
        for (int row = 0; row < rows; ++row) {
            const int64_t head = head_row(job, unit, row);
            const F inverse = broadcast(unit.inverse[row]);
            for (int d = slab * kSlab, i = 0; i < kSlab && d < D; i += kLanes, d += kLanes) {
                store_first(job.out + head * D + d, load(mixed + row * kSlab + i) * inverse,
                            D - d < kLanes ? D - d : kLanes);
            }
        }
    }
}

}  // namespace greenlight::GREENLIGHT_ISA
