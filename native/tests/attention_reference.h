// What does a query see? Attention in plain loops and float64, a row at a time.
#pragma once

#include <cmath>
#include <vector>

#include "driver.h"
#include "reference.h"

namespace greenlight::driver {

// One layer's attention: query and kv heads of `dim`, of which 2·half turn, seeing `window` positions back (0: all).
struct Setup {
    int heads, kv_heads, dim, half, window;
    float softcap;
    int norm;  // of queries and keys: 0 none, 1 each head, 2 the whole row
    bool sinks, half_pages;
    float beta;  // how queries grow with the logarithm of their position
    bool values_normed = false;
};

struct Weights {
    Floats frequencies;
    Norm q_norm, k_norm, v_norm, sinks;

    Weights(const Setup& s, Vectors& vectors)
        : frequencies(s.half),
          q_norm{vectors.floats(s.norm == 2 ? s.heads * s.dim : s.dim)},
          k_norm{vectors.floats(s.norm == 2 ? s.kv_heads * s.dim : s.dim)},
          v_norm{vectors.floats(s.dim)},
          sinks{vectors.floats(s.heads)} {
        for (int i = 0; i < s.half; ++i) frequencies[i] = std::pow(100.0f, -static_cast<float>(i) / s.half);
    }
};

// Keys and values of one sequence so far, rotated and rounded as they are kept.
struct Past {
    std::vector<std::vector<double>> keys, values;
};

inline std::vector<double> rotated(const std::vector<double>& x, int position, const Floats& frequencies,
                                   double scale) {
    std::vector<double> out = x;
    const size_t half = frequencies.size();
    for (size_t i = 0; i < half; ++i) {
        const double angle = static_cast<float>(position) * frequencies[i];
        out[i] = x[i] * std::cos(angle) - x[i + half] * std::sin(angle);
        out[i + half] = x[i + half] * std::cos(angle) + x[i] * std::sin(angle);
    }
    for (double& value : out) value *= scale;
    return out;
}

class AttentionReference {
  public:
    AttentionReference(const Setup& setup, const Weights& weights) : s_(setup), w_(weights) {}

    // The row's mixed values, (H·D), after its keys and values have joined the past.
    std::vector<double> row(Past& past, const float* qkv, int position) const {
        const int H = s_.heads, K = s_.kv_heads, D = s_.dim;
        std::vector<double> queries = normed(qkv, w_.q_norm, H), keys = normed(qkv + H * D, w_.k_norm, K), value;
        const float* values = qkv + (H + K) * D;
        for (int h = 0; h < K; ++h) {
            std::vector<double> head(values + h * D, values + (h + 1) * D);
            if (s_.values_normed) head = reference::normed(values + h * D, w_.v_norm.weight.data(), D, 1e-5);
            value.insert(value.end(), head.begin(), head.end());
        }
        const double factor = 1 + s_.beta * std::log(1.0 + position / 20);
        queries = each(queries, H, position, factor / std::sqrt(D));
        past.keys.push_back(each(keys, K, position, 1));
        past.values.push_back(value);
        std::vector<double> out;
        for (int h = 0; h < H; ++h) mix(past, &queries[h * D], h, position, out);
        return out;
    }

  private:
    std::vector<double> normed(const float* x, const Norm& norm, int heads) const {
        if (s_.norm == 0) return std::vector<double>(x, x + heads * s_.dim);
        if (s_.norm == 2) return reference::normed(x, norm.weight.data(), heads * s_.dim, 1e-5);
        std::vector<double> out;
        for (int h = 0; h < heads; ++h) {
            const std::vector<double> one = reference::normed(x + h * s_.dim, norm.weight.data(), s_.dim, 1e-5);
            out.insert(out.end(), one.begin(), one.end());
        }
        return out;
    }
    std::vector<double> each(const std::vector<double>& x, int heads, int position, double scale) const {
        std::vector<double> out;
        for (int h = 0; h < heads; ++h) {
            const std::vector<double> head(x.begin() + h * s_.dim, x.begin() + (h + 1) * s_.dim);
            const std::vector<double> turned = rotated(head, position, w_.frequencies, scale);
            out.insert(out.end(), turned.begin(), turned.end());
        }
        return out;
    }
    void mix(const Past& past, const double* query, int head, int position, std::vector<double>& out) const {
        const int D = s_.dim, kv = head / (s_.heads / s_.kv_heads);
        const int first = s_.window ? std::max(0, position + 1 - s_.window) : 0;
        std::vector<double> weights;
        double sum = s_.sinks ? std::exp(static_cast<double>(w_.sinks.weight[head])) : 0;
        for (int p = first; p <= position; ++p) {
            double score = 0;
            for (int d = 0; d < D; ++d) score += query[d] * past.keys[p][kv * D + d];
            if (s_.softcap > 0) score = s_.softcap * std::tanh(score / s_.softcap);
            weights.push_back(std::exp(score));
            sum += weights.back();
        }
        for (int d = 0; d < D; ++d) {
            double mixed = 0;
            for (int p = first; p <= position; ++p) mixed += weights[p - first] / sum * past.values[p][kv * D + d];
            out.push_back(mixed);
        }
    }
    const Setup& s_;
    const Weights& w_;
};

}  // namespace greenlight::driver
