// How is a product computed? Integer dot products per 32 inputs, one float fma per output and block, blocks in order.
//
// The sum of one output is the same chain of operations whatever stands beside it, so its bits depend on its own row
// and its own weights only: not on the batch, the panel it fell into, the tile pair, or the thread.
#pragma once

namespace greenlight::GREENLIGHT_ISA {

// How far ahead a stream of weights asks for memory. The hardware's own prefetchers stop at each 4 KB page and need a
// few lines to start again: this is worth 15 % at one row, 40 % at four.
constexpr int kAhead = 4096;

GL_INLINE void prefetch(const uint8_t* p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 3);
}

// Where a kernel reads 32 inputs of a tile from. lines(j): inputs 4j..4j+3 and 16+4j..16+4j+3 of 16 rows.
template <bool has_minimum>
struct PackedQ4 {
    static constexpr bool wide_range = false, minimum = has_minimum;
    static constexpr size_t step = has_minimum ? 320 : 288;
    static constexpr int offset = has_minimum ? -1 : static_cast<int>(kOffset8);
    GL_INLINE void lines(const uint8_t* block, int j, Line& low, Line& high) {
        const Line line = load_line(block + 64 * j);
        low = low_nibbles(line);
        high = high_nibbles(line);
    }
    GL_INLINE F scales(const uint8_t* block) { return load_f16(reinterpret_cast<const uint16_t*>(block + 256)); }
    GL_INLINE F minima(const uint8_t* block) { return load_f16(reinterpret_cast<const uint16_t*>(block + 288)); }
};

// The same, unpacked by `unpack_tile`: 8 lines of bytes, 16 float scales, 16 float minima.
template <bool has_minimum>
struct UnpackedQ4 {
    static constexpr bool wide_range = false, minimum = has_minimum;
    static constexpr size_t step = has_minimum ? 640 : 576;
    static constexpr int offset = has_minimum ? -1 : static_cast<int>(kOffset8);
    GL_INLINE void lines(const uint8_t* block, int j, Line& low, Line& high) {
        low = load_line(block + 64 * j);
        high = load_line(block + 64 * (j + 4));
    }
    GL_INLINE F scales(const uint8_t* block) { return load(reinterpret_cast<const float*>(block + 512)); }
    GL_INLINE F minima(const uint8_t* block) { return load(reinterpret_cast<const float*>(block + 576)); }
};

struct PackedQ8 {
    static constexpr bool wide_range = true, minimum = false;
    static constexpr size_t step = 544;
    static constexpr int offset = kOffset128;
    GL_INLINE void lines(const uint8_t* block, int j, Line& low, Line& high) {
        low = load_line(block + 64 * j);
        high = load_line(block + 64 * (j + 4));
    }
    GL_INLINE F scales(const uint8_t* block) { return load_f16(reinterpret_cast<const uint16_t*>(block + 512)); }
    GL_INLINE F minima(const uint8_t*) { return zero(); }
};

template <bool has_minimum>
static void unpack_tile(const uint8_t* tile, int n_blocks, uint8_t* out) {
    using From = PackedQ4<has_minimum>;
    for (int b = 0; b < n_blocks; ++b, tile += From::step, out += UnpackedQ4<has_minimum>::step) {
        prefetch(tile + kAhead, From::step);
        for (int j = 0; j < 4; ++j) {
            Line low, high;
            From::lines(tile, j, low, high);
            store_line(out + 64 * j, low);
            store_line(out + 64 * (j + 4), high);
        }
        store(reinterpret_cast<float*>(out + 512), From::scales(tile));
        if constexpr (has_minimum) store(reinterpret_cast<float*>(out + 576), From::minima(tile));
    }
}

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

// R rows times T tiles; out is [T][R][16]. One tile alone comes straight from memory, two are taken from a cache.
template <class Source, int R, int T>
static void quant_kernel(const uint8_t* first, const uint8_t* second, const int8_t* quant, const float* meta,
                         int n_blocks, float* out) {
    const uint8_t* tiles[2] = {first, second};
    using Sum = decltype(begin_sum<Source>(nullptr));
    F total[T][R];
    unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { total[t][r] = zero(); }); });
    const int32_t* four = reinterpret_cast<const int32_t*>(quant);
    for (int b = 0; b < n_blocks; ++b, four += 8 * R, meta += kMetaWords * R) {
        if constexpr (T == 1) prefetch(tiles[0] + kAhead, Source::step);
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
            const F scales = Source::scales(tiles[t]);
            unroll<R>(GL_EACH(r) {
                const F scale = scales * broadcast(meta[kScale * R + r]);
                total[t][r] = fma(to_float(end_sum<Source>(sum[t][r], offsets + r)), scale, total[t][r]);
            });
            if constexpr (Source::minimum) {
                const F minima = Source::minima(tiles[t]);
                unroll<R>(GL_EACH(r) { total[t][r] = fma(minima, broadcast(meta[kSum * R + r]), total[t][r]); });
            }
            tiles[t] += Source::step;
        });
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
            tiles[t] += tile_step_bytes(kind);
        });
        unroll<R>(GL_EACH(r) {
            const F value = broadcast(x[r]);
            unroll<T>(GL_EACH(t) { total[t][r] = fma(weights[t], value, total[t][r]); });
        });
    }
    unroll<T>(GL_EACH(t) { unroll<R>(GL_EACH(r) { store(out + (t * R + r) * kLanes, total[t][r]); }); });
}

using QuantKernel = void (*)(const uint8_t*, const uint8_t*, const int8_t*, const float*, int, float*);
using FloatKernel = void (*)(const uint8_t*, const uint8_t*, const float*, int, float*);

// Panels of equal height are never low: beyond kNarrowRows rows, none has fewer than this.
constexpr int kLeastWide = kNarrowRows >= 2 * kWideRows ? (2 * kWideRows + 1) / 3 : (kWideRows + 1) / 2;

// Kernels for Least..Most rows, by number of rows.
template <class Kernel, int Least, int Most>
struct Table {
    Kernel at[Most - Least + 1];
    template <class Make>
    constexpr explicit Table(const Make& make) : at{} {
        fill<Least>(make);
    }
    template <int R, class Make>
    constexpr void fill(const Make& make) {
        if constexpr (R <= Most) {
            at[R - Least] = make(Index<R>{});
            fill<R + 1>(make);
        }
    }
    Kernel operator[](int rows) const { return at[rows - Least]; }
};
template <class Source, int T, int Least, int Most>
constexpr Table<QuantKernel, Least, Most> quant_table{[](auto R) { return &quant_kernel<Source, R, T>; }};
template <Kind kind, int T, int Least, int Most>
constexpr Table<FloatKernel, Least, Most> float_table{[](auto R) { return &float_kernel<kind, R, T>; }};

static QuantKernel find_quant(Kind kind, int rows, bool wide) {
    if (!wide) {
        if (kind == Kind::Q4_0) return quant_table<PackedQ4<false>, 1, 1, kNarrowRows>[rows];
        if (kind == Kind::Q4_1) return quant_table<PackedQ4<true>, 1, 1, kNarrowRows>[rows];
        return quant_table<PackedQ8, 1, 1, kNarrowRows>[rows];
    }
    if (kind == Kind::Q4_0) return quant_table<UnpackedQ4<false>, kWideTiles, kLeastWide, kWideRows>[rows];
    if (kind == Kind::Q4_1) return quant_table<UnpackedQ4<true>, kWideTiles, kLeastWide, kWideRows>[rows];
    return quant_table<PackedQ8, kWideTiles, kLeastWide, kWideRows>[rows];
}

template <Kind kind>
static FloatKernel find_float_of(int rows, bool wide) {
    if (wide) return float_table<kind, kWideTiles, kLeastWide, kFloatWideRows>[rows];
    return float_table<kind, 1, 1, kFloatNarrowRows>[rows];
}
static FloatKernel find_float(Kind kind, int rows, bool wide) {
    if (kind == Kind::F32) return find_float_of<Kind::F32>(rows, wide);
    if (kind == Kind::F16) return find_float_of<Kind::F16>(rows, wide);
    return find_float_of<Kind::BF16>(rows, wide);
}

// Q4 tiles as bytes in scratch; other kinds are read where they are.
static const uint8_t* unpack(Kind kind, const uint8_t* tile, int n_blocks, uint8_t* scratch) {
    if (kind == Kind::Q4_0) unpack_tile<false>(tile, n_blocks, scratch);
    else if (kind == Kind::Q4_1) unpack_tile<true>(tile, n_blocks, scratch);
    else return tile;
    return scratch;
}

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
            put(job, first_row + r, column, activate(job.glu, gate) * up, n);
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

static void multiply(const LinearJob& job, const Tiles& tiles, int panel, float* results) {
    if (is_quantised(tiles.kind)) {
        const int n_blocks = job.k / kBlock, rows = job.quant_panels.size(panel);
        const int64_t row = job.quant_panels.first_row(panel);
        const float* meta = job.quant_meta + row * n_blocks * kMetaWords;
        find_quant(tiles.kind, rows, job.wide)(tiles.data[0], tiles.data[1], job.quant + row * job.k, meta, n_blocks,
                                               results);
        return;
    }
    const int64_t row = job.float_panels.first_row(panel);
    const FloatKernel kernel = find_float(tiles.kind, job.float_panels.size(panel), job.wide);
    kernel(tiles.data[0], tiles.data[1], job.floats + row * job.k, job.k, results);
}

static constexpr int kMostRows = kNarrowRows > kFloatWideRows ? kNarrowRows : kFloatWideRows;
// Room for two tiles of a panel, and for the second tile that a kernel writes though only one was asked for.
static constexpr int kResults = 3 * kMostRows * kLanes;

static Tiles take(const LinearJob& job, Kind kind, const uint8_t* first, const uint8_t* second, uint8_t* scratch) {
    Tiles tiles{kind, {first, second}, second ? 2 : 1};
    if (job.wide && is_quantised(kind)) {
        const int n_blocks = job.k / kBlock;
        tiles.data[0] = unpack(kind, first, n_blocks, scratch);
        if (second) tiles.data[1] = unpack(kind, second, n_blocks, scratch + n_blocks * 640);
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
    const Tiles second = together ? first : take(job, segment.up_kind, up, nullptr, scratch + job.k / kBlock * 640);
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
