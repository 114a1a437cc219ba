// How does a step begin, how long are its handles good, and what is done that is neither a product nor attention?
#include "ops.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace greenlight {

namespace {

[[noreturn]] void refuse(const std::string& why) { throw std::invalid_argument(why); }

void need(bool condition, const char* why) {
    if (!condition) refuse(why);
}

std::atomic<uint64_t> steps_begun{0};

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
        refuse("n_pages and layers ask for more memory than there can be");
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
        const int first = step.starts[b], last = step.starts[b + 1];
        need(first <= last, "starts must not fall");
        need(past[b] >= 0, "past must not be negative");
        const int64_t length = static_cast<int64_t>(past[b]) + last - first;
        const int64_t n_pages = (length + kPage - 1) / kPage;
        need(last == first || n_pages <= table_width, "a sequence is longer than its pages");
        for (int group = 0; last > first && group < step.pages->n_groups(); ++group) {
            const int32_t* table = step.table(group) + static_cast<int64_t>(b) * table_width;
            for (int64_t p = step.pages->first_page(group, past[b]); p < n_pages; ++p) {
                if (table[p] >= 0 && table[p] < step.pages->n_pages) continue;
                throw std::out_of_range("sequence " + std::to_string(b) + " names page " + std::to_string(table[p]) +
                                        " of " + std::to_string(step.pages->n_pages));
            }
        }
        for (int row = first; row < last; ++row) {
            step.positions[row] = past[b] + row - first;
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

Array Context::embed(const Step& step, const Embedding& embedding, float scale) {
    check(step);
    for (const int32_t token : step.tokens) {
        if (token < 0 || token >= embedding.vocabulary) {
            throw std::out_of_range("token " + std::to_string(token) + " is outside the vocabulary of " +
                                    std::to_string(embedding.vocabulary));
        }
    }
    Array out = make(step, step.n_rows, embedding.dim);
    const size_t bytes = row_bytes(embedding.kind, embedding.dim);
    for (int i = 0; i < step.n_rows; ++i) {
        kernels_.dequantise(embedding.kind, embedding.data + step.tokens[i] * bytes, embedding.dim, scale, out.row(i));
    }
    return out;
}

Array Context::rms_norm(const Step& step, const Array& x, const Norm& norm, float eps) {
    check(step);
    check(x);
    need(static_cast<int>(norm.weight.size()) == x.columns, "the norm has another width than its input");
    Array out = make(step, x.rows, x.columns);
    std::lock_guard lock(Pool::instance().exclusive);
    Pool::instance().share(x.rows, 16, [&](int, int first, int last) {
        for (int i = first; i < last; ++i) kernels_.rms_norm(x.row(i), norm.weight.data(), eps, x.columns, out.row(i));
    });
    return out;
}

Array Context::add(const Step& step, const Array& x, const Array& y) {
    check(step);
    check(x);
    check(y);
    need(x.rows == y.rows && x.columns == y.columns, "arrays of different shapes cannot be added");
    Array out = make(step, x.rows, x.columns);
    kernels_.add(x.data(), y.data(), static_cast<int64_t>(x.rows) * x.columns, out.data());
    return out;
}

Array Context::softcap(const Step& step, const Array& x, float cap) {
    check(step);
    check(x);
    need(cap > 0.0f, "a softcap is above 0");
    Array out = make(step, x.rows, x.columns);
    kernels_.softcap(x.data(), cap, static_cast<int64_t>(x.rows) * x.columns, out.data());
    return out;
}

Array Context::gate(const Step& step, const Array& x, const Array& y, Glu glu) {
    check(step);
    check(x);
    check(y);
    need(x.rows == y.rows && x.columns == y.columns, "a gate has the shape of what it lets through");
    Array out = make(step, x.rows, x.columns);
    kernels_.gate(glu, x.data(), y.data(), static_cast<int64_t>(x.rows) * x.columns, out.data());
    return out;
}

Array Context::scale(const Step& step, const Array& x, float factor) {
    check(step);
    check(x);
    Array out = make(step, x.rows, x.columns);
    kernels_.scale(x.data(), factor, static_cast<int64_t>(x.rows) * x.columns, out.data());
    return out;
}

Array Context::columns(const Step& step, const Array& x, int first, int n) {
    check(step);
    check(x);
    need(first >= 0 && n >= 1 && first <= x.columns - n, "no such columns");
    Array out = make(step, x.rows, n);
    for (int i = 0; i < x.rows; ++i) std::memcpy(out.row(i), x.row(i) + first, n * sizeof(float));
    return out;
}

Array Context::rows(const Step& step, const Array& x) {
    check(step);
    check(x);
    need(x.rows == step.n_rows, "rows are taken from an array with one row per token");
    Array out = make(step, static_cast<int>(step.outputs.size()), x.columns);
    for (int i = 0; i < out.rows; ++i) std::memcpy(out.row(i), x.row(step.outputs[i]), x.columns * sizeof(float));
    return out;
}

Array Context::from_floats(const Step& step, const float* values, int rows, int columns) const {
    check(step);
    Array out = make(step, rows, columns);
    std::memcpy(out.data(), values, static_cast<size_t>(rows) * columns * sizeof(float));
    return out;
}

std::vector<int32_t> Context::argmax(const Array& x) const {
    check(x);
    need(x.columns > 0, "nothing to choose from");
    std::vector<int32_t> best(x.rows);
    for (int i = 0; i < x.rows; ++i)
        best[i] = static_cast<int32_t>(std::max_element(x.row(i), x.row(i + 1)) - x.row(i));
    return best;
}

std::pair<std::vector<int32_t>, std::vector<float>> Context::top_k(const Array& x, int k) const {
    check(x);
    need(k > 0 && k <= x.columns, "k must be between 1 and the number of columns");
    std::vector<int32_t> ids;
    std::vector<float> values;
    using Entry = std::pair<float, int32_t>;
    const auto better = [](const Entry& a, const Entry& b) {
        return a.first > b.first || (a.first == b.first && a.second < b.second);
    };
    std::vector<Entry> heap;  // the worst kept entry on top
    for (int i = 0; i < x.rows; ++i) {
        const float* row = x.row(i);
        heap.clear();
        for (int32_t j = 0; j < x.columns; ++j) {
            if (static_cast<int>(heap.size()) == k) {
                if (!(row[j] > heap.front().first)) continue;
                std::pop_heap(heap.begin(), heap.end(), better);
                heap.pop_back();
            }
            heap.emplace_back(row[j], j);
            std::push_heap(heap.begin(), heap.end(), better);
        }
        std::sort_heap(heap.begin(), heap.end(), better);
        for (const auto& [value, id] : heap) {
            ids.push_back(id);
            values.push_back(value);
        }
    }
    return {std::move(ids), std::move(values)};
}

}  // namespace greenlight
