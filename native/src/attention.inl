// What does a query see? Rotation, storing of keys and values, scores, softmax, mixed values.
//
// Keys are never split for a sum: a score is one chain over the head's dims, a mixed value one chain over positions, a
// softmax sum stands in 16 lanes by absolute position. So a row's bits do not depend on how work was cut.
#pragma once

namespace greenlight::GREENLIGHT_ISA {

GL_INLINE F load_element(const uint16_t* p) { return load_f16(p); }
GL_INLINE F load_element(const float* p) { return load(p); }

// Half precision ends at 65504; a larger value is kept there rather than made infinite, which would poison every sum.
GL_INLINE F clamp_half(F x) { return min(max(x, broadcast(-65504.0f)), broadcast(65504.0f)); }

static void rotate(const float* x, const float* rope, int half, int head_dim, float scale, float* out) {
    const F factor = broadcast(scale);
    for (int i = 0; i < half; i += kLanes) {
        const int n = half - i < kLanes ? half - i : kLanes;
        const F cosine = load_first(rope + i, n), sine = load_first(rope + half + i, n);
        const F a = load_first(x + i, n), b = load_first(x + half + i, n);
        store_first(out + i, fma(a, cosine, zero() - b * sine) * factor, n);
        store_first(out + half + i, fma(b, cosine, a * sine) * factor, n);
    }
    for (int i = 2 * half; i < head_dim; i += kLanes) {
        const int n = head_dim - i < kLanes ? head_dim - i : kLanes;
        store_first(out + i, load_first(x + i, n) * factor, n);
    }
}

template <class T>
static void store_key(const float* key, int head_dim, T* column) {
    if constexpr (sizeof(T) == 4) {
        for (int d = 0; d < head_dim; ++d) column[d * kPage] = key[d];
    } else {
        uint16_t halves[kLanes];
        for (int d = 0; d < head_dim; d += kLanes) {
            const int n = head_dim - d < kLanes ? head_dim - d : kLanes;
            store_f16(halves, clamp_half(load_first(key + d, n)));
            for (int i = 0; i < n; ++i) column[(d + i) * kPage] = halves[i];
        }
    }
}

// `row` is this position's place in the first slab.
template <class T>
static void store_value(const float* value, int head_dim, T* row) {
    for (int d = 0; d < head_dim; d += kLanes) {
        const int n = head_dim - d < kLanes ? head_dim - d : kLanes;
        const F x = load_first(value + d, n);
        T* target = row + (d / kSlab) * kPage * kSlab + d % kSlab;
        if constexpr (sizeof(T) == 4) store(target, x);
        else store_f16(target, clamp_half(x));
    }
}

template <class T>
static T* head_page(const AttentionJob& job, int sequence, int page, int kv_head) {
    const int64_t id = job.tables[static_cast<int64_t>(sequence) * job.table_width + page];
    return static_cast<T*>(job.pages) + id * job.page_stride + kv_head * job.head_stride;
}

template <class T>
static void rope_and_store_as(const AttentionJob& job, int row) {
    const int D = job.head_dim, H = job.n_heads, K = job.n_kv_heads;
    const int position = job.positions[row], sequence = job.sequence_of_row[row];
    const float* rope = job.rope + static_cast<int64_t>(position) * 2 * job.half;
    const float* x = job.qkv + static_cast<int64_t>(row) * (H + 2 * K) * D;
    float* q = job.q + static_cast<int64_t>(row) * H * D;
    for (int h = 0; h < H; ++h) rotate(x + h * D, rope, job.half, D, job.scale, q + h * D);
    const int slot = position % kPage;
    for (int h = 0; h < K; ++h) {
        T* page = head_page<T>(job, sequence, position / kPage, h);
        float key[512];
        rotate(x + (H + h) * D, rope, job.half, D, 1.0f, key);
        store_key(key, D, page + slot);
        store_value(x + (H + K + h) * D, D, page + D * kPage + slot * kSlab);
    }
}

static void rope_and_store(const AttentionJob& job, int row) {
    if (job.half_pages) rope_and_store_as<uint16_t>(job, row);
    else rope_and_store_as<float>(job, row);
}

// 32 keys for R query rows; q is [D][R].
template <class T, int R>
static void score_panel(const T* keys, const float* q, int head_dim, float* scores, size_t stride) {
    F sum[R][2];
    unroll<R>(GL_EACH(r) { sum[r][0] = sum[r][1] = zero(); });
    for (int d = 0; d < head_dim; ++d, keys += kPage, q += R) {
        const F first = load_element(keys), second = load_element(keys + kLanes);
        unroll<R>(GL_EACH(r) {
            const F value = broadcast(q[r]);
            sum[r][0] = fma(first, value, sum[r][0]);
            sum[r][1] = fma(second, value, sum[r][1]);
        });
    }
    unroll<R>(GL_EACH(r) {
        store(scores + r * stride, sum[r][0]);
        store(scores + r * stride + kLanes, sum[r][1]);
    });
}

// Adds `n` positions of one slab to R rows of 32 dims.
template <class T, int R>
static void value_panel(const T* values, int n, const float* weights, size_t stride, float* mixed) {
    F sum[R][2];
    unroll<R>(GL_EACH(r) {
        sum[r][0] = load(mixed + r * kSlab);
        sum[r][1] = load(mixed + r * kSlab + kLanes);
    });
    for (int i = 0; i < n; ++i, values += kSlab) {
        const F first = load_element(values), second = load_element(values + kLanes);
        unroll<R>(GL_EACH(r) {
            const F weight = broadcast(weights[r * stride + i]);
            sum[r][0] = fma(first, weight, sum[r][0]);
            sum[r][1] = fma(second, weight, sum[r][1]);
        });
    }
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

template <class T>
static void score_panels(const T* keys, const Panels& panels, const float* q, const AttentionJob& job, float* scores, size_t stride) {
    for (int p = 0; p < panels.count; ++p) {
        const int64_t row = panels.first_row(p);
        with_rows<kAttentionRows>(panels.size(p), GL_EACH(R) {
            score_panel<T, decltype(R)::value>(keys, q + row * job.head_dim, job.head_dim, scores + row * stride, stride);
        });
    }
}

template <class T>
static void value_panels(const T* values, int n, const Panels& panels, const float* weights, size_t stride, float* mixed) {
    for (int p = 0; p < panels.count; ++p) {
        const int64_t row = panels.first_row(p);
        with_rows<kAttentionRows>(panels.size(p), GL_EACH(R) {
            value_panel<T, decltype(R)::value>(values, n, weights + row * stride, stride, mixed + row * kSlab);
        });
    }
}

static void widen(const uint16_t* from, int n, float* to) {
    for (int i = 0; i < n; i += kLanes) store(to + i, load_f16(from + i));
}

static int group_of(const AttentionJob& job) { return job.n_heads / job.n_kv_heads; }

// The unit's queries as panels, [panel][D][R].
static void gather_queries(const AttentionJob& job, const AttentionUnit& unit, const Panels& panels, float* q) {
    const int D = job.head_dim, group = group_of(job);
    for (int p = 0; p < panels.count; ++p) {
        const int R = panels.size(p);
        for (int r = 0; r < R; ++r) {
            const int row = panels.first_row(p) + r;
            const int64_t head = static_cast<int64_t>(unit.token + row / group) * job.n_heads + unit.kv_head * group + row % group;
            float* target = q + static_cast<int64_t>(panels.first_row(p)) * D + r;
            for (int d = 0; d < D; ++d) target[d * R] = job.q[head * D + d];
        }
    }
}

static void scores(const AttentionJob& job, const AttentionUnit& unit, int first_page, int last_page, float* scratch) {
    const int rows = unit.n_tokens * group_of(job);
    const Panels panels = Panels::split(rows, kAttentionRows);
    gather_queries(job, unit, panels, scratch);
    float* widened = scratch + (static_cast<int64_t>(rows) * job.head_dim + kLanes - 1) / kLanes * kLanes;
    for (int page = first_page; page < last_page; ++page) {
        float* out = unit.scores + page * kPage;
        if (!job.half_pages) {
            score_panels(head_page<float>(job, unit.sequence, page, unit.kv_head), panels, scratch, job, out, unit.stride);
            continue;
        }
        const uint16_t* keys = head_page<uint16_t>(job, unit.sequence, page, unit.kv_head);
        if (panels.count == 1) {
            score_panels(keys, panels, scratch, job, out, unit.stride);
        } else {
            widen(keys, job.head_dim * kPage, widened);
            score_panels(static_cast<const float*>(widened), panels, scratch, job, out, unit.stride);
        }
    }
}

static void softmax(const AttentionJob& job, const AttentionUnit& unit, int first_row, int last_row) {
    const int group = group_of(job);
    for (int row = first_row; row < last_row; ++row) {
        float* x = unit.scores + row * unit.stride;
        const int n = job.positions[unit.token + row / group] + 1;
        const int whole = n / kLanes * kLanes;
        F largest = broadcast(-__builtin_inff());
        for (int i = 0; i < whole; i += kLanes) largest = max(largest, load(x + i));
        if (whole < n) largest = max(largest, keep_first(load(x + whole), n - whole, -__builtin_inff()));
        const F shift = broadcast(max_lanes(largest));
        F sum = zero();
        for (int i = 0; i < whole; i += kLanes) {
            const F weight = exp_lanes(load(x + i) - shift);
            store(x + i, weight);
            sum = sum + weight;
        }
        int i = whole;
        if (whole < n) {
            const F weight = keep_first(exp_lanes(load(x + whole) - shift), n - whole, 0.0f);
            store(x + whole, weight);
            sum = sum + weight;
            i += kLanes;
        }
        for (; i < static_cast<int>(unit.stride); i += kLanes) store(x + i, zero());
        unit.inverse[row] = 1.0f / sum_lanes(sum);
    }
}

static void values(const AttentionJob& job, const AttentionUnit& unit, int first_slab, int last_slab, float* scratch) {
    const int D = job.head_dim, group = group_of(job), rows = unit.n_tokens * group;
    const Panels panels = Panels::split(rows, kAttentionRows);
    float* mixed = scratch;
    float* widened = scratch + static_cast<int64_t>(rows) * kSlab;
    for (int slab = first_slab; slab < last_slab; ++slab) {
        for (int i = 0; i < rows * kSlab; i += kLanes) store(mixed + i, zero());
        for (int page = 0; page * kPage < unit.n_keys; ++page) {
            // Positions not written yet may hold anything: not even a weight of zero may meet them.
            const int n = unit.n_keys - page * kPage < kPage ? unit.n_keys - page * kPage : kPage;
            const float* weights = unit.scores + page * kPage;
            const int64_t start = D * kPage + static_cast<int64_t>(slab) * kPage * kSlab;
            if (!job.half_pages) {
                const float* source = head_page<float>(job, unit.sequence, page, unit.kv_head) + start;
                value_panels(source, n, panels, weights, unit.stride, mixed);
                continue;
            }
            const uint16_t* source = head_page<uint16_t>(job, unit.sequence, page, unit.kv_head) + start;
            if (panels.count == 1) {
                value_panels(source, n, panels, weights, unit.stride, mixed);
            } else {
                widen(source, n * kSlab, widened);
                value_panels(static_cast<const float*>(widened), n, panels, weights, unit.stride, mixed);
            }
        }
        for (int row = 0; row < rows; ++row) {
            const int64_t head = static_cast<int64_t>(unit.token + row / group) * job.n_heads + unit.kv_head * group + row % group;
            const F inverse = broadcast(unit.inverse[row]);
            for (int d = slab * kSlab, i = 0; i < kSlab && d < D; i += kLanes, d += kLanes) {
                store_first(job.out + head * D + d, load(mixed + row * kSlab + i) * inverse, D - d < kLanes ? D - d : kLanes);
            }
        }
    }
}

}  // namespace greenlight::GREENLIGHT_ISA
