// How is a mixture of experts computed? Rows choose, then each expert that was chosen does its rows, one expert after
// the other: its weights are read once per step, by all threads together.
//
// An expert's product with a row does not depend on what else it computes, and a row adds its experts up in the order
// in which it chose them: its bits depend on that row alone.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "ops.h"

namespace greenlight {

namespace {

// The k largest logits, of equals the first; nothing here minds a NaN.
void choose(const float* logits, int n, int top_k, Route* chosen) {
    for (int k = 0; k < top_k; ++k) {
        int best = -1;
        for (int e = 0; e < n; ++e) {
            const bool taken = std::any_of(chosen, chosen + k, [e](const Route& r) { return r.expert == e; });
            if (!taken && (best < 0 || logits[e] > logits[best])) best = e;
        }
        chosen[k] = {best, logits[best]};
    }
}

}  // namespace

std::vector<Route> Context::route(const Array& logits, int top_k, bool weigh_all) const {
    std::vector<Route> routes(static_cast<size_t>(logits.rows) * top_k);
    for (int row = 0; row < logits.rows; ++row) {
        const float* x = logits.row(row);
        Route* chosen = routes.data() + static_cast<size_t>(row) * top_k;
        choose(x, logits.columns, top_k, chosen);
        const double largest = chosen[0].weight;
        double sum = 0.0;
        if (weigh_all)
            for (int e = 0; e < logits.columns; ++e) sum += std::exp(x[e] - largest);
        else
            for (int k = 0; k < top_k; ++k) sum += std::exp(chosen[k].weight - largest);
        for (int k = 0; k < top_k; ++k)
            chosen[k].weight = static_cast<float>(std::exp(chosen[k].weight - largest) / sum);
    }
    return routes;
}

// One expert's outputs for the rows that chose it; `places` are theirs among all rows' choices.
void Context::run_expert(const Step& step, const Array& x, const Experts& experts, int expert, Glu glu,
                         const std::vector<int>& places, int top_k, Array& outputs) {
    Array rows = make(step, static_cast<int>(places.size()), x.columns);
    for (int i = 0; i < rows.rows; ++i) std::memcpy(rows.row(i), x.row(places[i] / top_k), x.columns * sizeof(float));
    const Array hidden = product(step, rows, nullptr, 0.0f, experts.gate_up[expert], nullptr, glu);
    const Array out = product(step, hidden, nullptr, 0.0f, experts.down[expert], nullptr, Glu::silu);
    for (int i = 0; i < rows.rows; ++i) std::memcpy(outputs.row(places[i]), out.row(i), out.columns * sizeof(float));
}

Array Context::moe_add(const Step& step, const Array& x, const Linear& router, const Experts& experts, int top_k,
                       bool weigh_all, Glu glu, const Array& residual) {
    check(residual);
    const int n_experts = static_cast<int>(experts.gate_up.size()), columns = residual.columns;
    if (router.paired || router.n != n_experts) throw std::invalid_argument("the router has another number of experts");
    if (top_k < 1 || top_k > n_experts)
        throw std::invalid_argument("top_k must be between 1 and the number of experts");
    if (experts.gate_up[0].k != x.columns || experts.down[0].n != columns || residual.rows != x.rows)
        throw std::invalid_argument("the experts take or give other shapes than the arrays have");
    const Array logits = product(step, x, nullptr, 0.0f, router, nullptr, Glu::silu);
    const std::vector<Route> routes = route(logits, top_k, weigh_all);
    std::vector<std::vector<int>> places(n_experts);
    for (size_t i = 0; i < routes.size(); ++i) places[routes[i].expert].push_back(static_cast<int>(i));
    Array outputs = make(step, x.rows * top_k, columns);
    for (int expert = 0; expert < n_experts; ++expert) {
        if (!places[expert].empty()) run_expert(step, x, experts, expert, glu, places[expert], top_k, outputs);
    }
    Array out = make(step, x.rows, columns);
    Pool& pool = Pool::instance();
    std::lock_guard lock(pool.exclusive);
    pool.share(x.rows, 16, [&](int, int first, int last) {
        for (int row = first; row < last; ++row) {
            float* sum = out.row(row);
            std::memcpy(sum, residual.row(row), columns * sizeof(float));
            for (int k = 0; k < top_k; ++k) {
                const int64_t i = static_cast<int64_t>(row) * top_k + k;
                const float *part = outputs.row(i), weight = routes[i].weight;
                for (int c = 0; c < columns; ++c) sum[c] += weight * part[c];
            }
        }
    });
    return out;
}

}  // namespace greenlight
