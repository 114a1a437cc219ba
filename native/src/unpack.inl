// What does a tile look like once unpacked? Bytes and float scales, read by many panels instead of unpacked for each.
#pragma once

#include <type_traits>

#include "sources.inl"

namespace greenlight::GREENLIGHT_ISA {

// Any of them, unpacked by `unpack_tile`. Per 32 inputs:
//
//   line 0   | 4 bytes of row 0 | row 1 |  ...  | row 15 |   inputs 0-3
//     ...                                                    line j: inputs 4j to 4j + 3
//   line 7   |                                           |   inputs 28-31
//   byte 512 | 16 float scales | and, where a kind has them, scales of the second half, minima, minima of the second half
template <class From>
struct Unpacked {
    static constexpr bool wide_range = From::wide_range, minimum = From::minimum, halves = From::halves;
    static constexpr size_t step = 512 + 64 * (1 + minimum) * (1 + halves), header = 0;
    static constexpr int offset = From::offset;
    template <int j>
    GL_INLINE void lines(const uint8_t* block, Index<j>, Line& low, Line& high) {
        low = load_line(block + 64 * j);
        high = load_line(block + 64 * (j + 4));
    }
    GL_INLINE F scales(const uint8_t* block, const uint8_t*, int half) {
        return load(reinterpret_cast<const float*>(block + 512 + 64 * half));
    }
    GL_INLINE F minima(const uint8_t* block, const uint8_t*, int half) {
        return load(reinterpret_cast<const float*>(block + 512 + 64 * (1 + halves + half)));
    }
};

// Kinds that look the same once unpacked share kernels.
template <class From>
struct UnpackedAs {
    using type = Unpacked<From>;
};
template <Kind kind>
struct UnpackedAs<Compact<kind>> {
    using type = Unpacked<Compact<kind == Kind::Q5_1 || kind == Kind::Q5_K ? Kind::Q5_1
                                  : kind == Kind::Q3_K || kind == Kind::Q6_K ? Kind::Q6_K
                                  : kind == Kind::Q2_K                       ? kind
                                                                             : Kind::Q5_0>>;
};
template <>
struct UnpackedAs<PackedQ8> {  // is bytes as it lies
    using type = PackedQ8;
};
template <>
struct UnpackedAs<Compact<Kind::Q4_K>> {
    using type = Unpacked<PackedQ4<true>>;
};

template <class From>
static void unpack_tile(const uint8_t* tile, int n_blocks, uint8_t* out) {
    using To = typename UnpackedAs<From>::type;
    const uint8_t* head = tile;
    for (int b = 0; b < n_blocks; ++b, tile += From::step, out += To::step) {
        if constexpr (From::header > 0) {
            if (b % 8 == 0) {
                head = tile;
                tile += From::header;
            }
        }
        prefetch_step<From>(tile);
        unroll<4>(GL_EACH(j) {
            Line low, high;
            From::lines(tile, j, low, high);
            store_line(out + 64 * j, low);
            store_line(out + 64 * (j + 4), high);
        });
        float* floats = reinterpret_cast<float*>(out + 512);
        for (int half = 0; half <= From::halves; ++half) {
            store(floats + 16 * half, From::scales(tile, head, half));
            if constexpr (From::minimum) store(floats + 16 * (1 + From::halves + half), From::minima(tile, head, half));
        }
    }
}

// A tile as bytes in scratch; one that is bytes already stays where it is.
static const uint8_t* unpack(Kind kind, const uint8_t* tile, int n_blocks, uint8_t* scratch) {
    return with_source(kind, [&](auto source) -> const uint8_t* {
        using Source = decltype(source);
        if constexpr (std::is_same_v<Source, typename UnpackedAs<Source>::type>) return tile;
        else unpack_tile<Source>(tile, n_blocks, scratch);
        return scratch;
    });
}

}  // namespace greenlight::GREENLIGHT_ISA
