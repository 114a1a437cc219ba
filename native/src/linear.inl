// How are the outputs of a linear computed? Tile by tile, each against all panels of rows; then bias, residual or gate.
#pragma once

#include "activations.inl"
#include "choose.inl"

namespace greenlight::GREENLIGHT_ISA {

GL_INLINE void put(const LinearJob& job, int row, int column, F value, int n) {
    float* out = job.out + row * job.out_stride + (column - job.out_column);
    if (n >= kLanes) {
        if (job.residual) value = load(job.residual + (out - job.out)) + value;
        store(out, value);
    } else {
        if (job.residual) value = load_first(job.residual + (out - job.out), n) + value;
        store_first(out, value, n);
    }
}

// Bias, residual or gated activation, and the store. results: [tile][rows][16].
static void finish(const LinearJob& job, const Segment& segment, int tile, int n_tiles, int first_row, int rows,
                   const float* results) {
    const int n = segment.n - tile * kLanes;
    const int column = segment.column + tile * kLanes;
    if (segment.paired) {
        const F gate_bias = segment.bias ? load(segment.bias + tile * kLanes) : zero();
        const F up_bias = segment.up_bias ? load(segment.up_bias + tile * kLanes) : zero();
        for (int r = 0; r < rows; ++r) {
            F gate = load(results + r * kLanes), up = load(results + (rows + r) * kLanes);
            if (segment.bias) gate = gate + gate_bias;
            if (segment.up_bias) up = up + up_bias;
            put(job, first_row + r, column, gated(job.glu, gate, up), n);
        }
        return;
    }
    for (int t = 0; t < n_tiles; ++t) {
        const F bias = segment.bias ? load(segment.bias + (tile + t) * kLanes) : zero();
        for (int r = 0; r < rows; ++r) {
            F value = load(results + (t * rows + r) * kLanes);
            if (segment.bias) value = value + bias;
            put(job, first_row + r, column + t * kLanes, value, n - t * kLanes);
        }
    }
}

// One matrix's tile, or two neighbours of one kind. A single tile where kernels take two is given twice: rarer than it
// is worth kernels of its own.
struct Tiles {
    Kind kind;
    const uint8_t* data[2];
    int count;
};

static constexpr int kMostRows = kNarrowRows > kFloatWideRows ? kNarrowRows : kFloatWideRows;
// Room for two tiles of a panel, and for the second tile that a kernel writes though only one was asked for.
static constexpr int kResults = 3 * kMostRows * kLanes;

static void multiply_quant(const LinearJob& job, const QuantRows& x, const Tiles& tiles, int panel, float* results) {
    const int n_blocks = job.k / kBlock;
    const int64_t row = job.quant_panels.first_row(panel);
    const float* halves = x.half_meta ? x.half_meta + row * n_blocks * kHalfWords : nullptr;
    const QuantKernel kernel = find_quant(tiles.kind, job.quant_panels.size(panel), job.wide);
    kernel(tiles.data[0], tiles.data[1], x.quant + row * job.k, x.meta + row * n_blocks * kMetaWords, halves, n_blocks,
           results);
}

static void multiply(const LinearJob& job, const Tiles& tiles, int panel, float* results) {
    if (is_quantised(tiles.kind)) {
        multiply_quant(job, job.high, tiles, panel, results);
        if (!job.low.quant) return;
        alignas(64) float rest[kResults];
        multiply_quant(job, job.low, tiles, panel, rest);
        const int n = (job.wide ? kWideTiles : 1) * job.quant_panels.size(panel) * kLanes;
        for (int i = 0; i < n; i += kLanes) store(results + i, load(results + i) + load(rest + i));
        return;
    }
    const int64_t row = job.float_panels.first_row(panel);
    const FloatKernel kernel = find_float(tiles.kind, job.float_panels.size(panel), job.wide);
    kernel(tiles.data[0], tiles.data[1], job.floats + row * job.k, job.k, results);
}

static Tiles take(const LinearJob& job, Kind kind, const uint8_t* first, const uint8_t* second, uint8_t* scratch) {
    Tiles tiles{kind, {first, second}, second ? 2 : 1};
    if (job.wide && is_quantised(kind)) {
        const int n_blocks = job.k / kBlock;
        tiles.data[0] = unpack(kind, first, n_blocks, scratch);
        if (second) tiles.data[1] = unpack(kind, second, n_blocks, scratch + n_blocks * kUnpackedStep);
    }
    if (!second) tiles.data[1] = tiles.data[0];
    return tiles;
}

// While a panel is computed, its share of the tiles that come next moves closer.
static void prefetch_part(const uint8_t* next, size_t bytes, int panel, int n_panels) {
    const size_t first = bytes * panel / n_panels / 64 * 64;
    prefetch(next + first, bytes * (panel + 1) / n_panels - first);
}

// The lines a panel's results will go to: by the time they are computed, the lines are there.
static void prefetch_results(const LinearJob& job, const Segment& segment, int tile, int first_row, int rows) {
    for (int row = first_row; row < first_row + rows; ++row) {
        const int64_t at = row * static_cast<int64_t>(job.out_stride) + segment.column + tile * kLanes - job.out_column;
        __builtin_prefetch(job.out + at, 1, 3);
        __builtin_prefetch(job.out + at + kLanes, 1, 3);
        if (!job.residual) continue;
        __builtin_prefetch(job.residual + at, 0, 3);
        __builtin_prefetch(job.residual + at + kLanes, 0, 3);
    }
}

static void paired_tile(const LinearJob& job, const Segment& segment, int tile, uint8_t* scratch) {
    const uint8_t* gate = segment.data + tile * segment.tile_bytes;
    const uint8_t* up = gate + segment.up_offset;
    alignas(64) float results[kResults];
    const bool together = job.wide && kWideTiles == 2 && segment.kind == segment.up_kind;
    const bool quantised = is_quantised(segment.kind);
    const Panels& panels = quantised ? job.quant_panels : job.float_panels;
    const Tiles first = take(job, segment.kind, gate, together ? up : nullptr, scratch);
    uint8_t* scratch_up = scratch + job.k / kBlock * kUnpackedStep;
    const Tiles second = together ? first : take(job, segment.up_kind, up, nullptr, scratch_up);
    for (int p = 0; p < panels.count; ++p) {
        if (job.wide) prefetch_part(gate + segment.tile_bytes, segment.tile_bytes, p, panels.count);
        prefetch_results(job, segment, tile, panels.first_row(p), panels.size(p));
        multiply(job, first, p, results);
        if (!together) multiply(job, second, p, results + panels.size(p) * kLanes);
        finish(job, segment, tile, 2, panels.first_row(p), panels.size(p), results);
    }
}

static void linear_tiles(const LinearJob& job, const Segment& segment, int first, int last, uint8_t* scratch) {
    if (segment.paired) {
        for (int tile = first; tile < last; ++tile) paired_tile(job, segment, tile, scratch);
        return;
    }
    const int step = job.wide ? kWideTiles : 1;
    const Panels& panels = is_quantised(segment.kind) ? job.quant_panels : job.float_panels;
    alignas(64) float results[kResults];
    for (int tile = first; tile < last; tile += step) {
        const uint8_t* data = segment.data + tile * segment.tile_bytes;
        const bool two = step == 2 && tile + 1 < last;
        const Tiles tiles = take(job, segment.kind, data, two ? data + segment.tile_bytes : nullptr, scratch);
        for (int p = 0; p < panels.count; ++p) {
            if (job.wide) prefetch_part(data + step * segment.tile_bytes, step * segment.tile_bytes, p, panels.count);
            prefetch_results(job, segment, tile, panels.first_row(p), panels.size(p));
            multiply(job, tiles, p, results);
            finish(job, segment, tile, tiles.count, panels.first_row(p), panels.size(p), results);
        }
    }
}

}  // namespace greenlight::GREENLIGHT_ISA
