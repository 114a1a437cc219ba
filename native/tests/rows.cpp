// Is what happens to one row what its name says?
#include <algorithm>
#include <cmath>

#include "driver.h"
#include "reference.h"

namespace greenlight::driver {

void rows_are_normed_added_capped_and_chosen(Case& c) {
    Vectors vectors(5);
    for (const int k : {1, 15, 16, 17, 64, 100}) {
        const int rows = vectors.whole(1, 5);
        const Floats x = vectors.floats(rows * k), y = vectors.floats(rows * k), weight = vectors.floats(k);
        const Step step = c.step(rows, {}, {rows - 1});
        const Array a = c.context.from_floats(step, x.data(), rows, k);
        const Array b = c.context.from_floats(step, y.data(), rows, k);
        const Floats normed = c.keep(c.context.rms_norm(step, a, {weight}, 1e-5f));
        const Floats sum = c.keep(c.context.add(step, a, b)), capped = c.keep(c.context.softcap(step, a, 1.5f));
        const Floats gated = c.keep(c.context.gate(step, a, b, Glu::gelu_tanh));
        const Floats scaled = c.keep(c.context.scale(step, a, -0.75f));
        const int from = k / 3, n = k - from - k / 4;
        const Floats some = c.keep(c.context.columns(step, a, from, n));
        for (int r = 0; r < rows; ++r) {
            const std::vector<double> expected = reference::normed(&x[r * k], weight.data(), k, 1e-5);
            for (int i = 0; i < k; ++i)
                expect_near(normed[r * k + i], expected[i], 2e-6 * std::fabs(expected[i]) + 1e-7, "rms_norm");
        }
        for (int i = 0; i < rows * k; ++i) {
            expect(sum[i] == x[i] + y[i], "add");
            expect_near(capped[i], 1.5 * std::tanh(x[i] / 1.5), 1e-6, "softcap");
            const double expected = reference::gated(Glu::gelu_tanh, x[i], y[i]);
            expect_near(gated[i], expected, 3e-6 * (1 + std::fabs(x[i] * y[i])), "gate");
            expect(scaled[i] == x[i] * -0.75f, "scale");
        }
        for (int r = 0; r < rows; ++r)
            expect(!std::memcmp(&some[r * n], &x[r * k + from], n * sizeof(float)), "columns");
        expect(!std::memcmp(c.context.rows(step, a).data(), a.row(rows - 1), k * sizeof(float)), "rows");
        const auto [ids, values] = c.context.top_k(a, k);
        expect(ids[0] == c.context.argmax(a)[0] && std::is_sorted(values.rbegin() + (rows - 1) * k, values.rend()),
               "top_k");
    }
}

void log_probabilities_are_a_softmax_of_the_head(Case& c) {
    Vectors vectors(6);
    for (const int vocabulary : {1, 17, 5000}) {
        const Matrix weight = vectors.matrix(Kind::Q8_0, vocabulary, 32);
        const Linear head = pack_linear({weight.source()}, 32);
        const int rows = 5;
        const Floats x = vectors.floats(rows * 32);
        const Step step = c.step(rows);
        const Array in = c.context.from_floats(step, x.data(), rows, 32);
        std::vector<int32_t> targets;
        for (int r = 0; r < rows; ++r) targets.push_back(vectors.whole(0, vocabulary - 1));
        const Logprobs found = c.context.token_logprobs(step, in, head, targets, 0.0f);
        c.outputs.add(found.values.data(), found.values.size());
        const Array logits = c.context.product(step, in, nullptr, 0, head, nullptr, Glu::silu);
        for (int r = 0; r < rows; ++r) {
            double sum = 0;
            for (int i = 0; i < vocabulary; ++i) sum += std::exp(static_cast<double>(logits.row(r)[i]));
            expect_near(found.values[r], logits.row(r)[targets[r]] - std::log(sum), 1e-5, "log-probability");
        }
    }
}

}  // namespace greenlight::driver
