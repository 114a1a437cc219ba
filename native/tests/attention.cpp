// Does a query see the keys and values it should, and no others?
#include <cmath>
#include <cstring>

#include "attention_reference.h"
#include "driver.h"

namespace greenlight::driver {

namespace {

// A layer on pages in any order, full of rubbish before, in a group of their own.
struct Layer {
    static constexpr int kGroup = 1, kLayer = 1;
    const Setup& s;
    Weights weights;
    Heads heads, sharing;  // sharing: without keys and values of its own
    std::shared_ptr<Pages> pages;

    Layer(const Setup& setup, Vectors& vectors)
        : s(setup),
          weights(s, vectors),
          heads(new_heads(false)),
          sharing(new_heads(true)),
          pages(std::make_shared<Pages>(
              7, std::vector<LayerShape>{{2, 8, 0, 0}, {s.kv_heads, s.dim, kGroup, s.window}}, s.half_pages)) {
        std::memset(pages->data(0), 0xff, pages->bytes());
    }
    Heads new_heads(bool shared) const {
        return Heads(s.heads, s.kv_heads, s.dim, 1.0f / std::sqrt(static_cast<float>(s.dim)), weights.frequencies, 1.0f,
                     s.window, s.softcap, s.norm, 1e-5f, s.beta, 20, shared);
    }
    // The tables of both groups for two sequences of three pages each; pages before the window are gone.
    std::vector<int32_t> tables(const std::vector<int32_t>& past) const {
        std::vector<int32_t> out(6, 3), own = {4, 1, 6, 2, 0, 5};
        for (int b = 0; b < 2; ++b)
            for (int p = 0; p < pages->first_page(kGroup, past[b]); ++p) own[3 * b + p] = -1;
        out.insert(out.end(), own.begin(), own.end());
        return out;
    }
    Floats attend(Case& c, const Step& step, const Array& qkv) {
        const Norm *q = s.norm ? &weights.q_norm : nullptr, *k = s.norm ? &weights.k_norm : nullptr;
        const Norm *v = s.values_normed ? &weights.v_norm : nullptr, *sinks = s.sinks ? &weights.sinks : nullptr;
        const Floats out = c.keep(c.context.attention(step, qkv, kLayer, heads, q, k, v, sinks));
        // The same queries over what is in the pages by now, as a layer without keys of its own asks.
        const Array queries = c.context.columns(step, qkv, 0, s.heads * s.dim);
        const Floats again = c.keep(c.context.attention(step, queries, kLayer, sharing, q, nullptr, nullptr, sinks));
        expect(out == again, "attention over another layer's keys and values");
        return out;
    }
};

// Two sequences in ragged steps.
void check_attention(Case& c, const Setup& s, Vectors& vectors) {
    const int width = (s.heads + 2 * s.kv_heads) * s.dim, mixed = s.heads * s.dim;
    Layer layer(s, vectors);
    const AttentionReference reference(s, layer.weights);
    std::vector<Past> pasts(2);
    std::vector<int32_t> past = {0, 0};
    for (const auto& [one, two] : {std::pair{5, 33}, {1, 1}, {40, 1}, {1, 20}, {0, 3}}) {
        const int T = one + two;
        const Step step =
            c.context.begin(layer.pages, std::vector<int32_t>(T), {0, one, T}, past, layer.tables(past), 3, {});
        const Floats x = vectors.floats(static_cast<size_t>(T) * width);
        const Floats out = layer.attend(c, step, c.context.from_floats(step, x.data(), T, width));
        for (int row = 0; row < T; ++row) {
            const std::vector<double> expected =
                reference.row(pasts[step.sequence_of_row[row]], &x[row * width], step.positions[row]);
            for (int i = 0; i < mixed; ++i)
                expect_near(out[row * mixed + i], expected[i], s.half_pages ? 8e-3 : 2e-5, "attention");
        }
        past[0] += one, past[1] += two;
    }
    layer.pages->copy(4, 3);
}

}  // namespace

void attention_sees_what_it_should(Case& c) {
    Vectors vectors(7);
    const Setup setups[] = {
        {1, 1, 8, 4, 0, 0, 0, false, true, 0},      {3, 1, 24, 4, 7, 0, 1, false, true, 0},
        {4, 2, 40, 20, 0, 1.5f, 0, true, false, 0}, {6, 2, 64, 32, 32, 0, 2, true, true, 0.3f},
        {7, 1, 16, 0, 1, 0, 0, false, false, 0.3f}, {2, 2, 128, 64, 45, 0, 1, true, false, 0},
        {9, 3, 80, 40, 0, 0, 2, true, true, 0},     {4, 1, 512, 64, 0, 0, 1, false, true, 0, true},
        {4, 2, 24, 12, 9, 0, 1, false, false, 0, true},
    };
    for (const Setup& setup : setups) check_attention(c, setup, vectors);
}

}  // namespace greenlight::driver
