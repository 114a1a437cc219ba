// How is a product computed? Integer dot products per 32 inputs, one float fma per output and block, blocks in order.
//
// The sum of one output is the same chain of operations whatever stands beside it, so its bits depend on its own row
// and its own weights only: not on the batch, the panel it fell into, the tile pair, or the thread.
#pragma once

#include <type_traits>

namespace greenlight::GREENLIGHT_ISA {

GL_INLINE F load_halves(const uint8_t* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }

// How far ahead a stream of weights asks for memory. The hardware's own prefetchers stop at each 4 KB page and need a
// few lines to start again: this is worth 15 % at one row, 40 % at four.
constexpr int kAhead = 4096;

GL_INLINE void prefetch(const uint8_t* p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 3);
}

// Where a kernel reads 32 inputs of a tile from. lines(j): inputs 4j..4j+3 and 16+4j..16+4j+3 of 16 rows. `head` is
// what comes before every eighth step, where a kind has that. Stored codes have `offset` added to them: none, 8 or 128.
template <bool has_minimum>
struct PackedQ4 {
    static constexpr bool wide_range = false, minimum = has_minimum, halves = false;
    static constexpr size_t step = has_minimum ? 320 : 288, header = 0;
    static constexpr int offset = has_minimum ? -1 : static_cast<int>(kOffset8);
    template <int j>
    GL_INLINE void lines(const uint8_t* block, Index<j>, Line& low, Line& high) {
        const Line line = load_line(block + 64 * j);
        low = low_nibbles(line);
        high = high_nibbles(line);
    }
    GL_INLINE F scales(const uint8_t* block, const uint8_t*, int) { return load_halves(block + 256); }
    GL_INLINE F minima(const uint8_t* block, const uint8_t*, int) { return load_halves(block + 288); }
};

struct PackedQ8 {
    static constexpr bool wide_range = true, minimum = false, halves = false;
    static constexpr size_t step = 544, header = 0;
    static constexpr int offset = kOffset128;
    template <int j>
    GL_INLINE void lines(const uint8_t* block, Index<j>, Line& low, Line& high) {
        low = load_line(block + 64 * j);
        high = load_line(block + 64 * (j + 4));
    }
    GL_INLINE F scales(const uint8_t* block, const uint8_t*, int) { return load_halves(block + 512); }
    GL_INLINE F minima(const uint8_t*, const uint8_t*, int) { return zero(); }
};

// Entries of tables, stored + 128.
alignas(16) static const uint8_t kUnevenBytes[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                     129, 141, 153, 166, 181, 197, 217, 241};
alignas(16) static const uint8_t kTwiceE2M1Bytes[16] = {128, 129, 130, 131, 132, 134, 136, 140,
                                                        128, 127, 126, 125, 124, 122, 120, 116};

// Bit j of each byte of a line, moved to bit `to`.
template <int j, int to>
GL_INLINE Line bit(Line bits) {
    return masked(shifted<j - to>(bits), 1 << to);
}
// Bits 2j and 2j+1 of each byte of a line, moved to bit `to`.
template <int j, int to>
GL_INLINE Line pair(Line pairs) {
    return masked(shifted<2 * j - to>(pairs), 3 << to);
}

// The kinds whose codes take more work (see layout.h), stored + 128; Q4_K as it is.
template <Kind kind>
struct Compact {
    static constexpr bool wide_range = kind != Kind::Q4_K, halves = has_halves(kind);
    static constexpr bool minimum =
        kind == Kind::Q5_1 || kind == Kind::Q2_K || kind == Kind::Q4_K || kind == Kind::Q5_K;
    static constexpr size_t step = shape_of(kind).step, header = shape_of(kind).header;
    static constexpr int offset = kind == Kind::Q4_K ? -1 : static_cast<int>(kOffset128);

    template <int j>
    GL_INLINE void lines(const uint8_t* block, Index<j>, Line& low, Line& high) {
        if constexpr (kind == Kind::Q2_K || kind == Kind::Q3_K) {
            low = pair<j, 0>(load_line(block));
            high = pair<j, 0>(load_line(block + 64));
            if constexpr (kind == Kind::Q3_K) {
                const Line third = load_line(block + 128);
                low = either(low, bit<j, 2>(third));
                high = either(high, bit<j + 4, 2>(third));
            }
        } else {
            const Line line = load_line(block + 64 * j);
            low = low_nibbles(line);
            high = high_nibbles(line);
            if constexpr (kind == Kind::Q5_0 || kind == Kind::Q5_1 || kind == Kind::Q5_K) {
                const Line fifth = load_line(block + 256);
                low = either(low, bit<j, 4>(fifth));
                high = either(high, bit<j + 4, 4>(fifth));
            } else if constexpr (kind == Kind::Q6_K) {
                low = either(low, pair<j, 4>(load_line(block + 256)));
                high = either(high, pair<j, 4>(load_line(block + 320)));
            }
        }
        low = stored(low);
        high = stored(high);
    }
    GL_INLINE Line stored(Line codes) {
        if constexpr (kind == Kind::IQ4_NL || kind == Kind::IQ4_XS) return lookup(kUnevenBytes, codes);
        if constexpr (kind == Kind::MXFP4) return lookup(kTwiceE2M1Bytes, codes);
        if constexpr (kind == Kind::Q4_K) return codes;
        return plus(codes, 128 - (kind == Kind::Q5_0 ? 16 : kind == Kind::Q3_K ? 4 : kind == Kind::Q6_K ? 32 : 0));
    }

    static constexpr size_t at = kind == Kind::Q2_K   ? 128
                                 : kind == Kind::Q3_K ? 192
                                 : kind == Kind::Q6_K ? 384
                                 : kind == Kind::Q5_0 || kind == Kind::Q5_1 || kind == Kind::Q5_K ? 320
                                                                                                  : 256;
    // Products of a 16-bit float and a small integer: exact.
    GL_INLINE F scales(const uint8_t* block, const uint8_t* head, int half) {
        // 255, which the format keeps for "not a number", counts as the exponent above 254, as in ggml.
        if constexpr (kind == Kind::MXFP4) return min(half_powers(block + at), broadcast(0x1p127f));
        if constexpr (!header) return load_halves(block + at);
        return load_halves(head) * load_i8(reinterpret_cast<const int8_t*>(block + at + 16 * half));
    }
    GL_INLINE F minima(const uint8_t* block, const uint8_t* head, int half) {
        if constexpr (kind == Kind::Q5_1) return load_halves(block + at + 32);
        const size_t first = at + (halves ? 32 : 16);
        return zero() - load_halves(head + 32) * load_i8(reinterpret_cast<const int8_t*>(block + first + 16 * half));
    }
};

// Any of them, unpacked by `unpack_tile`: 8 lines of bytes, then 16 float scales and 16 float minima, for each half of
// the inputs where halves have their own.
template <class From>
struct Unpacked {
    static constexpr bool wide_range = From::wide_range, minimum = From::minimum, halves = From::halves;
    static constexpr size_t step = 512 + 64 * (1 + minimum) * (1 + halves), header = 0;
    static constexpr int offset = From::offset;
    template <int j>
    GL_INLINE void lines(const uint8_t* block, Index<j>, Line& low, Line& high) {
        low = load_line(block + 64 * j);
        high = load_line(block + 64 * (j + 4));
    }
    GL_INLINE F scales(const uint8_t* block, const uint8_t*, int half) {
        return load(reinterpret_cast<const float*>(block + 512 + 64 * half));
    }
    GL_INLINE F minima(const uint8_t* block, const uint8_t*, int half) {
        return load(reinterpret_cast<const float*>(block + 512 + 64 * (1 + halves + half)));
    }
};

// Kinds that look the same once unpacked share kernels.
template <class From>
struct UnpackedAs {
    using type = Unpacked<From>;
};
template <Kind kind>
struct UnpackedAs<Compact<kind>> {
    using type = Unpacked<Compact<kind == Kind::Q5_1 || kind == Kind::Q5_K ? Kind::Q5_1
                                  : kind == Kind::Q3_K || kind == Kind::Q6_K ? Kind::Q6_K
                                  : kind == Kind::Q2_K                       ? kind
                                                                             : Kind::Q5_0>>;
};
template <>
struct UnpackedAs<Compact<Kind::Q4_K>> {
    using type = Unpacked<PackedQ4<true>>;
};

template <class From>
static void unpack_tile(const uint8_t* tile, int n_blocks, uint8_t* out) {
    using To = typename UnpackedAs<From>::type;
    const uint8_t* head = tile;
    for (int b = 0; b < n_blocks; ++b, tile += From::step, out += To::step) {
        if constexpr (From::header > 0) {
            if (b % 8 == 0) {
                head = tile;
                tile += From::header;
            }
        }
        prefetch(tile + kAhead, From::step);
        unroll<4>(GL_EACH(j) {
            Line low, high;
            From::lines(tile, j, low, high);
            store_line(out + 64 * j, low);
            store_line(out + 64 * (j + 4), high);
        });
        float* floats = reinterpret_cast<float*>(out + 512);
        for (int half = 0; half <= From::halves; ++half) {
            store(floats + 16 * half, From::scales(tile, head, half));
            if constexpr (From::minimum) store(floats + 16 * (1 + From::halves + half), From::minima(tile, head, half));
        }
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
        if constexpr (T == 1) prefetch(tiles[0] + kAhead, Source::step);
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
        if constexpr (T == 1) prefetch(tiles[0] + kAhead, Source::step);
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

using QuantKernel = void (*)(const uint8_t*, const uint8_t*, const int8_t*, const float*, const float*, int, float*);
using FloatKernel = void (*)(const uint8_t*, const uint8_t*, const float*, int, float*);

// Panels of equal height: beyond one row, none has fewer than this.
constexpr int kLeastWide = kWideRows > 1 ? 2 : 1;

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
template <class Source, int R, int T>
constexpr QuantKernel quant_kernel_of() {
    if constexpr (Source::halves) return &halves_kernel<Source, R, T>;
    else return &quant_kernel<Source, R, T>;
}
template <class Source, int T, int Least, int Most>
constexpr Table<QuantKernel, Least, Most> quant_table{[](auto R) { return quant_kernel_of<Source, R, T>(); }};
template <Kind kind, int T, int Least, int Most>
constexpr Table<FloatKernel, Least, Most> float_table{[](auto R) { return &float_kernel<kind, R, T>; }};

// Calls fn(Source{}) with where tiles of a kind are read from.
template <class Fn>
GL_INLINE auto with_source(Kind kind, const Fn& fn) {
    switch (kind) {
        case Kind::Q4_0: return fn(PackedQ4<false>{});
        case Kind::Q4_1: return fn(PackedQ4<true>{});
        case Kind::Q5_0: return fn(Compact<Kind::Q5_0>{});
        case Kind::Q5_1: return fn(Compact<Kind::Q5_1>{});
        case Kind::IQ4_NL: return fn(Compact<Kind::IQ4_NL>{});
        case Kind::MXFP4: return fn(Compact<Kind::MXFP4>{});
        case Kind::Q2_K: return fn(Compact<Kind::Q2_K>{});
        case Kind::Q3_K: return fn(Compact<Kind::Q3_K>{});
        case Kind::Q4_K: return fn(Compact<Kind::Q4_K>{});
        case Kind::Q5_K: return fn(Compact<Kind::Q5_K>{});
        case Kind::Q6_K: return fn(Compact<Kind::Q6_K>{});
        case Kind::IQ4_XS: return fn(Compact<Kind::IQ4_XS>{});
        default: return fn(PackedQ8{});
    }
}

template <class Source>
constexpr int kMostNarrow = kNarrowRows;
template <Kind kind>
constexpr int kMostNarrow<Compact<kind>> = 1;

static QuantKernel find_quant(Kind kind, int rows, bool wide) {
    return with_source(kind, [&](auto source) -> QuantKernel {
        using Source = decltype(source);
        if (!wide) return quant_table<Source, 1, 1, kMostNarrow<Source>>[rows];
        if constexpr (std::is_same_v<Source, PackedQ8>) return quant_table<Source, kWideTiles, kLeastWide, kWideRows>[rows];
        else return quant_table<typename UnpackedAs<Source>::type, kWideTiles, kLeastWide, kWideRows>[rows];
    });
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

// Tiles as bytes in scratch; Q8_0 and floats are read where they are.
static const uint8_t* unpack(Kind kind, const uint8_t* tile, int n_blocks, uint8_t* scratch) {
    if (kind == Kind::Q8_0) return tile;
    with_source(kind, [&](auto source) {
        using Source = decltype(source);
        if constexpr (!std::is_same_v<Source, PackedQ8>) unpack_tile<Source>(tile, n_blocks, scratch);
    });
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
    const Tiles second = together ? first : take(job, segment.up_kind, up, nullptr, scratch + job.k / kBlock * kUnpackedStep);
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
