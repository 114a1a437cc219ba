// Which kernel multiplies so many rows by a tile of this kind? Every height of a panel has its own, in tables.
#pragma once

#include "products.inl"
#include "unpack.inl"

namespace greenlight::GREENLIGHT_ISA {

using QuantKernel = void (*)(const uint8_t*, const uint8_t*, const int8_t*, const float*, const float*, int, float*);
using FloatKernel = void (*)(const uint8_t*, const uint8_t*, const float*, int, float*);

// Panels of equal height: beyond one row, none has fewer than this.
constexpr int kLeastWide = kWideRows > 1 ? 2 : 1;

// Kernels for Least..Most rows, by number of rows.
template <class Kernel, int Least, int Most>
struct Table {
    Kernel at[Most - Least + 1];
    template <class Make>
    constexpr explicit Table(const Make& make) : at{} {
        fill<Least>(make);
    }
    template <int R, class Make>
    constexpr void fill(const Make& make) {
        if constexpr (R <= Most) {
            at[R - Least] = make(Index<R>{});
            fill<R + 1>(make);
        }
    }
    Kernel operator[](int rows) const { return at[rows - Least]; }
};
template <class Source, int R, int T>
constexpr QuantKernel quant_kernel_of() {
    if constexpr (Source::halves) return &halves_kernel<Source, R, T>;
    else return &quant_kernel<Source, R, T>;
}
template <class Source, int T, int Least, int Most>
constexpr Table<QuantKernel, Least, Most> quant_table{[](auto R) { return quant_kernel_of<Source, R, T>(); }};
template <Kind kind, int T, int Least, int Most>
constexpr Table<FloatKernel, Least, Most> float_table{[](auto R) { return &float_kernel<kind, R, T>; }};

template <class Source>
constexpr int kMostNarrow = kNarrowRows;
template <Kind kind>
constexpr int kMostNarrow<Compact<kind>> = 1;

static QuantKernel find_quant(Kind kind, int rows, bool wide) {
    return with_source(kind, [&](auto source) -> QuantKernel {
        using Source = decltype(source);
        if (!wide) return quant_table<Source, 1, 1, kMostNarrow<Source>>[rows];
        using Wide = typename UnpackedAs<Source>::type;
        return quant_table<Wide, kWideTiles, kLeastWide, kWideRows>[rows];
    });
}

template <Kind kind>
static FloatKernel find_float_of(int rows, bool wide) {
    if (wide) return float_table<kind, kWideTiles, kLeastWide, kFloatWideRows>[rows];
    return float_table<kind, 1, 1, kFloatNarrowRows>[rows];
}
static FloatKernel find_float(Kind kind, int rows, bool wide) {
    if (kind == Kind::F32) return find_float_of<Kind::F32>(rows, wide);
    if (kind == Kind::F16) return find_float_of<Kind::F16>(rows, wide);
    return find_float_of<Kind::BF16>(rows, wide);
}

}  // namespace greenlight::GREENLIGHT_ISA
