// Is every output of a linear its sum of products, whatever stands beside it?
#include <cmath>
#include <utility>

#include "driver.h"
#include "reference.h"

namespace greenlight::driver {

namespace {

constexpr Glu kGlus[] = {Glu::silu, Glu::gelu, Glu::gelu_tanh, Glu::swiglu_oss};

// What rounding each of k operations may do to sums of this size; in two int8, the little that those cannot hold.
double tolerance(const reference::Sum& sum, int k) { return (k + 4) * 0x1p-24 * sum.size + 1e-30; }

reference::Sum expected_product(const Matrix& weight, int n, const float* x, bool exact) {
    if (!exact || !is_quantised(weight.kind)) return reference::product(weight.kind, weight.row(n), x, weight.k);
    reference::Sum sum{0, 0};
    for (int first = 0; first < weight.k; first += 32) {
        double largest = 0, heaviest = 0;
        for (int i = first; i < first + 32; ++i) {
            const double value = reference::value(weight.kind, weight.row(n), i);
            sum.value += value * x[i];
            largest = std::max<double>(largest, std::fabs(x[i]));
            heaviest = std::max(heaviest, std::fabs(value));
        }
        sum.size += 32 * 4 * heaviest * largest;
    }
    return sum;
}

void check_linear(Case& c, const Matrix& weight, const Linear& packed, int rows, Vectors& vectors) {
    const int k = weight.k, n = weight.rows;
    const Floats x = vectors.rows(rows, k), residual = vectors.floats(static_cast<size_t>(rows) * n);
    const Step step = c.step(rows);
    const Array in = c.context.from_floats(step, x.data(), rows, k);
    const Array before = c.context.from_floats(step, residual.data(), rows, n);
    const Floats out = c.keep(c.context.product(step, in, nullptr, 0, packed, nullptr, Glu::silu));
    const Floats added = c.keep(c.context.product(step, in, nullptr, 0, packed, &before, Glu::silu));
    for (int r = 0; r < rows; ++r) {
        for (int j = 0; j < n; ++j) {
            reference::Sum sum = expected_product(weight, j, &x[r * k], c.exact);
            if (!weight.bias.empty()) sum.value += weight.bias[j], sum.size += std::fabs(weight.bias[j]);
            const double allowed = tolerance(sum, k) + (c.exact ? 0x1p-15 * sum.size / 4 : 0);
            const std::string what = std::string(kKindNames[static_cast<int>(weight.kind)]) + " linear";
            expect_near(out[r * n + j], sum.value, allowed, what);
            expect(added[r * n + j] == residual[r * n + j] + out[r * n + j], what + " with a residual");
        }
    }
    // The last row alone has the bits it has beside the others.
    const Step single = c.step(1);
    const Array last = c.context.from_floats(single, &x[(rows - 1) * k], 1, k);
    const Array alone = c.context.product(single, last, nullptr, 0, packed, nullptr, Glu::silu);
    expect(!std::memcmp(alone.data(), &out[(rows - 1) * n], n * sizeof(float)), "a row depends on its batch");
}

void check_pair(Case& c, const Matrix& gate, const Matrix& up, Glu glu, int rows, Vectors& vectors) {
    const int k = gate.k, n = gate.rows;
    const Floats x = vectors.floats(rows * k), weight = vectors.floats(k);
    const Norm norm{weight};
    const Step step = c.step(rows);
    const Array in = c.context.from_floats(step, x.data(), rows, k);
    const Linear pair = pack_gate_up(gate.source(), up.source(), k);
    const Floats out = c.keep(c.context.product(step, in, &norm, 1e-5f, pair, nullptr, glu));
    const Array normed = c.context.rms_norm(step, in, norm, 1e-5f);
    const Array g = c.context.product(step, normed, nullptr, 0, pack_linear({gate.source()}, k), nullptr, glu);
    const Array u = c.context.product(step, normed, nullptr, 0, pack_linear({up.source()}, k), nullptr, glu);
    for (int i = 0; i < rows * n; ++i) {
        const double expected = reference::gated(glu, g.data()[i], u.data()[i]);
        const double size = 1 + std::fabs(expected) + std::fabs(g.data()[i] * u.data()[i]);
        expect_near(out[i], expected, 3e-6 * size, "gated pair");
    }
}

}  // namespace

void linears_are_sums_of_products(Case& c) {
    Vectors vectors(2);
    for (int kind = 0; kind < kKinds; ++kind) {
        const auto type = static_cast<Kind>(kind);
        for (const auto& [n, blocks] : {std::pair{1, 1}, {16, 2}, {35, 3}}) {
            const Matrix weight = vectors.matrix(type, n, inputs_of(type, blocks), n != 16);
            const Linear packed = pack_linear({weight.source()}, weight.k);
            for (int rows = 1; rows <= 13; rows += n == 35 ? 1 : 4) check_linear(c, weight, packed, rows, vectors);
        }
        const Matrix large = vectors.matrix(type, 70, inputs_of(type, shape_of(type).inputs == 256 ? 1 : 8));
        check_linear(c, large, pack_linear({large.source()}, large.k), 31, vectors);
    }
}

void stacked_linears_are_the_linears_side_by_side(Case& c) {
    Vectors vectors(3);
    std::vector<Matrix> matrices;
    std::vector<Source> sources;
    for (int kind = 0; kind < kKinds; ++kind)
        matrices.push_back(vectors.matrix(static_cast<Kind>(kind), vectors.whole(1, 40), 256, kind % 2));
    for (const Matrix& matrix : matrices) sources.push_back(matrix.source());
    const Linear all = pack_linear(sources, 256);
    for (const int rows : {1, 2, 5, 14}) {
        const Floats x = vectors.rows(rows, 256);
        const Step step = c.step(rows);
        const Array in = c.context.from_floats(step, x.data(), rows, 256);
        const Floats together = c.keep(c.context.product(step, in, nullptr, 0, all, nullptr, Glu::silu));
        int column = 0;
        for (const Source& source : sources) {
            const Array one = c.context.product(step, in, nullptr, 0, pack_linear({source}, 256), nullptr, Glu::silu);
            for (int r = 0; r < rows; ++r)
                expect(!std::memcmp(one.row(r), &together[r * all.n + column], source.rows * sizeof(float)),
                       "stacked weights change bits");
            column += source.rows;
        }
    }
}

void pairs_are_gated(Case& c) {
    Vectors vectors(4);
    for (int kind = 0; kind < kKinds; ++kind) {
        const auto type = static_cast<Kind>(kind), other = kind % 3 ? type : Kind::Q8_0;
        const Matrix gate = vectors.matrix(type, 21, 256, true), up = vectors.matrix(other, 21, 256, kind % 2);
        for (const int rows : {1, 3, 13}) check_pair(c, gate, up, kGlus[kind % 4], rows, vectors);
    }
}

void rubbish_in_stays_rubbish(Case& c) {
    Vectors vectors(9);
    for (int kind = 0; kind < kKinds; ++kind) {
        const Matrix weight = vectors.matrix(static_cast<Kind>(kind), 17, 256);
        const Linear packed = pack_linear({weight.source()}, 256);
        Floats x = vectors.floats(3 * 256);
        x[5] = NAN, x[256 + 40] = INFINITY, x[512] = 3e38f, x[513] = 1e-42f;
        const Step step = c.step(3);
        const Array in = c.context.from_floats(step, x.data(), 3, 256);
        const Array out = c.context.product(step, in, nullptr, 0, packed, nullptr, Glu::silu);
        for (int i = 0; i < 17; ++i) expect(std::isnan(out.row(0)[i]), "a NaN is lost");
        for (int i = 0; i < 17; ++i) expect(!std::isfinite(out.row(1)[i]), "an infinity is lost");
    }
}

}  // namespace greenlight::driver
