// What does Python see? Handles and operations on them; see src/greenlight/ops/_native.pyi for their types.
#include "bindings.h"

#include <chrono>

#include "bindings_program.h"

namespace greenlight {

namespace {

// The interpreter is let go where an operation takes about a tenth of a millisecond or more. Below that another thread
// that took it would keep it for a whole switch interval, fifty times as long, at each of a token's 150 operations. A
// program lets it go once for all of its operations.
thread_local bool let_go = false;

template <class Fn>
auto work(int64_t multiplications, const Fn& fn) {
    constexpr int64_t kWorthLettingGo = 16'000'000;
    std::optional<nb::gil_scoped_release> release;
    if (multiplications >= kWorthLettingGo && !let_go) release.emplace();
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

// Steps of fewer rows end before anybody misses their Ctrl-C, and are too short to look at a clock after each operation.
constexpr int kRowsWorthAsking = 16;

struct LetGo {
    LetGo() { let_go = true; }
    ~LetGo() { let_go = false; }
};

// Everything that is recorded, on one step. Ctrl-C ends a pass of many rows between two operations.
Array run(Context& context, const Step& step, const Program& program, int result) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point asked = Clock::now();
    const auto between = [&] {
        if (step.n_rows < kRowsWorthAsking || Clock::now() - asked < std::chrono::milliseconds(50)) return;
        asked = Clock::now();
        nb::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals()) throw nb::python_error();
    };
    nb::gil_scoped_release release;
    const LetGo flag;
    return program.run(context, step, result, between);
}

using Class = nb::class_<Context>;
using Recorded = nb::class_<Program>;

void bind_steps(Class& context) {
    context.def(nb::init<const std::string&, bool>(), "isa"_a, "exact"_a = false)
        .def_prop_ro("isa", &Context::isa)
        .def_prop_ro("idle_bytes", &Context::idle_bytes)
        .def("begin", begin, "pages"_a, "tokens"_a, "starts"_a, "past"_a, "page_tables"_a, "outputs"_a)
        .def("run", run, "step"_a, "program"_a, "result"_a);
}

void bind_rows(Class& context, Recorded& program) {
    bind_operation(
        context, program, "embed",
        +[](Context& c, const Step& step, const Embedding& embedding, float scale) {
            return c.embed(step, embedding, scale);
        },
        "embedding"_a, "scale"_a);
    bind_operation(
        context, program, "rms_norm",
        +[](Context& c, const Step& step, const Array& x, const Norm& norm, float eps) {
            return c.rms_norm(step, x, norm, eps);
        },
        "x"_a, "norm"_a, "eps"_a);
    bind_operation(
        context, program, "add",
        +[](Context& c, const Step& step, const Array& x, const Array& y) { return c.add(step, x, y); }, "x"_a, "y"_a);
    bind_operation(
        context, program, "softcap",
        +[](Context& c, const Step& step, const Array& x, float cap) { return c.softcap(step, x, cap); }, "x"_a,
        "cap"_a);
    bind_operation(
        context, program, "gate",
        +[](Context& c, const Step& step, const Array& x, const Array& y, const std::string& activation) {
            return c.gate(step, x, y, glu_named(activation));
        },
        "x"_a, "y"_a, "activation"_a);
    bind_operation(
        context, program, "scale",
        +[](Context& c, const Step& step, const Array& x, float factor) { return c.scale(step, x, factor); }, "x"_a,
        "factor"_a);
    bind_operation(
        context, program, "columns",
        +[](Context& c, const Step& step, const Array& x, int first, int n) { return c.columns(step, x, first, n); },
        "x"_a, "first"_a, "n"_a);
    bind_operation(
        context, program, "rows", +[](Context& c, const Step& step, const Array& x) { return c.rows(step, x); },
        "x"_a);
}

void bind_products(Class& context, Recorded& program) {
    bind_operation(
        context, program, "linear",
        +[](Context& c, const Step& step, const Array& x, const Linear& weight) {
            need_paired(weight, false);
            return product(c, step, x, nullptr, 0.0f, weight, nullptr, Glu::silu);
        },
        "x"_a, "weight"_a);
    bind_operation(
        context, program, "linear_add",
        +[](Context& c, const Step& step, const Array& x, const Linear& weight, const Array& residual) {
            need_paired(weight, false);
            return product(c, step, x, nullptr, 0.0f, weight, &residual, Glu::silu);
        },
        "x"_a, "weight"_a, "residual"_a);
    bind_operation(
        context, program, "norm_linear",
        +[](Context& c, const Step& step, const Array& x, const Norm& norm, float eps, const Linear& weight) {
            need_paired(weight, false);
            return product(c, step, x, &norm, eps, weight, nullptr, Glu::silu);
        },
        "x"_a, "norm"_a, "eps"_a, "weight"_a);
    bind_operation(
        context, program, "gate_up",
        +[](Context& c, const Step& step, const Array& x, const Linear& weight, const std::string& activation) {
            need_paired(weight, true);
            return product(c, step, x, nullptr, 0.0f, weight, nullptr, glu_named(activation));
        },
        "x"_a, "weight"_a, "activation"_a);
    bind_operation(
        context, program, "norm_gate_up",
        +[](Context& c, const Step& step, const Array& x, const Norm& norm, float eps, const Linear& weight,
            const std::string& activation) {
            need_paired(weight, true);
            return product(c, step, x, &norm, eps, weight, nullptr, glu_named(activation));
        },
        "x"_a, "norm"_a, "eps"_a, "weight"_a, "activation"_a);
    bind_operation(context, program, "attention", attention, "qkv"_a, "layer"_a, "heads"_a,
                   "q_norm"_a.none() = nb::none(), "k_norm"_a.none() = nb::none(), "v_norm"_a.none() = nb::none(),
                   "sinks"_a.none() = nb::none());
    bind_operation(context, program, "moe_add", moe_add, "x"_a, "router"_a, "experts"_a, "top_k"_a, "weigh_all"_a,
                   "activation"_a, "residual"_a);
}

void bind_results(Class& context) {
    context
        .def(
            "to_numpy",
            [](const Context& c, const nb::handle_t<Array>& handle) {
                const Array& x = nb::cast<const Array&>(handle);
                c.check(x);
                // The same memory, which the array keeps for as long as NumPy has it: logits of many rows are megabytes.
                return nb::ndarray<nb::numpy, float>(
                    x.data(), {static_cast<size_t>(x.rows), static_cast<size_t>(x.columns)}, handle);
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
    Class context(m, "Context");
    Recorded program(m, "Program");
    program.def(nb::init<>());
    bind_steps(context);
    bind_rows(context, program);
    bind_products(context, program);
    bind_results(context);
}

}  // namespace greenlight
