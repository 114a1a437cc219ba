// What is done with rows that is neither a product nor attention?
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "ops.h"

namespace greenlight {

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
