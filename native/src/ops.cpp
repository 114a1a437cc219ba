// How does a step begin, where do its keys and values go, and how long are its handles good?
#include "ops.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace greenlight {

namespace {

std::atomic<uint64_t> steps_begun{0};

// Kernels follow page tables without looking: all pages that a sequence sees must be there.
void check_sequence(const Step& step, int b, int past) {
    const int first = step.starts[b], last = step.starts[b + 1];
    need(first <= last, "starts must not fall");
    need(past >= 0, "past must not be negative");
    if (last == first) return;
    const int64_t length = static_cast<int64_t>(past) + last - first;
    const int64_t n_pages = (length + kPage - 1) / kPage;
    need(n_pages <= step.table_width, "a sequence is longer than its pages");
    for (int group = 0; group < step.pages->n_groups(); ++group) {
        const int32_t* table = step.table(group) + static_cast<int64_t>(b) * step.table_width;
        for (int64_t p = step.pages->first_page(group, past); p < n_pages; ++p) {
            if (table[p] >= 0 && table[p] < step.pages->n_pages) continue;
            throw std::out_of_range("sequence " + std::to_string(b) + " names page " + std::to_string(table[p]) +
                                    " of " + std::to_string(step.pages->n_pages));
        }
    }
}

}  // namespace

Array::Array(std::shared_ptr<Arena> arena, const Context* owner, uint64_t step, int rows, int columns)
    : owner(owner),
      step(step),
      rows(rows),
      columns(columns),
      arena_(std::move(arena)),
      block_(arena_->take(static_cast<size_t>(rows) * columns + kLanes)) {}

Array::~Array() {
    if (arena_) arena_->give(std::move(block_));
}

Pages::Pages(int n_pages, std::vector<LayerShape> layers_, bool half)
    : n_pages(n_pages), layers(std::move(layers_)), half(half) {
    int groups = 1;
    for (const LayerShape& layer : layers) groups = std::max(groups, layer.group + 1);
    windows_.assign(groups, 0);
    std::vector<size_t> used(groups);
    for (size_t layer = 0; layer < layers.size(); ++layer) {
        const LayerShape& shape = layers[layer];
        size_t& end = used[shape.group];
        // Layers of one table are needed as long as the one that sees furthest.
        int& window = windows_[shape.group];
        window = end == 0 ? shape.window : window && shape.window ? std::max(window, shape.window) : 0;
        offsets_.push_back(end);
        end += shape.n_kv_heads * head_stride(static_cast<int>(layer));
    }
    stride_ = *std::max_element(used.begin(), used.end());
    constexpr double kMost = 0x1p46;  // what addresses can name: beyond it, products would wrap around
    if (static_cast<double>(n_pages) * static_cast<double>(stride_ * element_bytes()) > kMost)
        throw std::invalid_argument("n_pages and layers ask for more memory than there can be");
    storage_ = Block(n_pages * stride_ * element_bytes(), true);
}

size_t Pages::head_stride(int layer) const {
    const size_t dim = layers[layer].head_dim;
    return (dim + (dim + kSlab - 1) / kSlab * kSlab) * kPage;
}

void Pages::copy(int source, int target) {
    if (source < 0 || source >= n_pages || target < 0 || target >= n_pages)
        throw std::out_of_range("source and target must be pages below " + std::to_string(n_pages));
    const size_t bytes = stride_ * element_bytes();
    std::memmove(storage_.as() + target * bytes, storage_.as() + source * bytes, bytes);
}

Context::Context(const std::string& isa, bool exact) : kernels_(find_kernels(isa)), exact_(exact) {}

void Context::check(const Step& step) const {
    need(step.owner == this, "this step was begun by other operations");
    need(step.number == step_, "this step is over: a newer one has begun");
}

void Context::check(const Array& x) const {
    need(x.owner == this, "this array was made by other operations");
    need(x.step == step_, "this array belongs to an earlier step");
}

Array Context::make(const Step& step, int rows, int columns) const {
    return Array(arena_, this, step.number, rows, columns);
}

void Context::reserve_per_thread(size_t bytes) {
    const size_t rounded = (bytes + 4095) / 4096 * 4096;
    per_thread_bytes_ = std::max(per_thread_bytes_, rounded);
    per_thread_.at_least<uint8_t>(per_thread_bytes_ * Pool::instance().size());
}

Step Context::begin(std::shared_ptr<Pages> pages, std::vector<int32_t> tokens, std::vector<int32_t> starts,
                    const std::vector<int32_t>& past, std::vector<int32_t> tables, int table_width,
                    std::vector<int32_t> outputs) {
    const int T = static_cast<int>(tokens.size()), B = static_cast<int>(past.size());
    need(T > 0, "a step needs at least one token");
    need(static_cast<int>(starts.size()) == B + 1, "starts must have one entry more than past");
    need(static_cast<int64_t>(tables.size()) == static_cast<int64_t>(pages->n_groups()) * B * table_width,
         "page_tables must have one row per sequence for each group of layers");
    need(starts.front() == 0 && starts.back() == T, "starts must go from 0 to the number of tokens");
    Step step{this,
              0,
              std::move(pages),
              B,
              T,
              table_width,
              std::move(tokens),
              std::move(starts),
              std::move(tables),
              std::move(outputs),
              std::vector<int32_t>(T),
              std::vector<int32_t>(T)};
    for (int b = 0; b < B; ++b) {
        check_sequence(step, b, past[b]);
        for (int row = step.starts[b]; row < step.starts[b + 1]; ++row) {
            step.positions[row] = past[b] + row - step.starts[b];
            step.sequence_of_row[row] = b;
        }
    }
    for (const int32_t row : step.outputs) {
        if (row < 0 || row >= T)
            throw std::out_of_range("outputs names row " + std::to_string(row) + " of " + std::to_string(T));
    }
    // Numbered across contexts, so that a handle of a context that is gone can never pass for one of a new context.
    step.number = step_ = ++steps_begun;
    return step;
}

}  // namespace greenlight
