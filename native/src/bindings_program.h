// How is one operation bound twice: to be done at once, and to be recorded? What Python gives a recorded one is kept
// until the program goes: weights by their Python objects, which stay alive with it, numbers and names by value, and
// arrays as the numbers of the results that they will be.
#pragma once

#include "bindings.h"
#include "program.h"

namespace greenlight {

template <class Argument>
struct Kept {
    using Given = std::decay_t<Argument>;
    explicit Kept(Given given) : value(std::move(given)) {}
    const Given& get(const Program::Values&) const { return value; }
    void note(std::vector<int>&) const {}
    Given value;
};

template <>
struct Kept<const std::string&> : Kept<std::string> {
    using Kept<std::string>::Kept;
};

template <>
struct Kept<const Array&> {
    using Given = int;
    explicit Kept(Given given) : number(given) {}
    const Array& get(const Program::Values& values) const { return *values[number]; }
    void note(std::vector<int>& reads) const { reads.push_back(number); }
    int number;
};

template <class Handle>
Handle* handle_in(const nb::object& owner) {
    if (!nb::isinstance<std::remove_const_t<Handle>>(owner))
        throw nb::type_error("a recorded operation was given something else than it takes");
    return nb::cast<Handle*>(owner);
}

template <class Handle>
struct Kept<Handle*> {
    using Given = nb::object;
    explicit Kept(Given given)
        : owner(std::move(given)), handle(owner.is_none() ? nullptr : handle_in<Handle>(owner)) {}
    Handle* get(const Program::Values&) const { return handle; }
    void note(std::vector<int>&) const {}
    nb::object owner;
    Handle* handle;
};

template <class Handle>
struct Kept<Handle&> {
    using Given = nb::object;
    explicit Kept(Given given) : owner(std::move(given)), handle(handle_in<Handle>(owner)) {}
    Handle& get(const Program::Values&) const { return *handle; }
    void note(std::vector<int>&) const {}
    nb::object owner;
    Handle* handle;
};

// Both classes get a method of this name with these arguments after the step, which a program does not look at.
template <class... Arguments, class... Names>
void bind_operation(nb::class_<Context>& context, nb::class_<Program>& program, const char* name,
                    Array (*operation)(Context&, const Step&, Arguments...), const Names&... names) {
    context.def(name, operation, "step"_a, names...);
    program.def(
        name,
        [operation](Program& self, nb::handle, typename Kept<Arguments>::Given... given) {
            std::tuple<Kept<Arguments>...> kept(Kept<Arguments>(std::move(given))...);
            std::vector<int> reads;
            std::apply([&](const auto&... each) { (each.note(reads), ...); }, kept);
            return self.record(std::move(reads), [operation, kept = std::move(kept)](
                                                     Context& on, const Step& step, const Program::Values& values) {
                return std::apply([&](const auto&... each) { return operation(on, step, each.get(values)...); }, kept);
            });
        },
        nb::arg("step").none(), names...);
}

}  // namespace greenlight
