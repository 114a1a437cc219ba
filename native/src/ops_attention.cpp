// How is attention cut into work? Into units of some rows and one kv head, and where those are too few, into phases.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "ops.h"

namespace greenlight {

Heads::Heads(int n_heads, int n_kv_heads, int head_dim, float scale, std::vector<float> inv_freq, float rope_scale,
             int window, float softcap, int norm, float norm_eps, float temperature_beta, int temperature_length,
             bool shared)
    : n_heads(n_heads),
      n_kv_heads(n_kv_heads),
      head_dim(head_dim),
      scale(scale),
      window(window),
      softcap(softcap),
      norm(static_cast<HeadNorm>(norm)),
      norm_eps(norm_eps),
      temperature_beta(temperature_beta),
      temperature_length(temperature_length),
      shared(shared),
      inv_freq_(std::move(inv_freq)),
      rope_scale_(rope_scale) {
    if (n_heads < 1 || n_heads > kMostHeads || n_kv_heads < 1 || n_heads % n_kv_heads)
        throw std::invalid_argument("n_heads must be a multiple of n_kv_heads, and no more than 65,536");
    if (n_heads / n_kv_heads > kMostUnitRows)
        throw std::invalid_argument("n_heads: too many query heads share one kv head");
    if (temperature_beta != 0.0f && temperature_length < 1)
        throw std::invalid_argument("temperature_length must be 1 or more");
    if (window < 0) throw std::invalid_argument("window must not be negative");
    if (!(softcap >= 0.0f)) throw std::invalid_argument("softcap must not be negative");
    if (norm < 0 || norm > 2) throw std::invalid_argument("norm must be 0, 1 or 2");
    if (head_dim < 1 || head_dim > 512) throw std::invalid_argument("head_dim must be between 1 and 512");
    if (2 * half() > head_dim) throw std::invalid_argument("inv_freq: rope rotates more dims than head_dim");
}

const float* Heads::rope(int n_positions) {
    if (n_positions > n_positions_) {
        const int target = (n_positions + 1023) / 1024 * 1024, n = half();
        table_.resize(static_cast<size_t>(target) * 2 * n);
        for (int position = n_positions_; position < target; ++position) {
            float* row = table_.data() + static_cast<size_t>(position) * 2 * n;
            for (int i = 0; i < n; ++i) {
                // The angle in float32, as Hugging Face computes it; sine and cosine of that angle as exact as can be.
                const double angle = static_cast<float>(position) * inv_freq_[i];
                row[i] = static_cast<float>(std::cos(angle)) * rope_scale_;
                row[n + i] = static_cast<float>(std::sin(angle)) * rope_scale_;
            }
        }
        n_positions_ = target;
    }
    return table_.data();
}

namespace {

// Rows that share widened keys: enough that widening costs little, few enough that their scores stay in the cache.
constexpr int kUnitRows = 48;

// So many products of queries and keys are worth three tasks instead of one. Below that (one row of the default model
// after up to 256 others) waiting for threads to join costs more than an uneven share: 2 % of a token.
constexpr int64_t kWorthPhases = 150'000;

std::vector<AttentionUnit> cut(const Step& step, int n_kv_heads, int group, int window) {
    std::vector<AttentionUnit> units;
    const int most = std::max(1, kUnitRows / group);
    for (int b = 0; b < step.n_sequences; ++b) {
        // The longest units first: the last ones to be taken should be small.
        for (int last = step.starts[b + 1]; last > step.starts[b]; last -= most) {
            const int first = std::max(step.starts[b], last - most);
            const int n_keys = step.positions[last - 1] + 1;
            const int n_pages = (n_keys + kPage - 1) / kPage;
            const size_t stride = static_cast<size_t>(n_pages) * kPage + kLanes;
            // Of the first row, which sees furthest back.
            const int seen = window ? std::max(0, step.positions[first] + 1 - window) : 0;
            for (int h = 0; h < n_kv_heads; ++h)
                units.push_back({b, h, first, last - first, n_keys, n_pages, seen / kPage, stride, nullptr, nullptr});
        }
    }
    return units;
}

size_t score_floats(const AttentionUnit& unit, int group) {
    const size_t rows = static_cast<size_t>(unit.n_tokens) * group;
    return rows * unit.stride + (rows + kLanes - 1) / kLanes * kLanes;
}

void place(AttentionUnit& unit, int group, float* memory) {
    unit.scores = memory;
    unit.inverse = memory + static_cast<size_t>(unit.n_tokens) * group * unit.stride;
}

void check_norms(const Heads& heads, const HeadNorms& norms) {
    const size_t H = heads.n_heads, K = heads.n_kv_heads, D = heads.head_dim;
    const auto fits = [](const Norm* norm, size_t size) { return norm && norm->weight.size() == size; };
    if (heads.norm != HeadNorm::none) {
        const bool whole = heads.norm == HeadNorm::projection;
        need(fits(norms.q, whole ? H * D : D) && (heads.shared || fits(norms.k, whole ? K * D : D)),
             "q_norm and k_norm must be as wide as what they norm");
    }
    need(!norms.v || fits(norms.v, D), "v_norm must be as wide as a head");
    need(!norms.sinks || fits(norms.sinks, H), "sinks must be one per query head");
}

void check_attention(const Step& step, const Array& qkv, int layer, const Heads& heads, const HeadNorms& norms) {
    const Pages& pages = *step.pages;
    if (layer < 0 || layer >= static_cast<int>(pages.layers.size()))
        throw std::out_of_range("the pages have no layer " + std::to_string(layer));
    const LayerShape& shape = pages.layers[layer];
    need(shape.n_kv_heads == heads.n_kv_heads && shape.head_dim == heads.head_dim,
         "heads: the pages were made for others");
    need(!shape.window || (heads.window && heads.window <= shape.window),
         "heads: their window sees further back than pages are kept");
    const int H = heads.n_heads, K = heads.n_kv_heads;
    need(qkv.rows == step.n_rows && qkv.columns == (heads.shared ? H : H + 2 * K) * heads.head_dim,
         "qkv must be (T, (H + 2K)·D), or (T, H·D) where keys and values are shared");
    check_norms(heads, norms);
}

const float* weight_of(const Norm* norm) { return norm ? norm->weight.data() : nullptr; }

// All but where queries and results go.
AttentionJob job_of(const Step& step, const Array& qkv, int layer, Heads& heads, const HeadNorms& norms) {
    const Pages& pages = *step.pages;
    AttentionJob job{};
    job.n_heads = heads.n_heads, job.n_kv_heads = heads.n_kv_heads, job.head_dim = heads.head_dim;
    job.half = heads.half(), job.slabs = (heads.head_dim + kSlab - 1) / kSlab;
    job.scale = heads.scale;
    job.window = heads.window, job.softcap = heads.softcap;
    job.norm = heads.norm, job.norm_eps = heads.norm_eps;
    job.q_norm = weight_of(norms.q), job.k_norm = weight_of(norms.k), job.v_norm = weight_of(norms.v);
    job.sinks = weight_of(norms.sinks);
    job.shared = heads.shared;
    job.temperature_beta = heads.temperature_beta, job.temperature_length = heads.temperature_length;
    job.rope = heads.rope(*std::max_element(step.positions.begin(), step.positions.end()) + 1);
    job.qkv = qkv.data();
    job.pages = pages.data(layer), job.half_pages = pages.half;
    job.page_stride = pages.page_stride(), job.head_stride = pages.head_stride(layer);
    job.tables = step.table(pages.layers[layer].group), job.table_width = step.table_width;
    job.sequence_of_row = step.sequence_of_row.data(), job.positions = step.positions.data();
    return job;
}

// Shares the pieces of all units, counted through, and calls fn(thread, unit, first, last).
template <class Pieces, class Fn>
void share_pieces(const std::vector<AttentionUnit>& units, int portion, const Pieces& pieces, const Fn& fn) {
    int total = 0;
    for (const AttentionUnit& unit : units) total += pieces(unit);
    Pool::instance().share(total, portion, [&](int thread, int first, int last) {
        int start = 0;
        for (const AttentionUnit& unit : units) {
            const int n = pieces(unit), from = std::max(first, start), to = std::min(last, start + n);
            if (from < to) fn(thread, unit, from - start, to - start);
            start += n;
        }
    });
}

}  // namespace

void Context::run_units(const AttentionJob& job, const std::vector<AttentionUnit>& units) {
    const int group = job.n_heads / job.n_kv_heads;
    Pool::instance().share(static_cast<int>(units.size()), 1, [&](int thread, int first, int last) {
        float* scratch = own<float>(thread);
        for (int i = first; i < last; ++i) {
            AttentionUnit unit = units[i];
            place(unit, group, scratch + attention_scratch_floats(unit.n_tokens * group, job.head_dim));
            kernels_.scores(job, unit, unit.first_page, unit.n_pages, scratch);
            kernels_.softmax(job, unit, 0, unit.n_tokens * group);
            kernels_.values(job, unit, 0, job.slabs, scratch);
        }
    });
}

void Context::run_phases(const AttentionJob& job, const std::vector<AttentionUnit>& units) {
    const int group = job.n_heads / job.n_kv_heads;
    // Pieces too small to share are done in one go by the caller.
    share_pieces(
        units, 4, [](const AttentionUnit& unit) { return unit.n_pages - unit.first_page; },
        [&](int thread, const AttentionUnit& unit, int first, int last) {
            kernels_.scores(job, unit, unit.first_page + first, unit.first_page + last, own<float>(thread));
        });
    const bool short_rows = units.front().n_keys < 256;
    share_pieces(
        units, short_rows ? 16 : 1, [&](const AttentionUnit& unit) { return unit.n_tokens * group; },
        [&](int, const AttentionUnit& unit, int first, int last) { kernels_.softmax(job, unit, first, last); });
    share_pieces(
        units, short_rows ? 4 : 1, [&](const AttentionUnit&) { return job.slabs; },
        [&](int thread, const AttentionUnit& unit, int first, int last) {
            kernels_.values(job, unit, first, last, own<float>(thread));
        });
}

void Context::attend(const AttentionJob& job, std::vector<AttentionUnit>& units) {
    const int group = job.n_heads / job.n_kv_heads, threads = Pool::instance().size();
    size_t most_scratch = 0, most_scores = 0, all_scores = 0;
    int64_t products = 0;
    for (const AttentionUnit& unit : units) {
        const int64_t seen = unit.n_keys - unit.first_page * kPage;
        products += seen * unit.n_tokens * group * job.head_dim;
        most_scratch = std::max(most_scratch, attention_scratch_floats(unit.n_tokens * group, job.head_dim));
        most_scores = std::max(most_scores, score_floats(unit, group));
        all_scores += score_floats(unit, group);
    }
    const bool phases = threads > 1 && static_cast<int>(units.size()) < 4 * threads && products > kWorthPhases;
    reserve_per_thread((most_scratch + (phases ? 0 : most_scores)) * sizeof(float));
    if (!phases) return run_units(job, units);
    float* memory = scores_.at_least<float>(all_scores);
    for (AttentionUnit& unit : units) {
        place(unit, group, memory);
        memory += score_floats(unit, group);
    }
    run_phases(job, units);
}

Array Context::attention(const Step& step, const Array& qkv, int layer, Heads& heads, const Norm* q_norm,
                         const Norm* k_norm, const Norm* v_norm, const Norm* sinks) {
    check(step);
    check(qkv);
    const HeadNorms norms{q_norm, k_norm, v_norm, sinks};
    check_attention(step, qkv, layer, heads, norms);
    const int H = heads.n_heads, K = heads.n_kv_heads, D = heads.head_dim;
    Array out = make(step, step.n_rows, H * D);
    Pool& pool = Pool::instance();
    std::lock_guard lock(pool.exclusive);
    AttentionJob job = job_of(step, qkv, layer, heads, norms);
    job.q = queries_.at_least<float>(static_cast<size_t>(step.n_rows) * H * D);
    job.out = out.data();
    pool.share(step.n_rows, 4, [&](int, int first, int last) {
        for (int row = first; row < last; ++row) kernels_.rope_and_store(job, row);
    });
    std::vector<AttentionUnit> units = cut(step, K, H / K, heads.window);
    attend(job, units);
    return out;
}

}  // namespace greenlight
