// Do the kernels compute what they should, and stay within their memory? Every table that this CPU can run, every type,
// on shapes at the edges, against reference.h; and bit for bit among tables, threads and batches.
//
// Vectors come from fixed seeds. Run it as it is or under a sanitizer: `make sanitize`.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>

#include "half.h"
#include "ops.h"
#include "reference.h"

using namespace greenlight;

namespace {

using Floats = std::vector<float>;
constexpr const char* kNames[kKinds] = {"F32",    "F16",   "BF16", "Q4_0", "Q4_1", "Q8_0", "Q5_0", "Q5_1",
                                        "IQ4_NL", "MXFP4", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"};
constexpr Glu kGlus[] = {Glu::silu, Glu::gelu, Glu::gelu_tanh, Glu::swiglu_oss};

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "FAILED: %s\n", what.c_str());
    std::exit(1);
}

void expect(bool condition, const std::string& what) {
    if (!condition) fail(what);
}

void expect_near(double found, double expected, double tolerance, const std::string& what) {
    if (std::fabs(found - expected) <= tolerance) return;
    fail(what + ": " + std::to_string(found) + ", expected " + std::to_string(expected) + " within " +
         std::to_string(tolerance));
}

// A matrix as a file has it, in memory of exactly its size that begins at an odd address: files owe nobody alignment.
struct Matrix {
    Kind kind;
    int rows, k;
    std::vector<uint8_t> memory;
    Floats bias;

    const uint8_t* data() const { return memory.data() + 1; }
    const uint8_t* row(int r) const { return data() + r * row_bytes(kind, k); }
    Source source() const { return {kind, data(), rows, bias.empty() ? nullptr : bias.data()}; }
};

class Vectors {
  public:
    explicit Vectors(unsigned seed) : random_(seed) {}

    int whole(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
    float normal() { return std::normal_distribution<float>()(random_); }
    Floats floats(size_t n) {
        Floats out(n);
        for (float& x : out) x = normal();
        return out;
    }
    // Rows of several magnitudes, with some zeros in a run.
    Floats rows(int n, int k) {
        Floats out;
        for (int r = 0; r < n; ++r) {
            const float size = std::pow(10.0f, static_cast<float>(whole(-3, 2)));
            for (int i = 0; i < k; ++i) out.push_back(r == 0 && i >= 32 && i < 64 ? 0.0f : size * normal());
        }
        return out;
    }
    Matrix matrix(Kind kind, int rows, int k, bool biased = false) {
        Matrix out{kind, rows, k, {}, {}};
        const size_t n = rows * row_bytes(kind, k);
        out.memory.resize(n + 1);
        for (uint8_t& byte : out.memory) byte = static_cast<uint8_t>(whole(0, 255));
        uint8_t* data = out.memory.data() + 1;
        for (size_t at = 0; at < n; at += shape_of(kind).bytes) scale_block(kind, data + at);
        if (biased) out.bias = floats(rows);
        return out;
    }

  private:
    // Random bytes may be any float: those that are floats become ordinary ones.
    void scale_block(Kind kind, uint8_t* block) {
        if (kind == Kind::F32) return put_float(block, 0.1f * normal());
        if (kind == Kind::BF16) return put_brain(block, 0.1f * normal());
        if (kind == Kind::MXFP4) return void(block[0] = static_cast<uint8_t>(whole(118, 124)));
        for (const int at : halves_of(kind)) {
            const uint16_t half = f32_to_f16(std::uniform_real_distribution<float>(0.001f, 0.01f)(random_) *
                                             static_cast<float>(whole(0, 1) * 2 - 1));
            std::memcpy(block + at, &half, 2);
        }
    }
    static std::vector<int> halves_of(Kind kind) {
        switch (kind) {
            case Kind::Q4_1:
            case Kind::Q5_1:
            case Kind::Q4_K:
            case Kind::Q5_K: return {0, 2};
            case Kind::Q2_K: return {80, 82};
            case Kind::Q3_K: return {108};
            case Kind::Q6_K: return {208};
            default: return {0};
        }
    }
    static void put_float(uint8_t* p, float x) { std::memcpy(p, &x, 4); }
    static void put_brain(uint8_t* p, float x) {
        uint8_t bytes[4];
        std::memcpy(bytes, &x, 4);
        std::memcpy(p, bytes + 2, 2);
    }
    std::mt19937 random_;
};

// All that the tests compute, in order: equal for every table and every number of threads.
class Outputs {
  public:
    void add(const float* x, size_t n) {
        for (size_t i = 0; i < n; ++i) {
            uint32_t bits;
            std::memcpy(&bits, x + i, 4);
            digest_ = (digest_ ^ bits) * 0x100000001b3u;
        }
        count_ += n;
    }
    uint64_t digest() const { return digest_; }
    size_t count() const { return count_; }

  private:
    uint64_t digest_ = 0xcbf29ce484222325u;
    size_t count_ = 0;
};

struct Case {
    Context context;
    Outputs& outputs;
    bool exact;

    Step step(int rows, std::vector<int32_t> tokens = {}, std::vector<int32_t> wanted = {}) {
        auto pages = std::make_shared<Pages>((rows + kPage - 1) / kPage, std::vector<LayerShape>{{1, 8, 0, 0}}, true);
        std::vector<int32_t> table(pages->n_pages);
        for (int i = 0; i < pages->n_pages; ++i) table[i] = i;
        if (tokens.empty()) tokens.assign(rows, 0);
        const int width = pages->n_pages;
        return context.begin(pages, std::move(tokens), {0, rows}, {0}, table, width, std::move(wanted));
    }
    Floats keep(const Array& x) {
        const Floats out(x.data(), x.row(x.rows));
        outputs.add(out.data(), out.size());
        return out;
    }
};

int inputs_of(Kind kind, int blocks) { return is_quantised(kind) ? shape_of(kind).inputs * blocks : 13 * blocks; }

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

void a_block_widens_to_its_values(Case& c) {
    Vectors vectors(1);
    for (int kind = 0; kind < kKinds; ++kind) {
        for (const int blocks : {1, 3}) {
            const int dim = inputs_of(static_cast<Kind>(kind), blocks);
            const Matrix table = vectors.matrix(static_cast<Kind>(kind), 5, dim);
            const Step step = c.step(3, {4, 0, 2});
            const Floats out = c.keep(c.context.embed(step, {table.kind, table.data(), 5, dim}, 1.0f));
            for (int r = 0; r < 3; ++r) {
                for (int i = 0; i < dim; ++i) {
                    const double expected = reference::value(table.kind, table.row(step.tokens[r]), i);
                    expect_near(out[r * dim + i], expected, 1e-6 * std::fabs(expected) + 1e-6, kNames[kind]);
                }
            }
        }
    }
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
            const std::string what = std::string(kNames[static_cast<int>(weight.kind)]) + " linear";
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
        const Linear pair = pack_gate_up(gate.source(), up.source(), 256);
        const Linear one = pack_linear({gate.source()}, 256), two = pack_linear({up.source()}, 256);
        const Glu glu = kGlus[kind % 4];
        for (const int rows : {1, 3, 13}) {
            const Floats x = vectors.floats(rows * 256), weight = vectors.floats(256);
            const Norm norm{weight};
            const Step step = c.step(rows);
            const Array in = c.context.from_floats(step, x.data(), rows, 256);
            const Array normed = c.context.rms_norm(step, in, norm, 1e-5f);
            const Floats out = c.keep(c.context.product(step, in, &norm, 1e-5f, pair, nullptr, glu));
            const Array g = c.context.product(step, normed, nullptr, 0, one, nullptr, glu);
            const Array u = c.context.product(step, normed, nullptr, 0, two, nullptr, glu);
            for (int i = 0; i < rows * 21; ++i) {
                const double expected = reference::gated(glu, g.data()[i], u.data()[i]);
                expect_near(out[i], expected, 3e-6 * (1 + std::fabs(expected) + std::fabs(g.data()[i] * u.data()[i])),
                            "gated pair");
            }
        }
    }
}

void rows_are_normed_added_capped_and_chosen(Case& c) {
    Vectors vectors(5);
    for (const int k : {1, 15, 16, 17, 64, 100}) {
        const int rows = vectors.whole(1, 5);
        const Floats x = vectors.floats(rows * k), y = vectors.floats(rows * k), weight = vectors.floats(k);
        const Step step = c.step(rows, {}, {rows - 1});
        const Array a = c.context.from_floats(step, x.data(), rows, k), b = c.context.from_floats(step, y.data(), rows, k);
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
            expect_near(gated[i], reference::gated(Glu::gelu_tanh, x[i], y[i]), 3e-6 * (1 + std::fabs(x[i] * y[i])), "gate");
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

struct Shape4 {
    int heads, kv_heads, dim, half, window;
    float softcap;
    int norm;
    bool sinks, half_pages;
    float beta;
    bool values_normed = false;
};

// Keys and values of one sequence so far, rotated and rounded as they are kept.
struct Past {
    std::vector<std::vector<double>> keys, values;
};

std::vector<double> rotated(const std::vector<double>& x, int position, const Floats& frequencies, double scale) {
    std::vector<double> out = x;
    const size_t half = frequencies.size();
    for (size_t i = 0; i < half; ++i) {
        const double angle = static_cast<float>(position) * frequencies[i];
        out[i] = x[i] * std::cos(angle) - x[i + half] * std::sin(angle);
        out[i + half] = x[i + half] * std::cos(angle) + x[i] * std::sin(angle);
    }
    for (double& value : out) value *= scale;
    return out;
}

class AttentionReference {
  public:
    AttentionReference(const Shape4& shape, const Floats& frequencies, const Floats& q_norm, const Floats& k_norm,
                       const Floats& v_norm, const Floats& sinks)
        : s_(shape), frequencies_(frequencies), q_norm_(q_norm), k_norm_(k_norm), v_norm_(v_norm), sinks_(sinks) {}

    // The row's mixed values, (H·D), after its keys and values have joined the past.
    std::vector<double> row(Past& past, const float* qkv, int position) const {
        const int H = s_.heads, K = s_.kv_heads, D = s_.dim;
        std::vector<double> queries = normed(qkv, q_norm_, H), keys = normed(qkv + H * D, k_norm_, K), value;
        const float* values = qkv + (H + K) * D;
        for (int h = 0; h < K; ++h) {
            const std::vector<double> as_is(values + h * D, values + (h + 1) * D);
            const auto head = s_.values_normed ? reference::normed(values + h * D, v_norm_.data(), D, 1e-5) : as_is;
            value.insert(value.end(), head.begin(), head.end());
        }
        const double factor = 1 + s_.beta * std::log(1.0 + position / 20);
        queries = each(queries, H, position, factor / std::sqrt(D));
        past.keys.push_back(each(keys, K, position, 1));
        past.values.push_back(value);
        std::vector<double> out;
        for (int h = 0; h < H; ++h) mix(past, &queries[h * D], h, position, out);
        return out;
    }

  private:
    std::vector<double> normed(const float* x, const Floats& weight, int heads) const {
        if (s_.norm == 0) return std::vector<double>(x, x + heads * s_.dim);
        if (s_.norm == 2) return reference::normed(x, weight.data(), heads * s_.dim, 1e-5);
        std::vector<double> out;
        for (int h = 0; h < heads; ++h) {
            const std::vector<double> one = reference::normed(x + h * s_.dim, weight.data(), s_.dim, 1e-5);
            out.insert(out.end(), one.begin(), one.end());
        }
        return out;
    }
    std::vector<double> each(const std::vector<double>& x, int heads, int position, double scale) const {
        std::vector<double> out;
        for (int h = 0; h < heads; ++h) {
            const std::vector<double> head(x.begin() + h * s_.dim, x.begin() + (h + 1) * s_.dim);
            const std::vector<double> turned = rotated(head, position, frequencies_, scale);
            out.insert(out.end(), turned.begin(), turned.end());
        }
        return out;
    }
    void mix(const Past& past, const double* query, int head, int position, std::vector<double>& out) const {
        const int D = s_.dim, kv = head / (s_.heads / s_.kv_heads);
        const int first = s_.window ? std::max(0, position + 1 - s_.window) : 0;
        std::vector<double> weights;
        double sum = s_.sinks ? std::exp(static_cast<double>(sinks_[head])) : 0;
        for (int p = first; p <= position; ++p) {
            double score = 0;
            for (int d = 0; d < D; ++d) score += query[d] * past.keys[p][kv * D + d];
            if (s_.softcap > 0) score = s_.softcap * std::tanh(score / s_.softcap);
            weights.push_back(std::exp(score));
            sum += weights.back();
        }
        for (int d = 0; d < D; ++d) {
            double mixed = 0;
            for (int p = first; p <= position; ++p) mixed += weights[p - first] / sum * past.values[p][kv * D + d];
            out.push_back(mixed);
        }
    }
    const Shape4 s_;
    const Floats &frequencies_, &q_norm_, &k_norm_, &v_norm_, &sinks_;
};

// Two sequences in ragged steps, on pages in any order, full of rubbish before, in a group of their own.
void check_attention(Case& c, const Shape4& s, Vectors& vectors) {
    const int H = s.heads, K = s.kv_heads, D = s.dim, width = (H + 2 * K) * D, n_pages = 7, group = 1;
    Floats frequencies;
    for (int i = 0; i < s.half; ++i) frequencies.push_back(std::pow(100.0f, -static_cast<float>(i) / s.half));
    const Norm q_norm{vectors.floats(s.norm == 2 ? H * D : D)}, k_norm{vectors.floats(s.norm == 2 ? K * D : D)},
        v_norm{vectors.floats(D)}, sinks{vectors.floats(H)};
    const auto new_heads = [&](bool shared) {
        return Heads(H, K, D, 1.0f / std::sqrt(static_cast<float>(D)), frequencies, 1.0f, s.window, s.softcap, s.norm,
                     1e-5f, s.beta, 20, shared);
    };
    Heads heads = new_heads(false), sharing = new_heads(true);
    const AttentionReference expected(s, frequencies, q_norm.weight, k_norm.weight, v_norm.weight, sinks.weight);
    auto pages = std::make_shared<Pages>(n_pages, std::vector<LayerShape>{{2, 8, 0, 0}, {K, D, group, s.window}},
                                         s.half_pages);
    std::memset(pages->data(0), 0xff, pages->bytes());
    const std::vector<int32_t> order = {4, 1, 6, 2, 0, 5};  // three pages each
    std::vector<Past> pasts(2);
    std::vector<int32_t> past = {0, 0};
    for (const auto& [one, two] : {std::pair{5, 33}, {1, 1}, {40, 1}, {1, 20}, {0, 3}}) {
        const int T = one + two;
        std::vector<int32_t> tables(6, 3), own = order;
        for (int b = 0; b < 2; ++b)  // pages before the window are gone
            for (int p = 0; p < pages->first_page(group, past[b]); ++p) own[3 * b + p] = -1;
        tables.insert(tables.end(), own.begin(), own.end());
        const Step step = c.context.begin(pages, std::vector<int32_t>(T), {0, one, T}, past, tables, 3, {});
        const Floats x = vectors.floats(static_cast<size_t>(T) * width);
        const Array qkv = c.context.from_floats(step, x.data(), T, width);
        const Norm *normed_q = s.norm ? &q_norm : nullptr, *normed_k = s.norm ? &k_norm : nullptr;
        const Norm *normed_v = s.values_normed ? &v_norm : nullptr, *with_sinks = s.sinks ? &sinks : nullptr;
        const Floats out =
            c.keep(c.context.attention(step, qkv, 1, heads, normed_q, normed_k, normed_v, with_sinks));
        // The same queries over what is in the pages by now, as a layer without keys of its own asks.
        const Array queries = c.context.columns(step, qkv, 0, H * D);
        const Floats again =
            c.keep(c.context.attention(step, queries, 1, sharing, normed_q, nullptr, nullptr, with_sinks));
        expect(out == again, "attention over another layer's keys and values");
        for (int row = 0; row < T; ++row) {
            const std::vector<double> values =
                expected.row(pasts[step.sequence_of_row[row]], &x[row * width], step.positions[row]);
            for (int i = 0; i < H * D; ++i)
                expect_near(out[row * H * D + i], values[i], s.half_pages ? 8e-3 : 2e-5, "attention");
        }
        past[0] += one, past[1] += two;
    }
    pages->copy(4, 3);
}

void attention_sees_what_it_should(Case& c) {
    Vectors vectors(7);
    const Shape4 shapes[] = {
        {1, 1, 8, 4, 0, 0, 0, false, true, 0},      {3, 1, 24, 4, 7, 0, 1, false, true, 0},
        {4, 2, 40, 20, 0, 1.5f, 0, true, false, 0}, {6, 2, 64, 32, 32, 0, 2, true, true, 0.3f},
        {7, 1, 16, 0, 1, 0, 0, false, false, 0.3f}, {2, 2, 128, 64, 45, 0, 1, true, false, 0},
        {9, 3, 80, 40, 0, 0, 2, true, true, 0},     {4, 1, 512, 64, 0, 0, 1, false, true, 0, true},
        {4, 2, 24, 12, 9, 0, 1, false, false, 0, true},
    };
    for (const Shape4& shape : shapes) check_attention(c, shape, vectors);
}

void experts_are_chosen_and_mixed(Case& c) {
    Vectors vectors(8);
    for (const Kind kind : {Kind::F32, Kind::Q8_0, Kind::MXFP4, Kind::Q4_K}) {
        const int n_experts = 5, k = 256, hidden = 256, rows = 7;
        Experts experts;
        for (int e = 0; e < n_experts; ++e) {
            const Matrix gate = vectors.matrix(kind, hidden, k, true), up = vectors.matrix(kind, hidden, k, true);
            const Matrix down = vectors.matrix(kind, k, hidden, true);
            experts.gate_up.push_back(pack_gate_up(gate.source(), up.source(), k));
            experts.down.push_back(pack_linear({down.source()}, hidden));
        }
        const Matrix chooser = vectors.matrix(Kind::F32, n_experts, k);
        const Linear router = pack_linear({chooser.source()}, k);
        const Floats x = vectors.floats(rows * k), before = vectors.floats(rows * k);
        const Step step = c.step(rows);
        const Array in = c.context.from_floats(step, x.data(), rows, k);
        const Array residual = c.context.from_floats(step, before.data(), rows, k);
        for (const bool weigh_all : {false, true}) {
            const Floats out =
                c.keep(c.context.moe_add(step, in, router, experts, 2, weigh_all, Glu::swiglu_oss, residual));
            const Array logits = c.context.product(step, in, nullptr, 0, router, nullptr, Glu::silu);
            const auto [ids, values] = c.context.top_k(logits, n_experts);
            for (int r = 0; r < rows; ++r) {
                double sum = 0;
                for (int e = 0; e < (weigh_all ? n_experts : 2); ++e) sum += std::exp(values[r * n_experts + e]);
                const Array row = c.context.from_floats(step, &x[r * k], 1, k);
                std::vector<double> expected(&before[r * k], &before[r * k] + k);
                for (int e = 0; e < 2; ++e) {
                    const int id = ids[r * n_experts + e];
                    const Array mid =
                        c.context.product(step, row, nullptr, 0, experts.gate_up[id], nullptr, Glu::swiglu_oss);
                    const Array part = c.context.product(step, mid, nullptr, 0, experts.down[id], nullptr, Glu::silu);
                    for (int i = 0; i < k; ++i) expected[i] += std::exp(values[r * n_experts + e]) / sum * part.row(0)[i];
                }
                for (int i = 0; i < k; ++i)
                    expect_near(out[r * k + i], expected[i], 1e-4 * (1 + std::fabs(expected[i])), "experts");
            }
        }
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

void every_item_is_done_once() {
    Pool& pool = Pool::instance();
    Vectors vectors(10);
    const auto run = [&pool](int n, int portion) {
        std::vector<int> done(n);
        std::lock_guard lock(pool.exclusive);
        pool.share(n, portion, [&](int, int first, int last) {
            for (int i = first; i < last; ++i) ++done[i];
        });
        for (const int times : done) expect(times == 1, "an item was done " + std::to_string(times) + " times");
    };
    for (const int threads : {1, 2, 3, 7, 12}) {
        pool.resize(threads);
        for (int i = 0; i < 300; ++i) run(vectors.whole(0, 200), vectors.whole(1, 9));
        std::vector<std::thread> callers;
        for (int caller = 0; caller < 3; ++caller) {
            callers.emplace_back([&run] {
                for (int i = 0; i < 60; ++i) run(64 + i, 3);
            });
        }
        for (std::thread& caller : callers) caller.join();
    }
}

// A folder's bytes of neighbours, told apart one nibble at a time.
void blocks_and_scales_become_rows(int threads) {
    Pool::instance().resize(threads);
    Vectors vectors(5);
    for (const int rows : {2, 130, 700}) {
        for (const int step : {1, 2}) {
            const int blocks = vectors.whole(1, 4), first = step - 1;
            std::vector<uint8_t> pairs(16 * rows * blocks), scales(rows * blocks), out(17 * rows / step * blocks);
            for (uint8_t& byte : pairs) byte = static_cast<uint8_t>(vectors.whole(0, 255));
            for (uint8_t& byte : scales) byte = static_cast<uint8_t>(vectors.whole(0, 254));
            join_mxfp4(pairs.data(), scales.data(), rows, blocks, first, step, out.data());
            for (int row = 0; row < rows / step; ++row) {
                for (int b = 0; b < blocks; ++b) {
                    const int from = (row * step + first) * blocks + b;
                    const uint8_t* block = out.data() + 17 * (row * blocks + b);
                    bool same = block[0] == scales[from];
                    for (int i = 0; i < 32; ++i) {
                        const int wanted = pairs[16 * from + i / 2] >> 4 * (i % 2) & 15;
                        same &= (block[1 + i % 16] >> 4 * (i / 16) & 15) == wanted;
                    }
                    expect(same, "a block of MXFP4 is put in order");
                }
            }
        }
    }
}

uint64_t compute(const std::string& isa, int threads, bool exact) {
    Pool::instance().resize(threads);
    Outputs outputs;
    Case c{Context(isa, exact), outputs, exact};
    a_block_widens_to_its_values(c);
    linears_are_sums_of_products(c);
    stacked_linears_are_the_linears_side_by_side(c);
    pairs_are_gated(c);
    rows_are_normed_added_capped_and_chosen(c);
    log_probabilities_are_a_softmax_of_the_head(c);
    attention_sees_what_it_should(c);
    experts_are_chosen_and_mixed(c);
    rubbish_in_stays_rubbish(c);
    std::printf("%-12s %d threads%s: %zu values, %016llx\n", isa.c_str(), threads, exact ? ", exact" : "",
                outputs.count(), static_cast<unsigned long long>(outputs.digest()));
    std::fflush(stdout);
    return outputs.digest();
}

}  // namespace

int main() {
    every_item_is_done_once();
    for (const int threads : {1, 3}) blocks_and_scales_become_rows(threads);
    for (const bool exact : {false, true}) {
        uint64_t digest = 0;
        for (const std::string& isa : usable_isas()) {
            for (const int threads : {1, 3}) {
                const uint64_t found = compute(isa, threads, exact);
                if (!digest) digest = found;
                expect(found == digest, "bits depend on the instruction set or the threads");
            }
        }
    }
    std::puts("all is well");
}
