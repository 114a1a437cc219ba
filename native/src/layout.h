// How do weights, activations, keys and values lie in memory? One layout for every instruction set.
//
// A linear is cut into tiles of 16 output rows: one vector lane per row, so no sum ever crosses lanes. Within a tile,
// all bytes follow each other in the order in which they are used: one sequential stream per thread is what memory
// rewards. sources.inl draws the tiles of each kind, quantise.inl a panel, pages.inl a page.
//
//   Q4_0, Q4_1  per 32 inputs: 4 lines of [16 rows][4 bytes]; low nibbles are inputs 4j..4j+3, high nibbles 16+4j..,
//               then 16 f16 scales (and for Q4_1 16 f16 minima)                      288 or 320 bytes
//   Q8_0        per 32 inputs: 8 lines of [16 rows][4 bytes], stored + 128; 16 f16 scales   544 bytes
//   others      per 32 inputs: lines of [16 rows][4 bytes] that hold the bits of 8 lines of codes, then scales:
//               nibbles as in Q4_0 (4 lines), pairs of bits (2 lines: inputs 0..15 and 16..31, line j at bits 2j) or
//               single bits (1 line, line j at bit j); Q5 is nibbles and a line of bits, Q6_K nibbles and 2 of pairs,
//               Q3_K pairs and a line of bits. Where 256 inputs share f16 factors, these stand before their 8 steps.
//   floats      per input: 16 values, one per row                                    64 or 32 bytes
//
// Activations stand in panels of up to R rows, so that one panel is again one stream:
//
//   int8        per 32 inputs: [8 groups][R rows][4 bytes], and apart from them 4 words per row (see ActivationMeta)
//   floats      per input: [R rows]
//
// Keys and values of one page and head: keys [D][32 positions], values [D/32 slabs][32 positions][32 dims].
#pragma once

#include <cstddef>
#include <cstdint>

namespace greenlight {

enum class Kind : int {
    F32, F16, BF16, Q4_0, Q4_1, Q8_0, Q5_0, Q5_1, IQ4_NL, MXFP4, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS
};

static constexpr int kKinds = 16;
static constexpr const char* kKindNames[kKinds] = {"F32",    "F16",   "BF16", "Q4_0", "Q4_1", "Q8_0", "Q5_0", "Q5_1",
                                                   "IQ4_NL", "MXFP4", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"};
static constexpr int kLanes = 16;
static constexpr int kBlock = 32;
static constexpr int kPage = 32;
static constexpr int kSlab = 32;

// What the kernels want to know of 32 quantised activations of one row, [block][4][R]: the scale; -8 and -128 times the
// sum of the integers (weights are stored with that offset, so the integer sum starts there); scale times that sum.
enum ActivationMeta { kScale = 0, kOffset8 = 1, kOffset128 = 2, kSum = 3, kMetaWords = 4 };

// The same of the two halves of each 32, for kinds with a scale for every 16, [block][4][R].
enum HalfMeta { kHalfOffset128 = 0, kHalfSum = 2, kHalfWords = 4 };

enum class Glu : int { silu, gelu, gelu_tanh, swiglu_oss };

static constexpr bool is_quantised(Kind kind) { return kind >= Kind::Q4_0; }

// Kinds whose codes take some work to unpack: done in registers for one row, once per tile for more.
static constexpr bool is_compact(Kind kind) { return kind >= Kind::Q5_0; }

// Whether 16 inputs share a scale, not 32.
static constexpr bool has_halves(Kind kind) { return kind == Kind::Q2_K || kind == Kind::Q3_K || kind == Kind::Q6_K; }

// Whether 256 inputs share a factor of their minima, as they do one of their scales.
static constexpr bool has_dmin(Kind kind) { return kind == Kind::Q2_K || kind == Kind::Q4_K || kind == Kind::Q5_K; }

// Bytes of the lines that hold the codes of 32 inputs of 16 rows; scales stand behind them.
static constexpr size_t code_bytes(Kind kind) {
    switch (kind) {
        case Kind::Q2_K: return 128;
        case Kind::Q3_K: return 192;
        case Kind::Q5_0:
        case Kind::Q5_1:
        case Kind::Q5_K: return 320;
        case Kind::Q6_K: return 384;
        case Kind::Q8_0: return 512;
        default: return 256;
    }
}

// What a kind takes: inputs and bytes of a block in a file; bytes of 16 rows in a tile, for each 32 inputs (or for each
// one of floats), and before every eighth of these.
struct Shape {
    int inputs;
    size_t bytes, step, header;
};

static constexpr Shape shape_of(Kind kind) {
    constexpr Shape shapes[kKinds] = {
        {1, 4, 64, 0},       {1, 2, 32, 0},      {1, 2, 32, 0},     {32, 18, 288, 0},  {32, 20, 320, 0},
        {32, 34, 544, 0},    {32, 22, 352, 0},   {32, 24, 384, 0},  {32, 18, 288, 0},  {32, 17, 272, 0},
        {256, 84, 192, 64},  {256, 110, 224, 32}, {256, 144, 288, 64}, {256, 176, 352, 64}, {256, 210, 416, 32},
        {256, 136, 272, 32},
    };
    return shapes[static_cast<int>(kind)];
}

// Bytes of one row of k inputs in a file.
static constexpr size_t row_bytes(Kind kind, int64_t k) { return k / shape_of(kind).inputs * shape_of(kind).bytes; }

// Bytes of 16 rows of k inputs in a tile.
static constexpr size_t tile_bytes(Kind kind, int64_t k) {
    const Shape shape = shape_of(kind);
    return k / (is_quantised(kind) ? kBlock : 1) * shape.step + k / 256 * shape.header;
}

// Rows of one matrix inside a linear; a linear has several where matrices were stacked.
struct Segment {
    Kind kind;          // of its rows; of the gate where paired
    Kind up_kind;       // of the up projection, where paired
    bool paired;        // tile t is gate tile t followed by up tile t
    int n;              // output columns
    int n_tiles;        // ceil(n / 16)
    int column;         // where its outputs start
    size_t tile_bytes;  // from one tile to the next
    size_t up_offset;   // from a gate tile to its up tile
    const uint8_t* data;
    const float* bias;  // padded to whole tiles, or null
    const float* up_bias;
};

// Rows split into panels whose sizes differ by at most one, none above `most`.
struct Panels {
    int rows, count, base, extra;

    static Panels split(int rows, int most) {
        const int count = (rows + most - 1) / most;
        return {rows, count, rows / count, rows % count};
    }
    int first_row(int panel) const { return panel * base + (panel < extra ? panel : extra); }
    int size(int panel) const { return base + (panel < extra ? 1 : 0); }
    int panel_of(int row) const {
        const int large = extra * (base + 1);
        return row < large ? row / (base + 1) : extra + (row - large) / base;
    }
};

}  // namespace greenlight
