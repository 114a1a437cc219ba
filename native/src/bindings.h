// What do both sides of the bindings need? Python's arrays, names of types and activations, numpy's memory.
#pragma once

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

using Bytes = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Ints = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Tables = nb::ndarray<const int32_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

Kind kind_named(const std::string& name);
Glu glu_named(const std::string& name);

// A file's bytes must be exactly what rows and inputs say, or kernels would read beyond them.
void check_size(Kind kind, int64_t rows, int64_t k, size_t bytes);

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

// bindings_pack.cpp: what is loaded once.
void bind_handles(nb::module_& m);
void bind_packing(nb::module_& m);

}  // namespace greenlight
