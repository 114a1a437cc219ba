// How do a row's queries turn, and its keys and values come into their page?
//
// What one page holds of one kv head of D dims, in f16 or f32. Keys lie across, a position to a lane, so that scores of
// 16 positions grow side by side; values lie along, a dim to a lane, so that 16 dims do.
//
//   keys           position 0   1    ...   31
//     dim 0      | k[0]       | k[0] | ... | k[0] |       D lines of 32
//       ...
//     dim D-1    |            |      |     |      |
//   values, slab 0   dim 0      1    ...   31
//     position 0   | v[0]     | v[1] | ... | v[31] |      32 lines of 32
//       ...
//     position 31  |          |      |     |       |
//   values, slab 1: dims 32 to 63, and so on
#pragma once

#include "rows.inl"

namespace greenlight::GREENLIGHT_ISA {

// Half precision ends at 65504; a larger value is kept there rather than made infinite, which would poison every sum.
GL_INLINE F clamp_half(F x) { return min(broadcast(65504.0f), max(broadcast(-65504.0f), x)); }

static void rotate(const float* x, const float* rope, int half, int head_dim, float scale, float* out) {
    const F factor = broadcast(scale);
    each_vector(0, half, [&](int i, auto n) __attribute__((always_inline)) {
        const F cosine = load_some(rope + i, n), sine = load_some(rope + half + i, n);
        const F a = load_some(x + i, n), b = load_some(x + half + i, n);
        store_some(out + i, fma(a, cosine, zero() - b * sine) * factor, n);
        store_some(out + half + i, fma(b, cosine, a * sine) * factor, n);
    });
    each_vector(2 * half, head_dim, [&](int i, auto n) __attribute__((always_inline)) {
        store_some(out + i, load_some(x + i, n) * factor, n);
    });
}

template <class T>
static void store_key(const float* key, int head_dim, T* column) {
    if constexpr (sizeof(T) == 4) {
        for (int d = 0; d < head_dim; ++d) column[d * kPage] = key[d];
    } else {
        uint16_t halves[kLanes];
        each_vector(0, head_dim, [&](int d, auto n) __attribute__((always_inline)) {
            store_f16(halves, clamp_half(load_some(key + d, n)));
            for (int i = 0; i < n; ++i) column[(d + i) * kPage] = halves[i];
        });
    }
}

// `row` is this position's place in the first slab.
template <class T>
static void store_value(const float* value, int head_dim, T* row) {
    each_vector(0, head_dim, [&](int d, auto n) __attribute__((always_inline)) {
        const F x = load_some(value + d, n);
        T* target = row + (d / kSlab) * kPage * kSlab + d % kSlab;
        if constexpr (sizeof(T) == 4) store(target, x);
        else store_f16(target, clamp_half(x));
    });
}

template <class T>
static T* head_page(const AttentionJob& job, int sequence, int page, int kv_head) {
    const int64_t id = job.tables[static_cast<int64_t>(sequence) * job.table_width + page];
    return static_cast<T*>(job.pages) + id * job.page_stride + kv_head * job.head_stride;
}

// Queries or keys of one row as their norm leaves them; `out` has room for them.
static const float* normed(const AttentionJob& job, const float* x, const float* weight, int heads, float* out) {
    const int D = job.head_dim;
    if (job.norm == HeadNorm::none) return x;
    if (job.norm == HeadNorm::projection) rms_norm(x, weight, job.norm_eps, heads * D, out);
    else
        for (int h = 0; h < heads; ++h) rms_norm(x + h * D, weight, job.norm_eps, D, out + h * D);
    return out;
}

// Queries' factor: positions beyond each `temperature_length` make them larger (see AttentionSpec).
static float query_scale(const AttentionJob& job, int position) {
    if (job.temperature_beta == 0.0f) return job.scale;
    const double stretches = position / job.temperature_length;
    return job.scale * (1.0f + job.temperature_beta * static_cast<float>(::log(1.0 + stretches)));
}

template <class T>
static void rope_and_store_as(const AttentionJob& job, int row) {
    const int D = job.head_dim, H = job.n_heads, K = job.n_kv_heads;
    const int position = job.positions[row], sequence = job.sequence_of_row[row];
    const float* rope = job.rope + static_cast<int64_t>(position) * 2 * job.half;
    const float* x = job.qkv + static_cast<int64_t>(row) * (job.shared ? H : H + 2 * K) * D;
    float* q = job.q + static_cast<int64_t>(row) * H * D;
    const float* source = normed(job, x, job.q_norm, H, q);
    const float scale = query_scale(job, position);
    for (int h = 0; h < H; ++h) rotate(source + h * D, rope, job.half, D, scale, q + h * D);
    if (job.shared) return;
    // The row's place in `out` is free until its values are mixed, and no narrower than its keys.
    const float* keys = normed(job, x + H * D, job.k_norm, K, job.out + static_cast<int64_t>(row) * H * D);
    const int slot = position % kPage;
    for (int h = 0; h < K; ++h) {
        T* page = head_page<T>(job, sequence, position / kPage, h);
        float key[512], normed_value[512];
        rotate(keys + h * D, rope, job.half, D, 1.0f, key);
        store_key(key, D, page + slot);
        const float* value = x + (H + K + h) * D;
        if (job.v_norm) {
            rms_norm(value, job.v_norm, job.norm_eps, D, normed_value);
            value = normed_value;
        }
        store_value(value, D, page + D * kPage + slot * kSlab);
    }
}

static void rope_and_store(const AttentionJob& job, int row) {
    if (job.half_pages) rope_and_store_as<uint16_t>(job, row);
    else rope_and_store_as<float>(job, row);
}

}  // namespace greenlight::GREENLIGHT_ISA
