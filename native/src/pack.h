// How do a file's rows become tiles? Whole bytes move; no value is ever changed.
#pragma once

#include <string>
#include <vector>

#include "layout.h"
#include "memory.h"

namespace greenlight {

// Rows of one matrix as a file has them.
struct Source {
    Kind kind;
    const uint8_t* data;
    int rows;
    const float* bias;  // (rows,), or null
};

struct Linear {
    int n = 0, k = 0;
    bool quantised = false, floats = false;  // which forms of the activations it needs
    bool compact = false, halves = false;    // whether some rows are of such kinds
    bool paired = false;
    std::vector<Segment> segments;
    size_t n_bytes = 0;

    std::shared_ptr<uint8_t> weights;
    std::vector<float> biases;
};

// Matrices of k inputs, one under the other.
Linear pack_linear(const std::vector<Source>& sources, int k);

// Tile t of the gate, then tile t of the up projection: both are there when the activation is due.
Linear pack_gate_up(const Source& gate, const Source& up, int k);

// Every step-th row of a folder's blocks and scales of MXFP4, from `first`, as rows of a file: before each 32 inputs
// their exponent, and where a folder has neighbours in one byte, inputs i and i + 16.
void join_mxfp4(const uint8_t* blocks, const uint8_t* scales, int64_t rows, int64_t row_blocks, int64_t first,
                int64_t step, uint8_t* out);

}  // namespace greenlight
