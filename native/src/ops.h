// What may a decoder ask for? The operations on opaque handles: arguments are checked here, work is cut here, kernels
// do it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dispatch.h"
#include "memory.h"
#include "pack.h"
#include "pool.h"

namespace greenlight {

class Context;

inline void need(bool condition, const char* why) {
    if (!condition) throw std::invalid_argument(why);
}

// Rows of floats in an arena buffer, valid until the next step begins; the buffer goes back when the handle dies.
class Array {
  public:
    Array(std::shared_ptr<Arena> arena, const Context* owner, uint64_t step, int rows, int columns);
    ~Array();
    Array(Array&&) noexcept = default;
    Array& operator=(Array&&) = delete;

    float* data() const { return block_.as<float>(); }
    float* row(int64_t i) const { return data() + i * columns; }

    const Context* owner;
    uint64_t step;
    int rows, columns;

  private:
    std::shared_ptr<Arena> arena_;
    Block block_;
};

struct Norm {
    std::vector<float> weight;
};

// Rows in the file's own bytes; whoever made it keeps them alive.
struct Embedding {
    Kind kind;
    const uint8_t* data;
    int vocabulary, dim;
};

struct LayerShape {
    int n_kv_heads, head_dim;
    int group;   // layers of one group share a table of pages
    int window;  // newest positions that they see; 0: all
};

// Keys and values, [page][layer of a group][kv head][keys, values]; see layout.h. A page serves the layers of any one
// group. It is one piece, so what a short conversation makes resident is little, and copying a page is one copy.
class Pages {
  public:
    Pages(int n_pages, std::vector<LayerShape> layers, bool half);
    Pages(const Pages&) = delete;
    void copy(int source, int target);

    size_t head_stride(int layer) const;            // elements
    size_t page_stride() const { return stride_; }  // elements
    uint8_t* data(int layer) const { return storage_.as() + offsets_[layer] * element_bytes(); }
    size_t bytes() const { return storage_.bytes(); }
    int n_groups() const { return static_cast<int>(windows_.size()); }
    // The first page of a sequence that a row at this position sees.
    int first_page(int group, int position) const {
        const int window = windows_[group];
        return window && position >= window ? (position + 1 - window) / kPage : 0;
    }

    const int n_pages;
    const std::vector<LayerShape> layers;
    const bool half;

  private:
    size_t element_bytes() const { return half ? 2 : 4; }
    std::vector<size_t> offsets_;
    std::vector<int> windows_;  // by group
    size_t stride_ = 0;
    Block storage_;
};

// One kind of attention and its table of rotations, which grows with the positions asked for.
class Heads {
  public:
    Heads(int n_heads, int n_kv_heads, int head_dim, float scale, std::vector<float> inv_freq, float rope_scale,
          int window, float softcap, int norm, float norm_eps, float temperature_beta, int temperature_length,
          bool shared);
    const float* rope(int n_positions);
    int half() const { return static_cast<int>(inv_freq_.size()); }

    static constexpr int kMostHeads = 1 << 16;

    const int n_heads, n_kv_heads, head_dim;
    const float scale;
    const int window;
    const float softcap;
    const HeadNorm norm;
    const float norm_eps;
    const float temperature_beta;
    const int temperature_length;
    const bool shared;  // keys and values are those of another layer: only queries are given

  private:
    std::vector<float> inv_freq_;
    float rope_scale_;
    std::vector<float> table_;
    int n_positions_ = 0;
};

struct Step {
    const Context* owner;
    uint64_t number;
    std::shared_ptr<Pages> pages;
    int n_sequences, n_rows, table_width;
    const int32_t* table(int group) const {
        return tables.data() + static_cast<size_t>(group) * n_sequences * table_width;
    }
    std::vector<int32_t> tokens, starts, tables, outputs, positions, sequence_of_row;
};

// One layer's experts.
struct Experts {
    std::vector<Linear> gate_up, down;
};

// An expert that a row has chosen, and its weight.
struct Route {
    int expert;
    float weight;
};

struct Logprobs {
    std::vector<float> values;
    std::vector<uint8_t> greedy;
};

// Where int8 activations are kept.
struct QuantMemory {
    Block quant, meta, half_meta;
    QuantRows room(size_t values, bool halves);
};

// The norms of a layer's attention, and its sinks; null where it has none.
struct HeadNorms {
    const Norm *q, *k, *v, *sinks;
};

class Context {
  public:
    // `exact`: activations of quantised weights keep what rounding to int8 takes from them, in a second int8.
    explicit Context(const std::string& isa, bool exact = false);

    std::string isa() const { return kernels_.name; }

    Step begin(std::shared_ptr<Pages> pages, std::vector<int32_t> tokens, std::vector<int32_t> starts,
               const std::vector<int32_t>& past, std::vector<int32_t> tables, int table_width,
               std::vector<int32_t> outputs);

    Array embed(const Step& step, const Embedding& embedding, float scale);
    Array rms_norm(const Step& step, const Array& x, const Norm& norm, float eps);
    // linear(x), linear(rms_norm(x)), either plus a residual, or the gated pair: whatever is given is done in one go.
    Array product(const Step& step, const Array& x, const Norm* norm, float eps, const Linear& weight,
                  const Array* residual, Glu glu);
    Array add(const Step& step, const Array& x, const Array& y);
    Array softcap(const Step& step, const Array& x, float cap);
    Array gate(const Step& step, const Array& x, const Array& y, Glu glu);
    Array scale(const Step& step, const Array& x, float factor);
    Array columns(const Step& step, const Array& x, int first, int n);
    Array attention(const Step& step, const Array& qkv, int layer, Heads& heads, const Norm* q_norm,
                    const Norm* k_norm, const Norm* v_norm, const Norm* sinks);
    // residual plus each row's chosen experts, mixed by their weights.
    Array moe_add(const Step& step, const Array& x, const Linear& router, const Experts& experts, int top_k,
                  bool weigh_all, Glu glu, const Array& residual);
    Array rows(const Step& step, const Array& x);
    Logprobs token_logprobs(const Step& step, const Array& x, const Linear& head, const std::vector<int32_t>& targets,
                            float softcap);

    // A copy of somebody else's values as an array of this step.
    Array from_floats(const Step& step, const float* values, int rows, int columns) const;

    // First of the largest per row.
    std::vector<int32_t> argmax(const Array& x) const;
    // The k largest of each row, largest first, of equals the first: (rows, k) each.
    std::pair<std::vector<int32_t>, std::vector<float>> top_k(const Array& x, int k) const;

    // Throws unless the array is of this context's present step.
    void check(const Array& x) const;

    void dequantise(Kind kind, const uint8_t* data, int64_t n, float* out) const {
        kernels_.dequantise(kind, data, n, 1.0f, out);
    }
    size_t idle_bytes() const { return arena_->idle_bytes(); }

  private:
    void check(const Step& step) const;
    Array make(const Step& step, int rows, int columns) const;
    std::vector<Route> route(const Array& logits, int top_k, bool weigh_all) const;
    void run_expert(const Step& step, const Array& x, const Experts& experts, int expert, Glu glu,
                    const std::vector<int>& places, int top_k, Array& outputs);
    LinearJob plan(int rows, const Linear& weight);
    // Normalises, quantises and lays out one row of activations as the job's panels want it.
    void prepare(const LinearJob& job, const Linear& weight, const float* x, int row, const Norm* norm, float eps,
                 float* normed) const;
    void prepare_all(const LinearJob& job, const Linear& weight, const float* x, const Norm* norm, float eps);
    // What the head's logits of some rows come to; none of them is kept.
    std::vector<LogitState> see_logits(const float* x, int rows, const Linear& head, const int32_t* targets,
                                       float softcap);
    void attend(const AttentionJob& job, std::vector<AttentionUnit>& units);
    void run_units(const AttentionJob& job, const std::vector<AttentionUnit>& units);
    void run_phases(const AttentionJob& job, const std::vector<AttentionUnit>& units);
    // Bytes that belong to one thread alone, for every thread.
    void reserve_per_thread(size_t bytes);
    template <class T>
    T* own(int thread) const {
        return reinterpret_cast<T*>(per_thread_.as() + thread * per_thread_bytes_);
    }

    const Kernels& kernels_;
    const bool exact_;
    std::shared_ptr<Arena> arena_ = std::make_shared<Arena>();
    std::atomic<uint64_t> step_{0};
    // Scratch memory: it belongs to whoever holds the pool's lock.
    QuantMemory high_, low_;
    Block floats_, strip_, queries_, scores_, per_thread_;
    size_t per_thread_bytes_ = 0;
};

}  // namespace greenlight
