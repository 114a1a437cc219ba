// What does Python see of loading? Weights are checked here, and packed with the interpreter let go.
#include "bindings.h"

namespace greenlight {

Kind kind_named(const std::string& name) {
    for (int i = 0; i < kKinds; ++i) {
        if (name == kKindNames[i]) return static_cast<Kind>(i);
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

void check_size(Kind kind, int64_t rows, int64_t k, size_t bytes) {
    if (rows < 1 || k < 1) throw std::invalid_argument("a weight needs at least one row and one input");
    if (rows > INT32_MAX / 2 || k > INT32_MAX / 64) throw std::invalid_argument("a weight is too large");
    if (k % shape_of(kind).inputs) throw std::invalid_argument("quantised rows must be whole blocks");
    if (static_cast<size_t>(rows) * row_bytes(kind, k) != bytes) {
        throw std::invalid_argument("a weight has another number of bytes than its shape says");
    }
}

namespace {

// A matrix as Python hands it over: type, bytes, rows, bias.
using PyMatrix = std::tuple<std::string, Bytes, int, std::optional<Floats>>;

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

// Layers as (kv heads, head dim, group, window).
std::shared_ptr<Pages> py_new_pages(int n_pages, const std::vector<std::tuple<int, int, int, int>>& layers,
                                    bool half) {
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
}

}  // namespace

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
             "n_heads"_a, "n_kv_heads"_a, "head_dim"_a, "scale"_a, "inv_freq"_a, "rope_scale"_a, "window"_a = 0,
             "softcap"_a = 0.0f, "norm"_a = 0, "norm_eps"_a = 0.0f, "temperature_beta"_a = 0.0f,
             "temperature_length"_a = 0, "shared"_a = false);
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
    m.def("new_pages", py_new_pages, "n_pages"_a, "layers"_a, "half"_a);
}

}  // namespace greenlight
