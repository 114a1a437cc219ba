// Does a program do what its operations do one by one, on any step, and keep no more of it than they would?
#include "program.h"

#include <stdexcept>
#include <thread>

#include "driver.h"

namespace greenlight::driver {

namespace {

template <class Fn>
bool throws_out_of_range(const Fn& fn) {
    try {
        fn();
    } catch (const std::out_of_range&) {
        return true;
    }
    return false;
}

}  // namespace

void a_program_does_what_its_operations_do(Case& c) {
    Vectors vectors(8);
    constexpr int k = 64;
    const Matrix matrix = vectors.matrix(Kind::Q4_0, k, k);
    const Linear weight = pack_linear({matrix.source()}, k);
    const Norm norm{vectors.floats(k)};
    const Floats given = vectors.floats(9 * k);
    Program program;
    using Values = Program::Values;
    const auto record = [&](std::vector<int> reads, Program::Operation operation) {
        return program.record(std::move(reads), std::move(operation));
    };
    const int x = record({}, [&](Context& on, const Step& step, const Values&) {
        return on.from_floats(step, given.data(), step.n_rows, k);
    });
    record({x}, [&](Context& on, const Step& step, const Values& v) { return on.scale(step, *v[x], 3.0f); });
    const int product = record({x}, [&](Context& on, const Step& step, const Values& v) {
        return on.product(step, *v[x], &norm, 1e-5f, weight, nullptr, Glu::silu);
    });
    const int sum = record({product, x}, [&](Context& on, const Step& step, const Values& v) {
        expect(!v[x + 1], "what nobody reads is let go at once");
        return on.add(step, *v[product], *v[x]);
    });
    record({sum, sum}, [&](Context& on, const Step& step, const Values& v) {
        expect(!v[x] && !v[product], "what nobody reads any more is let go");
        return on.add(step, *v[sum], *v[sum]);
    });
    for (const int read : {-1, 5})
        expect(throws_out_of_range([&] { record({read}, {}); }), "an operation reads what was before it");
    size_t idle = 0;
    for (const int rows : {1, 9, 4, 9}) {
        const Step step = c.step(rows);
        int done = 0;
        {
            const Array found = program.run(c.context, step, sum, [&] { ++done; });
            const Array in = c.context.from_floats(step, given.data(), rows, k);
            const Array first = c.context.product(step, in, &norm, 1e-5f, weight, nullptr, Glu::silu);
            const Array expected = c.context.add(step, first, in);
            expect(!std::memcmp(found.data(), expected.data(), rows * k * sizeof(float)), "program");
        }
        expect(done == 5, "between all operations");
        if (rows == 9 && idle) expect(c.context.idle_bytes() == idle, "a program's arrays are used again");
        if (rows == 9) idle = c.context.idle_bytes();
    }
    const Step step = c.step(1);
    const auto nothing = [] {};
    for (const int result : {-1, 5})
        expect(throws_out_of_range([&] { program.run(c.context, step, result, nothing); }), "no such result");
    bool refused = false;
    try {
        record({sum}, {});
    } catch (const std::invalid_argument&) {
        refused = true;
    }
    expect(refused, "what has run records no more");
    struct Stop {};
    int done = 0;
    try {
        program.run(c.context, step, sum, [&] {
            if (++done == 2) throw Stop{};
        });
        fail("what is thrown between operations ends them");
    } catch (const Stop&) {
        expect(done == 2, "between operations");
    }
}

void contexts_share_a_program(const std::string& isa, bool exact) {
    Vectors vectors(9);
    constexpr int k = 64, n = 512;  // of so many outputs, threads take shares
    const Matrix matrix = vectors.matrix(Kind::Q4_0, n, k);
    const Linear weight = pack_linear({matrix.source()}, k);
    const Floats given = vectors.floats(9 * k);
    Program program;
    program.record({}, [&](Context& on, const Step& step, const Program::Values&) {
        return on.from_floats(step, given.data(), step.n_rows, k);
    });
    const int result = program.record({0}, [&](Context& on, const Step& step, const Program::Values& v) {
        return on.product(step, *v[0], nullptr, 0.0f, weight, nullptr, Glu::silu);
    });
    std::vector<Floats> found(2);
    std::vector<std::thread> threads;
    std::atomic<int> ready{0};
    for (Floats& mine : found) {
        threads.emplace_back([&] {
            Outputs outputs;
            Case c{Context(isa, exact), outputs, exact};
            // Together, and often enough to meet.
            for (++ready; ready < 2;) std::this_thread::yield();
            for (int i = 0; i < 300; ++i) mine = c.keep(program.run(c.context, c.step(9), result, [] {}));
        });
    }
    for (std::thread& thread : threads) thread.join();
    Outputs outputs;
    Case c{Context(isa, exact), outputs, exact};
    const Floats expected = c.keep(program.run(c.context, c.step(9), result, [] {}));
    expect(found[0] == expected && found[1] == expected, "two contexts on two threads run one program");
}

}  // namespace greenlight::driver
