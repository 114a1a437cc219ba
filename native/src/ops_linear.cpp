// How is a product cut into work? Rows are prepared once, then threads take tiles: outputs are split, sums never.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "ops.h"

namespace greenlight {

namespace {

int tiles_of(const Linear& weight) {
    int n = 0;
    for (const Segment& segment : weight.segments) n += segment.n_tiles;
    return n;
}

// Calls fn(segment, first, last) for the tiles [first, last) of all segments counted through.
template <class Fn>
void each_segment(const Linear& weight, int first, int last, const Fn& fn) {
    int start = 0;
    for (const Segment& segment : weight.segments) {
        const int from = std::max(first, start), to = std::min(last, start + segment.n_tiles);
        if (from < to) fn(segment, from - start, to - start);
        start += segment.n_tiles;
    }
}

// Where a panel begins that holds this row first.
QuantRows panel_at(const QuantRows& rows, int first, int k) {
    if (!rows.quant) return {};
    const size_t values = static_cast<size_t>(first) * k, blocks = values / kBlock;
    return {rows.quant + values, rows.meta + blocks * kMetaWords,
            rows.half_meta ? rows.half_meta + blocks * kHalfWords : nullptr};
}

// What rounding to int8 took from one row of a panel. One piece of code for every instruction set: so are its bits.
void remainder_of(const float* x, int k, int place, int height, const QuantRows& panel, float* rest) {
    for (int b = 0; b < k / kBlock; ++b) {
        const float scale = panel.meta[(b * kMetaWords + kScale) * height + place];
        for (int j = 0; j < kBlock / 4; ++j) {
            const int8_t* four = panel.quant + ((b * (kBlock / 4) + j) * static_cast<int64_t>(height) + place) * 4;
            for (int i = 0; i < 4; ++i, ++x, ++rest) *rest = *x - scale * static_cast<float>(four[i]);
        }
    }
}

}  // namespace

QuantRows QuantMemory::room(size_t values, bool halves) {
    QuantRows rows{quant.at_least<int8_t>(values), meta.at_least<float>(values / kBlock * kMetaWords), nullptr};
    if (halves) rows.half_meta = half_meta.at_least<float>(values / kBlock * kHalfWords);
    return rows;
}

LinearJob Context::plan(int rows, const Linear& weight) {
    LinearJob job{};
    job.k = weight.k;
    job.wide = rows > (weight.compact ? 1 : kernels_.narrow_rows);
    int quant_rows = job.wide ? kernels_.wide_rows : kernels_.narrow_rows;
    int float_rows = job.wide ? kernels_.float_wide_rows : kernels_.float_narrow_rows;
    if (weight.quantised && weight.floats) quant_rows = float_rows = std::min(quant_rows, float_rows);
    job.quant_panels = Panels::split(rows, quant_rows);
    job.float_panels = Panels::split(rows, float_rows);
    const size_t values = static_cast<size_t>(rows) * weight.k;
    if (weight.quantised) job.high = high_.room(values, weight.halves);
    if (weight.quantised && exact_) job.low = low_.room(values, weight.halves);
    if (weight.floats) job.floats = floats_.at_least<float>(values);
    reserve_per_thread(linear_scratch_bytes(weight.k) + 2 * weight.k * sizeof(float));
    return job;
}

void Context::prepare(const LinearJob& job, const Linear& weight, const float* x, int row, const Norm* norm, float eps,
                      float* normed) const {
    if (norm) {
        kernels_.rms_norm(x, norm->weight.data(), eps, job.k, normed);
        x = normed;
    }
    if (weight.quantised) {
        const int panel = job.quant_panels.panel_of(row), first = job.quant_panels.first_row(panel);
        const int place = row - first, height = job.quant_panels.size(panel);
        const QuantRows high = panel_at(job.high, first, job.k), low = panel_at(job.low, first, job.k);
        kernels_.quantise_row(x, job.k, place, height, high.quant, high.meta, high.half_meta);
        if (low.quant) {
            float* rest = normed + job.k;
            remainder_of(x, job.k, place, height, high, rest);
            kernels_.quantise_row(rest, job.k, place, height, low.quant, low.meta, low.half_meta);
        }
    }
    if (weight.floats) {
        const int panel = job.float_panels.panel_of(row), first = job.float_panels.first_row(panel);
        float* panel_data = job.floats + static_cast<size_t>(first) * job.k;
        kernels_.float_row(x, job.k, row - first, job.float_panels.size(panel), panel_data);
    }
}

void Context::prepare_all(const LinearJob& job, const Linear& weight, const float* x, const Norm* norm, float eps) {
    const int rows = weight.quantised ? job.quant_panels.rows : job.float_panels.rows;
    const int portion = std::max(rows < 8 ? rows : 4, rows / (8 * Pool::instance().size()));
    Pool::instance().share(rows, portion, [&](int thread, int first, int last) {
        float* normed = reinterpret_cast<float*>(own<uint8_t>(thread) + linear_scratch_bytes(weight.k));
        for (int row = first; row < last; ++row) {
            prepare(job, weight, x + static_cast<size_t>(row) * weight.k, row, norm, eps, normed);
        }
    });
}

Array Context::product(const Step& step, const Array& x, const Norm* norm, float eps, const Linear& weight,
                       const Array* residual, Glu glu) {
    check(step);
    check(x);
    need(x.columns == weight.k, "the weight takes another number of inputs than the array has");
    need(!norm || static_cast<int>(norm->weight.size()) == weight.k, "the norm has another width than its input");
    if (residual) {
        check(*residual);
        need(residual->rows == x.rows && residual->columns == weight.n,
             "the residual has another shape than the product");
    }
    Array out = make(step, x.rows, weight.n);
    if (!x.rows) return out;
    Pool& pool = Pool::instance();
    std::lock_guard lock(pool.exclusive);
    LinearJob job = plan(x.rows, weight);
    job.out = out.data();
    job.out_stride = weight.n;
    job.residual = residual ? residual->data() : nullptr;
    job.glu = glu;
    prepare_all(job, weight, x.data(), norm, eps);
    const int n_tiles = tiles_of(weight);
    // Few rows: memory is the limit, and it likes long streams. Many rows: balance matters more.
    const int portion = job.wide ? (weight.paired ? 2 : 4) : std::max(1, n_tiles / (4 * pool.size()));
    pool.share(n_tiles, portion, [&](int thread, int first, int last) {
        each_segment(weight, first, last, [&](const Segment& segment, int from, int to) {
            kernels_.linear_tiles(job, segment, from, to, own<uint8_t>(thread));
        });
    });
    return out;
}

Logprobs Context::token_logprobs(const Step& step, const Array& x, const Linear& head,
                                 const std::vector<int32_t>& targets, float softcap) {
    check(step);
    check(x);
    need(x.columns == head.k && !head.paired, "the head takes another number of inputs than the array has");
    need(static_cast<int>(targets.size()) == x.rows, "targets must be one per row of x");
    for (const int32_t target : targets) {
        if (target < 0 || target >= head.n)
            throw std::out_of_range("target " + std::to_string(target) + " is outside the vocabulary");
    }
    Logprobs result{std::vector<float>(x.rows), std::vector<uint8_t>(x.rows)};
    std::lock_guard lock(Pool::instance().exclusive);
    constexpr int kRows = 512;
    for (int start = 0; start < x.rows; start += kRows) {
        const int rows = std::min(kRows, x.rows - start);
        const std::vector<LogitState> states = see_logits(x.row(start), rows, head, &targets[start], softcap);
        for (int row = 0; row < rows; ++row) {
            const LogitState& state = states[row];
            result.values[start + row] =
                static_cast<float>(static_cast<double>(state.target) - state.max - std::log(state.sum));
            result.greedy[start + row] = state.argmax == targets[start + row];
        }
    }
    return result;
}

// 512 rows of 4,096 logits at a time: 8 MB, whatever the vocabulary.
std::vector<LogitState> Context::see_logits(const float* x, int rows, const Linear& head, const int32_t* targets,
                                            float softcap) {
    constexpr int kTiles = 256;
    Pool& pool = Pool::instance();
    LinearJob job = plan(rows, head);
    job.out_stride = kTiles * kLanes;
    job.out = strip_.at_least<float>(rows * job.out_stride + kLanes);
    std::vector<LogitState> states(rows, {-std::numeric_limits<float>::infinity(), 0, 0.0, 0.0f});
    prepare_all(job, head, x, nullptr, 0.0f);
    for (const Segment& segment : head.segments) {
        for (int tile = 0; tile < segment.n_tiles; tile += kTiles) {
            const int n_tiles = std::min(kTiles, segment.n_tiles - tile);
            const int columns = std::min(n_tiles * kLanes, segment.n - tile * kLanes);
            job.out_column = segment.column + tile * kLanes;
            pool.share(n_tiles, 4, [&](int thread, int first, int last) {
                kernels_.linear_tiles(job, segment, tile + first, tile + last, own<uint8_t>(thread));
            });
            pool.share(rows, 4, [&](int, int first, int last) {
                for (int row = first; row < last; ++row) {
                    float* strip = job.out + row * job.out_stride;
                    if (softcap > 0.0f) kernels_.softcap(strip, softcap, columns, strip);
                    kernels_.logits(strip, columns, job.out_column, targets[row], states[row]);
                }
            });
        }
    }
    return states;
}

}  // namespace greenlight
