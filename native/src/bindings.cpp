// What does Python see? Handles and operations on them; see src/greenlight/ops/_native.pyi for their types.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <memory>
#include <optional>
#include <tuple>

#include "ops.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace greenlight {
namespace {

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Ints = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Tables = nb::ndarray<const int32_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

// A matrix as Python hands it over: type, bytes, rows, bias.
using PyMatrix = std::tuple<std::string, Bytes, int, std::optional<Floats>>;

Kind kind_named(const std::string& name) {
    constexpr const char* names[kKinds] = {"F32",    "F16",   "BF16", "Q4_0", "Q4_1", "Q8_0", "Q5_0", "Q5_1",
                                           "IQ4_NL", "MXFP4", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"};
    for (int i = 0; i < kKinds; ++i) {
        if (name == names[i]) return static_cast<Kind>(i);
    }
    throw std::invalid_argument("no kernels for weights of type " + name);
}

Glu glu_named(const std::string& name) {
    if (name == "silu") return Glu::silu;
    if (name == "gelu") return Glu::gelu;
    if (name == "gelu_tanh") return Glu::gelu_tanh;
    if (name == "swiglu_oss") return Glu::swiglu_oss;
    throw std::invalid_argument("no activation called " + name);
}

// A file's bytes must be exactly what rows and inputs say, or kernels would read beyond them.
void check_size(Kind kind, int64_t rows, int64_t k, size_t bytes) {
    if (rows < 1 || k < 1) throw std::invalid_argument("a weight needs at least one row and one input");
    if (rows > INT32_MAX / 2 || k > INT32_MAX / 64) throw std::invalid_argument("a weight is too large");
    if (k % shape_of(kind).inputs) throw std::invalid_argument("quantised rows must be whole blocks");
    if (static_cast<size_t>(rows) * row_bytes(kind, k) != bytes) {
        throw std::invalid_argument("a weight has another number of bytes than its shape says");
    }
}

Source source_of(const PyMatrix& matrix, int k) {
    const auto& [type, data, rows, bias] = matrix;
    const Kind kind = kind_named(type);
    check_size(kind, rows, k, data.size());
    if (bias && static_cast<int>(bias->size()) != rows)
        throw std::invalid_argument("a bias has another length than its weight has rows");
    return {kind, data.data(), rows, bias ? bias->data() : nullptr};
}

Linear py_pack_linear(const std::vector<PyMatrix>& matrices, int k) {
    if (matrices.empty()) throw std::invalid_argument("a linear needs at least one weight");
    std::vector<Source> sources;
    for (const PyMatrix& matrix : matrices) sources.push_back(source_of(matrix, k));
    nb::gil_scoped_release release;
    return pack_linear(sources, k);
}

Linear py_pack_gate_up(const PyMatrix& gate, const PyMatrix& up, int k) {
    const Source first = source_of(gate, k), second = source_of(up, k);
    if (first.rows != second.rows) throw std::invalid_argument("gate and up have different numbers of rows");
    nb::gil_scoped_release release;
    return pack_gate_up(first, second, k);
}

// Gate, up and down of each expert, of k inputs and `hidden` between.
Experts py_pack_experts(const std::vector<std::tuple<PyMatrix, PyMatrix, PyMatrix>>& matrices, int k, int hidden) {
    if (matrices.empty()) throw std::invalid_argument("there must be at least one expert");
    Experts experts;
    experts.gate_up.reserve(matrices.size());
    experts.down.reserve(matrices.size());
    for (const auto& [gate, up, down] : matrices) {
        if (std::get<2>(gate) != hidden) throw std::invalid_argument("an expert has another number of hidden values");
        experts.gate_up.push_back(py_pack_gate_up(gate, up, k));
        experts.down.push_back(py_pack_linear({down}, hidden));
        if (experts.down.back().n != experts.down[0].n) throw std::invalid_argument("experts give different shapes");
    }
    return experts;
}

// The interpreter is let go where an operation takes about a tenth of a millisecond or more. Below that another thread
// that took it would keep it for a whole switch interval, fifty times as long, at each of a token's 150 operations.
template <class Fn>
auto work(int64_t multiplications, const Fn& fn) {
    constexpr int64_t kWorthLettingGo = 16'000'000;
    std::optional<nb::gil_scoped_release> release;
    if (multiplications >= kWorthLettingGo) release.emplace();
    return fn();
}

Array product(Context& context, const Step& step, const Array& x, const Norm* norm, float eps, const Linear& weight,
              const Array* residual, Glu glu) {
    const int64_t size = static_cast<int64_t>(x.rows) * weight.n * weight.k * (weight.paired ? 2 : 1);
    return work(size, [&] { return context.product(step, x, norm, eps, weight, residual, glu); });
}

void need_paired(const Linear& weight, bool paired) {
    if (weight.paired != paired)
        throw std::invalid_argument(paired ? "gate_up needs a weight from pack_gate_up"
                                           : "linear needs a weight from pack_linear");
}

template <class T>
std::vector<T> to_vector(const nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>& array) {
    return std::vector<T>(array.data(), array.data() + array.size());
}

// An array that owns its memory.
template <class T>
nb::ndarray<nb::numpy, T> to_numpy(const T* data, std::initializer_list<size_t> shape) {
    size_t n = 1;
    for (const size_t size : shape) n *= size;
    T* copy = new T[n ? n : 1];
    std::memcpy(copy, data, n * sizeof(T));
    nb::capsule owner(copy, [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return nb::ndarray<nb::numpy, T>(copy, shape, owner);
}

// A folder's blocks and scales as a file's rows, of all rows of all experts one behind the other.
nb::ndarray<nb::numpy, uint8_t> py_join_mxfp4(const Bytes& blocks, const Bytes& scales, int64_t row_blocks,
                                              int64_t first, int64_t step) {
    const int64_t n_blocks = static_cast<int64_t>(scales.size());
    if (n_blocks < 1 || row_blocks < 1 || n_blocks % row_blocks)
        throw std::invalid_argument("scales must be whole rows of row_blocks");
    if (blocks.size() != 16 * scales.size()) throw std::invalid_argument("blocks must have 16 bytes for every scale");
    const int64_t rows = n_blocks / row_blocks;
    if (first < 0 || step <= first || rows % step) throw std::invalid_argument("first and step must take whole turns");
    if (rows / step > INT32_MAX / 2) throw std::invalid_argument("there are too many rows");
    const size_t bytes = static_cast<size_t>(n_blocks / step) * 17;
    // Large pages: most of the time would go into the small ones' first use.
    auto block = std::make_unique<Block>(bytes, true);
    uint8_t* joined = block->as();
    nb::capsule owner(block.get(), [](void* p) noexcept { delete static_cast<Block*>(p); });
    block.release();
    {
        nb::gil_scoped_release release;
        join_mxfp4(blocks.data(), scales.data(), rows, row_blocks, first, step, joined);
    }
    return nb::ndarray<nb::numpy, uint8_t>(joined, {bytes}, owner);
}

Step begin(Context& context, std::shared_ptr<Pages> pages, const Ints& tokens, const Ints& starts, const Ints& past,
           const Tables& tables, const Ints& outputs) {
    if (tables.shape(1) != past.size()) throw std::invalid_argument("page_tables must have one row per sequence");
    if (static_cast<int>(tables.shape(0)) != pages->n_groups())
        throw std::invalid_argument("page_tables must hold one table per group of layers");
    std::vector<int32_t> flat(tables.data(), tables.data() + tables.size());
    return context.begin(std::move(pages), to_vector(tokens), to_vector(starts), to_vector(past), std::move(flat),
                         static_cast<int>(tables.shape(2)), to_vector(outputs));
}

Array attention(Context& context, const Step& step, const Array& qkv, int layer, Heads& heads, const Norm* q_norm,
                const Norm* k_norm, const Norm* v_norm, const Norm* sinks) {
    int64_t seen = 0;
    for (const int32_t position : step.positions) seen += position + 1;
    return work(2 * seen * heads.n_heads * heads.head_dim,
                [&] { return context.attention(step, qkv, layer, heads, q_norm, k_norm, v_norm, sinks); });
}

Array moe_add(Context& context, const Step& step, const Array& x, const Linear& router, const Experts& experts,
              int top_k, bool weigh_all, const std::string& activation, const Array& residual) {
    const Linear& first = experts.gate_up[0];
    const Glu glu = glu_named(activation);
    return work(3LL * x.rows * top_k * first.n * first.k, [&] {
        return context.moe_add(step, x, router, experts, top_k, weigh_all, glu, residual);
    });
}

auto token_logprobs(Context& context, const Step& step, const Array& x, const Linear& head, const Ints& targets,
                    float softcap) {
    const std::vector<int32_t> wanted = to_vector(targets);
    const Logprobs result = work(static_cast<int64_t>(x.rows) * head.n * head.k,
                                 [&] { return context.token_logprobs(step, x, head, wanted, softcap); });
    return std::make_tuple(to_numpy(result.values.data(), {result.values.size()}),
                           to_numpy(result.greedy.data(), {result.greedy.size()}));
}

void bind_handles(nb::module_& m) {
    nb::class_<Array>(m, "Array").def_ro("rows", &Array::rows).def_ro("columns", &Array::columns);
    nb::class_<Norm>(m, "Norm").def_prop_ro("dim", [](const Norm& norm) { return norm.weight.size(); });
    nb::class_<Linear>(m, "Linear").def_ro("n", &Linear::n).def_ro("k", &Linear::k).def_ro("n_bytes", &Linear::n_bytes);
    nb::class_<Experts>(m, "Experts")
        .def_prop_ro("n_experts", [](const Experts& experts) { return experts.gate_up.size(); })
        .def_prop_ro("n_bytes", [](const Experts& experts) {
            size_t bytes = 0;
            for (const Linear& linear : experts.gate_up) bytes += linear.n_bytes;
            for (const Linear& linear : experts.down) bytes += linear.n_bytes;
            return bytes;
        });
    nb::class_<Embedding>(m, "Embedding").def_ro("vocabulary", &Embedding::vocabulary).def_ro("dim", &Embedding::dim);
    nb::class_<Heads>(m, "Heads")
        .def(nb::init<int, int, int, float, std::vector<float>, float, int, float, int, float, float, int, bool>(),
             "n_heads"_a, "n_kv_heads"_a, "head_dim"_a, "scale"_a, "inv_freq"_a, "rope_scale"_a, "window"_a = 0, "softcap"_a = 0.0f,
             "norm"_a = 0, "norm_eps"_a = 0.0f, "temperature_beta"_a = 0.0f, "temperature_length"_a = 0,
             "shared"_a = false);
    nb::class_<Pages>(m, "Pages")
        .def_ro("n_pages", &Pages::n_pages)
        .def_prop_ro("n_bytes", &Pages::bytes)
        .def("copy", &Pages::copy, "source"_a, "target"_a);
    nb::class_<Step>(m, "Step").def_ro("n_rows", &Step::n_rows);
}

void bind_packing(nb::module_& m) {
    m.def("pack_linear", py_pack_linear, "matrices"_a, "k"_a);
    m.def("pack_gate_up", py_pack_gate_up, "gate"_a, "up"_a, "k"_a);
    m.def("pack_experts", py_pack_experts, "matrices"_a, "k"_a, "hidden"_a);
    m.def("join_mxfp4", py_join_mxfp4, "blocks"_a, "scales"_a, "row_blocks"_a, "first"_a, "step"_a);
    m.def("pack_norm", [](const Floats& weight) { return Norm{to_vector(weight)}; }, "weight"_a);
    m.def(
        "pack_embedding",
        [](const std::string& type, const Bytes& data, int vocabulary, int dim) {
            const Kind kind = kind_named(type);
            check_size(kind, vocabulary, dim, data.size());
            return Embedding{kind, data.data(), vocabulary, dim};
        },
        "type"_a, "data"_a, "vocabulary"_a, "dim"_a, nb::keep_alive<0, 2>());
    m.def(
        "new_pages",
        [](int n_pages, const std::vector<std::tuple<int, int, int, int>>& layers, bool half) {
            if (n_pages < 1) throw std::invalid_argument("n_pages must be 1 or more");
            std::vector<LayerShape> shapes;
            for (const auto& [n_kv_heads, head_dim, group, window] : layers) {
                if (n_kv_heads < 1 || n_kv_heads > Heads::kMostHeads || head_dim < 1 || head_dim > 512)
                    throw std::invalid_argument("layers: impossible n_kv_heads or head_dim");
                if (group < 0 || group >= static_cast<int>(layers.size()) || window < 0)
                    throw std::invalid_argument("layers: impossible group or window");
                shapes.push_back({n_kv_heads, head_dim, group, window});
            }
            return std::make_shared<Pages>(n_pages, std::move(shapes), half);
        },
        "n_pages"_a, "layers"_a, "half"_a);
}

void bind_context(nb::module_& m) {
    nb::class_<Context>(m, "Context")
        .def(nb::init<const std::string&, bool>(), "isa"_a, "exact"_a = false)
        .def_prop_ro("isa", &Context::isa)
        .def_prop_ro("idle_bytes", &Context::idle_bytes)
        .def("begin", begin, "pages"_a, "tokens"_a, "starts"_a, "past"_a, "page_tables"_a, "outputs"_a)
        .def("embed", &Context::embed, "step"_a, "embedding"_a, "scale"_a)
        .def("rms_norm", &Context::rms_norm, "step"_a, "x"_a, "norm"_a, "eps"_a)
        .def(
            "linear",
            [](Context& c, const Step& step, const Array& x, const Linear& weight) {
                need_paired(weight, false);
                return product(c, step, x, nullptr, 0.0f, weight, nullptr, Glu::silu);
            },
            "step"_a, "x"_a, "weight"_a)
        .def(
            "linear_add",
            [](Context& c, const Step& step, const Array& x, const Linear& weight, const Array& residual) {
                need_paired(weight, false);
                return product(c, step, x, nullptr, 0.0f, weight, &residual, Glu::silu);
            },
            "step"_a, "x"_a, "weight"_a, "residual"_a)
        .def(
            "norm_linear",
            [](Context& c, const Step& step, const Array& x, const Norm& norm, float eps, const Linear& weight) {
                need_paired(weight, false);
                return product(c, step, x, &norm, eps, weight, nullptr, Glu::silu);
            },
            "step"_a, "x"_a, "norm"_a, "eps"_a, "weight"_a)
        .def(
            "gate_up",
            [](Context& c, const Step& step, const Array& x, const Linear& weight, const std::string& activation) {
                need_paired(weight, true);
                return product(c, step, x, nullptr, 0.0f, weight, nullptr, glu_named(activation));
            },
            "step"_a, "x"_a, "weight"_a, "activation"_a)
        .def(
            "norm_gate_up",
            [](Context& c, const Step& step, const Array& x, const Norm& norm, float eps, const Linear& weight,
               const std::string& activation) {
                need_paired(weight, true);
                return product(c, step, x, &norm, eps, weight, nullptr, glu_named(activation));
            },
            "step"_a, "x"_a, "norm"_a, "eps"_a, "weight"_a, "activation"_a)
        .def("add", &Context::add, "step"_a, "x"_a, "y"_a)
        .def("softcap", &Context::softcap, "step"_a, "x"_a, "cap"_a)
        .def(
            "gate",
            [](Context& c, const Step& step, const Array& x, const Array& y, const std::string& activation) {
                return c.gate(step, x, y, glu_named(activation));
            },
            "step"_a, "x"_a, "y"_a, "activation"_a)
        .def("scale", &Context::scale, "step"_a, "x"_a, "factor"_a)
        .def("columns", &Context::columns, "step"_a, "x"_a, "first"_a, "n"_a)
        .def("attention", attention, "step"_a, "qkv"_a, "layer"_a, "heads"_a, "q_norm"_a.none() = nb::none(),
             "k_norm"_a.none() = nb::none(), "v_norm"_a.none() = nb::none(), "sinks"_a.none() = nb::none())
        .def("moe_add", moe_add, "step"_a, "x"_a, "router"_a, "experts"_a, "top_k"_a, "weigh_all"_a, "activation"_a,
             "residual"_a)
        .def("rows", &Context::rows, "step"_a, "x"_a)
        .def(
            "to_numpy",
            [](const Context& c, const Array& x) {
                c.check(x);
                return to_numpy(x.data(), {static_cast<size_t>(x.rows), static_cast<size_t>(x.columns)});
            },
            "x"_a)
        .def(
            "from_numpy",
            [](const Context& c, const Step& step,
               const nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>& x) {
                return c.from_floats(step, x.data(), static_cast<int>(x.shape(0)), static_cast<int>(x.shape(1)));
            },
            "step"_a, "x"_a)
        .def("token_logprobs", token_logprobs, "step"_a, "x"_a, "head"_a, "targets"_a, "softcap"_a = 0.0f)
        .def(
            "argmax",
            [](const Context& c, const Array& x) {
                const std::vector<int32_t> ids = c.argmax(x);
                return to_numpy(ids.data(), {ids.size()});
            },
            "x"_a)
        .def(
            "top_k",
            [](const Context& c, const Array& x, int k) {
                const auto [ids, values] = c.top_k(x, k);
                const size_t rows = static_cast<size_t>(x.rows), columns = static_cast<size_t>(k);
                return std::make_tuple(to_numpy(ids.data(), {rows, columns}), to_numpy(values.data(), {rows, columns}));
            },
            "x"_a, "k"_a)
        .def(
            "dequantise",
            [](const Context& c, const std::string& type, const Bytes& data, int64_t n) {
                const Kind kind = kind_named(type);
                check_size(kind, 1, n, data.size());
                std::vector<float> values(n);
                c.dequantise(kind, data.data(), n, values.data());
                return to_numpy(values.data(), {values.size()});
            },
            "type"_a, "data"_a, "n"_a);
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "greenlight's kernels.";
    // Handles alive when the interpreter ends are no news to whoever ran the program.
    nb::set_leak_warnings(false);
    m.def("usable_isas", usable_isas);
    m.def("cpu_features", cpu_features);
    m.def("threads", [] { return Pool::instance().size(); });
    m.def(
        "set_threads",
        [](int n) {
            if (n < 1 || n > 1024) throw std::invalid_argument("the number of threads must be between 1 and 1024");
            nb::gil_scoped_release release;
            Pool::instance().resize(n);
        },
        "n"_a);
    bind_handles(m);
    bind_packing(m);
    bind_context(m);
}

}  // namespace greenlight
