// What does an instruction set have to offer? One table of functions per set; everything else is written once.
#pragma once

#include "layout.h"

namespace greenlight {

// Rows of int8 activations in panels.
struct QuantRows {
    int8_t* quant;
    float* meta;
    float* half_meta;  // null where no kind wants it
};

// One product of activations with a linear. `high` and `floats` hold the same rows; only what the weights need is
// there. `low` holds what rounding took from `high`, in the same way; null where that is let go.
struct LinearJob {
    int k;
    Panels quant_panels, float_panels;
    QuantRows high, low;
    float* floats;
    float* out;
    size_t out_stride;
    int out_column;         // column of the linear that lands at out[0]
    const float* residual;  // added to the product, or null; laid out like out
    Glu glu;                // where segments are paired
    bool wide;              // many rows: tiles are unpacked once and taken two at a time
};

enum class HeadNorm { none, head, projection };

// One layer's attention over one ragged step.
struct AttentionJob {
    int n_heads, n_kv_heads, head_dim, slabs, half;  // half: rotated pairs, 0 without rope
    float scale;
    int window;                       // newest positions that a row sees, its own among them; 0: all
    float softcap;                    // scores are bent towards plus and minus this; 0: as they are
    HeadNorm norm;                    // of queries and keys, before they are rotated
    float norm_eps;
    const float* q_norm;              // (D) or (H·D)
    const float* k_norm;              // (D) or (K·D)
    const float* v_norm;              // (D), of each head's values; null: none
    bool shared;                      // keys and values stand in the pages already: qkv holds queries alone
    const float* sinks;               // (H): scores that join each softmax and are dropped; null: none
    float temperature_beta;           // queries grow by this times ln(1 + position / temperature_length); 0: not
    int temperature_length;
    const float* rope;                // [position][cos half | sin half]
    const float* qkv;                 // (T, (H + 2K)·D), or (T, H·D)
    float* q;                         // rotated and scaled, (T, H, D)
    float* out;                       // (T, H·D)
    void* pages;                      // this layer's storage
    bool half_pages;                  // f16, else f32
    size_t page_stride, head_stride;  // in elements
    const int32_t* tables;            // (B, table_width)
    int table_width;
    const int32_t* sequence_of_row;
    const int32_t* positions;
};

// Some consecutive rows of one sequence and one kv head, with the query heads that share it.
struct AttentionUnit {
    int sequence, kv_head;
    int token, n_tokens;  // first row of the step, count
    int n_keys;           // up to the last row's own
    int n_pages;          // that hold them
    int first_page;       // before it no row sees anything
    size_t stride;        // between score rows: whole pages and a line, lest all rows fall into the same cache sets
    float* scores;        // [n_tokens * H/K][stride]
    float* inverse;       // 1 / sum of exponentials, per score row
};

// What is known of a row of logits after some of its columns.
struct LogitState {
    float max;
    int32_t argmax;
    double sum;  // of exp(logit - max)
    float target;
};

struct Kernels {
    const char* name;
    int narrow_rows;  // up to so many rows a tile is walked once, straight from memory
    int wide_rows;    // panel height beyond that; tiles are then unpacked once and taken two at a time
    int float_narrow_rows, float_wide_rows;  // panel heights for float weights

    void (*dequantise)(Kind kind, const uint8_t* source, int64_t n, float scale, float* out);
    void (*add)(const float* x, const float* y, int64_t n, float* out);
    void (*softcap)(const float* x, float cap, int64_t n, float* out);
    void (*gate)(Glu glu, const float* x, const float* y, int64_t n, float* out);
    void (*scale)(const float* x, float factor, int64_t n, float* out);
    void (*rms_norm)(const float* x, const float* weight, float eps, int n, float* out);
    void (*quantise_row)(const float* x, int k, int row, int rows, int8_t* quant, float* meta,
                         float* half_meta);
    void (*float_row)(const float* x, int k, int row, int rows, float* panel);

    void (*linear_tiles)(const LinearJob& job, const Segment& segment, int first, int last, uint8_t* scratch);

    void (*rope_and_store)(const AttentionJob& job, int row);
    void (*scores)(const AttentionJob& job, const AttentionUnit& unit, int first_page, int last_page, float* scratch);
    void (*softmax)(const AttentionJob& job, const AttentionUnit& unit, int first_row, int last_row);
    void (*values)(const AttentionJob& job, const AttentionUnit& unit, int first_slab, int last_slab, float* scratch);

    void (*logits)(const float* x, int n, int first_column, int target, LogitState& state);
};

// Bytes of 32 inputs of an unpacked tile, at most.
static constexpr size_t kUnpackedStep = 768;

// Bytes that linear_tiles needs beside its arguments, for k inputs.
static inline size_t linear_scratch_bytes(int k) { return 2 * (static_cast<size_t>(k) / kBlock + 1) * kUnpackedStep; }

// Query rows of one unit, at most.
static constexpr int kMostUnitRows = 256;

// Floats that scores and values need beside their arguments: widened keys of a page, or mixed rows and a widened slab.
static inline size_t attention_scratch_floats(int rows, int head_dim) {
    const size_t keys = static_cast<size_t>(head_dim) * kPage, values = (static_cast<size_t>(rows) + kPage) * kSlab;
    return (keys > values ? keys : values) + kLanes;
}

#if defined(__x86_64__)
extern const Kernels kernels_avx512vnni;
extern const Kernels kernels_avx2;
#endif
#if defined(__aarch64__)
extern const Kernels kernels_neon;
#endif
extern const Kernels kernels_portable;

}  // namespace greenlight
