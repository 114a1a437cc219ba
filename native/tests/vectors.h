// What are kernels fed in tests? Numbers and weights of every type from fixed seeds.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "half.h"
#include "pack.h"

namespace greenlight::driver {

using Floats = std::vector<float>;

// A matrix as a file has it, in memory of exactly its size that begins at an odd address: files owe nobody alignment.
struct Matrix {
    Kind kind;
    int rows, k;
    std::vector<uint8_t> memory;
    Floats bias;

    const uint8_t* data() const { return memory.data() + 1; }
    const uint8_t* row(int r) const { return data() + r * row_bytes(kind, k); }
    Source source() const { return {kind, data(), rows, bias.empty() ? nullptr : bias.data()}; }
};

class Vectors {
  public:
    explicit Vectors(unsigned seed) : random_(seed) {}

    int whole(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
    float normal() { return std::normal_distribution<float>()(random_); }
    Floats floats(size_t n) {
        Floats out(n);
        for (float& x : out) x = normal();
        return out;
    }
    // Rows of several magnitudes, with some zeros in a run.
    Floats rows(int n, int k) {
        Floats out;
        for (int r = 0; r < n; ++r) {
            const float size = std::pow(10.0f, static_cast<float>(whole(-3, 2)));
            for (int i = 0; i < k; ++i) out.push_back(r == 0 && i >= 32 && i < 64 ? 0.0f : size * normal());
        }
        return out;
    }
    Matrix matrix(Kind kind, int rows, int k, bool biased = false) {
        Matrix out{kind, rows, k, {}, {}};
        const size_t n = rows * row_bytes(kind, k);
        out.memory.resize(n + 1);
        for (uint8_t& byte : out.memory) byte = static_cast<uint8_t>(whole(0, 255));
        uint8_t* data = out.memory.data() + 1;
        for (size_t at = 0; at < n; at += shape_of(kind).bytes) scale_block(kind, data + at);
        if (biased) out.bias = floats(rows);
        return out;
    }

  private:
    // Random bytes may be any float: those that are floats become ordinary ones.
    void scale_block(Kind kind, uint8_t* block) {
        if (kind == Kind::F32) return put_float(block, 0.1f * normal());
        if (kind == Kind::BF16) return put_brain(block, 0.1f * normal());
        if (kind == Kind::MXFP4) return void(block[0] = static_cast<uint8_t>(whole(118, 124)));
        for (const int at : halves_of(kind)) {
            const uint16_t half = f32_to_f16(std::uniform_real_distribution<float>(0.001f, 0.01f)(random_) *
                                             static_cast<float>(whole(0, 1) * 2 - 1));
            std::memcpy(block + at, &half, 2);
        }
    }
    static std::vector<int> halves_of(Kind kind) {
        switch (kind) {
            case Kind::Q4_1:
            case Kind::Q5_1:
            case Kind::Q4_K:
            case Kind::Q5_K: return {0, 2};
            case Kind::Q2_K: return {80, 82};
            case Kind::Q3_K: return {108};
            case Kind::Q6_K: return {208};
            default: return {0};
        }
    }
    static void put_float(uint8_t* p, float x) { std::memcpy(p, &x, 4); }
    static void put_brain(uint8_t* p, float x) {
        uint8_t bytes[4];
        std::memcpy(bytes, &x, 4);
        std::memcpy(p, bytes + 2, 2);
    }
    std::mt19937 random_;
};

// A width of so many blocks; floats have none, and take 13 inputs for one.
inline int inputs_of(Kind kind, int blocks) { return (is_quantised(kind) ? shape_of(kind).inputs : 13) * blocks; }

}  // namespace greenlight::driver
