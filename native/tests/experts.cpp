// Are the best experts chosen, and their outputs mixed by their weights?
#include <cmath>
#include <utility>
#include <vector>

#include "driver.h"

namespace greenlight::driver {

namespace {

constexpr int kExperts = 5, kChosen = 2;

struct Layer {
    Linear router;
    Experts experts;
};

Layer layer_of(Kind kind, int k, int hidden, Vectors& vectors) {
    Experts experts;
    for (int e = 0; e < kExperts; ++e) {
        const Matrix gate = vectors.matrix(kind, hidden, k, true), up = vectors.matrix(kind, hidden, k, true);
        const Matrix down = vectors.matrix(kind, k, hidden, true);
        experts.gate_up.push_back(pack_gate_up(gate.source(), up.source(), k));
        experts.down.push_back(pack_linear({down.source()}, hidden));
    }
    const Matrix chooser = vectors.matrix(Kind::F32, kExperts, k);
    return {pack_linear({chooser.source()}, k), std::move(experts)};
}

// The best experts one by one, each alone on the row, and their sum in float64.
std::vector<double> mixed(Case& c, const Step& step, const Layer& layer, const float* x, const float* before, int k,
                          bool weigh_all) {
    const Array row = c.context.from_floats(step, x, 1, k);
    const Array logits = c.context.product(step, row, nullptr, 0, layer.router, nullptr, Glu::silu);
    const auto [ids, values] = c.context.top_k(logits, kExperts);
    double sum = 0;
    for (int e = 0; e < (weigh_all ? kExperts : kChosen); ++e) sum += std::exp(values[e]);
    std::vector<double> out(before, before + k);
    for (int e = 0; e < kChosen; ++e) {
        const Linear &gate_up = layer.experts.gate_up[ids[e]], &down = layer.experts.down[ids[e]];
        const Array hidden = c.context.product(step, row, nullptr, 0, gate_up, nullptr, Glu::swiglu_oss);
        const Array part = c.context.product(step, hidden, nullptr, 0, down, nullptr, Glu::silu);
        for (int i = 0; i < k; ++i) out[i] += std::exp(values[e]) / sum * part.row(0)[i];
    }
    return out;
}

}  // namespace

void experts_are_chosen_and_mixed(Case& c) {
    Vectors vectors(8);
    const int k = 256, rows = 7;
    for (const Kind kind : {Kind::F32, Kind::Q8_0, Kind::MXFP4, Kind::Q4_K}) {
        const Layer layer = layer_of(kind, k, k, vectors);
        const Floats x = vectors.floats(rows * k), before = vectors.floats(rows * k);
        const Step step = c.step(rows);
        const Array in = c.context.from_floats(step, x.data(), rows, k);
        const Array residual = c.context.from_floats(step, before.data(), rows, k);
        for (const bool weigh_all : {false, true}) {
            const Floats out = c.keep(c.context.moe_add(step, in, layer.router, layer.experts, kChosen, weigh_all,
                                                        Glu::swiglu_oss, residual));
            for (int r = 0; r < rows; ++r) {
                const auto expected = mixed(c, step, layer, &x[r * k], &before[r * k], k, weigh_all);
                for (int i = 0; i < k; ++i)
                    expect_near(out[r * k + i], expected[i], 1e-4 * (1 + std::fabs(expected[i])), "experts");
            }
        }
    }
}

}  // namespace greenlight::driver
