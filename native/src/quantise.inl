// How do activations become int8, and where do they stand in a panel?
//
// One block of 32 inputs in a panel of R rows. A kernel multiplies word r of group j, repeated in all 16 lanes, by line
// j of a tile: four products for each of 16 outputs.
//
//              row 0          row 1                 row R-1
//   group 0  | inputs 0-3   | inputs 0-3   |  ...  | inputs 0-3   |   R words of four int8
//   group 1  | inputs 4-7   | inputs 4-7   |  ...  | inputs 4-7   |
//     ...
//   group 7  | inputs 28-31 | inputs 28-31 |  ...  | inputs 28-31 |   8 R words; then the next 32 inputs
//
// and apart from them, of the same block, [4][R] words: scales, -8 times the sums, -128 times the sums, scale times sum.
#pragma once

#include "lanes.inl"

namespace greenlight::GREENLIGHT_ISA {

// What the kernels want to know of each block, to its place in the panel (see ActivationMeta).
GL_INLINE void put_meta(const float* scales, const float* sums, const float* products, int n, int rows, float* meta) {
    for (int b = 0; b < n; ++b, meta += kMetaWords * rows) {
        // Unsigned: what a row that holds a NaN sums to has no meaning, and must have no undefined product either.
        const uint32_t total = static_cast<uint32_t>(static_cast<int32_t>(sums[b]));
        meta[kScale * rows] = scales[b];
        meta[kOffset8 * rows] = __builtin_bit_cast(float, 0u - 8u * total);
        meta[kOffset128 * rows] = __builtin_bit_cast(float, 0u - 128u * total);
        meta[kSum * rows] = products[b];
    }
}

// The same of both halves of each block; `lows` are the sums of the first.
GL_INLINE void put_half_meta(const float* scales, const float* sums, const float* lows, int n, int rows, float* meta) {
    for (int b = 0; b < n; ++b, meta += kHalfWords * rows) {
        for (int half = 0; half < 2; ++half) {
            const float part = half ? sums[b] - lows[b] : lows[b];
            const uint32_t total = static_cast<uint32_t>(static_cast<int32_t>(part));
            meta[(kHalfOffset128 + half) * rows] = __builtin_bit_cast(float, 0u - 128u * total);
            meta[(kHalfSum + half) * rows] = scales[b] * part;
        }
    }
}

// Symmetric int8 with one scale per 32 values, for `n` blocks of one row in a panel of `rows`. Sixteen blocks at a
// time: what is computed once per block (the largest value, two divisions, the sum) then fills a vector.
static void quantise_blocks(const float* x, int n, int rows, int32_t* words, float* meta, float* half_meta) {
    F largest_lanes[kLanes];
    for (int b = 0; b < n; ++b)
        largest_lanes[b] = larger(abs(load(x + b * kBlock)), abs(load(x + b * kBlock + kLanes)));
    for (int b = n; b < kLanes; ++b) largest_lanes[b] = zero();
    const F largest = larger_of_each(largest_lanes);
    alignas(64) float inverses[kLanes], scales[kLanes], sums[kLanes], products[kLanes];
    // A block of zeros divides by the smallest normal number instead of by zero: its integers are zero all the same.
    store(inverses, broadcast(127.0f) / max(broadcast(0x1p-120f), largest));
    const F scale = largest / broadcast(127.0f);
    store(scales, scale);
    I sum_lanes_of[kLanes], low_lanes_of[kLanes];
    for (int b = 0; b < n; ++b) {
        const F inverse = broadcast(inverses[b]);
        const I low = round_to_int(load(x + b * kBlock) * inverse),
                high = round_to_int(load(x + b * kBlock + kLanes) * inverse);
        alignas(32) int32_t packed[8];
        store_i8(reinterpret_cast<int8_t*>(packed), low);
        store_i8(reinterpret_cast<int8_t*>(packed + 4), high);
        for (int j = 0; j < 8; ++j) words[(b * 8 + j) * rows] = packed[j];
        sum_lanes_of[b] = add_int(low, high);
        low_lanes_of[b] = low;
    }
    for (int b = n; b < kLanes; ++b) sum_lanes_of[b] = low_lanes_of[b] = round_to_int(zero());
    const F sum = to_float(sum_of_each(sum_lanes_of));  // at most 4,064: exact
    store(sums, sum);
    store(products, scale * sum);
    put_meta(scales, sums, products, n, rows, meta);
    if (!half_meta) return;
    alignas(64) float lows[kLanes];
    store(lows, to_float(sum_of_each(low_lanes_of)));
    put_half_meta(scales, sums, lows, n, rows, half_meta);
}

static void quantise_row(const float* x, int k, int row, int rows, int8_t* quant, float* meta, float* half_meta) {
    int32_t* words = reinterpret_cast<int32_t*>(quant) + row;
    for (int b = 0; b < k / kBlock; b += kLanes) {
        const int n = k / kBlock - b < kLanes ? k / kBlock - b : kLanes;
        float* halves = half_meta ? half_meta + b * kHalfWords * rows + row : nullptr;
        quantise_blocks(x + b * kBlock, n, rows, words + b * 8 * rows, meta + b * kMetaWords * rows + row, halves);
    }
}

static void float_row(const float* x, int k, int row, int rows, float* panel) {
    for (int i = 0; i < k; ++i) panel[i * rows + row] = x[i];
}

}  // namespace greenlight::GREENLIGHT_ISA
