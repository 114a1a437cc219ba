// What is a test made of? Expectations, a digest of all that was computed, a context to compute in; the tests' names.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "ops.h"
#include "vectors.h"

namespace greenlight::driver {

[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "FAILED: %s\n", what.c_str());
    std::exit(1);
}

inline void expect(bool condition, const std::string& what) {
    if (!condition) fail(what);
}

inline void expect_near(double found, double expected, double tolerance, const std::string& what) {
    if (std::fabs(found - expected) <= tolerance) return;
    fail(what + ": " + std::to_string(found) + ", expected " + std::to_string(expected) + " within " +
         std::to_string(tolerance));
}

// All that the tests compute, in order: equal for every table and every number of threads.
class Outputs {
  public:
    void add(const float* x, size_t n) {
        for (size_t i = 0; i < n; ++i) {
            uint32_t bits;
            std::memcpy(&bits, x + i, 4);
            digest_ = (digest_ ^ bits) * 0x100000001b3u;
        }
        count_ += n;
    }
    uint64_t digest() const { return digest_; }
    size_t count() const { return count_; }

  private:
    uint64_t digest_ = 0xcbf29ce484222325u;
    size_t count_ = 0;
};

struct Case {
    Context context;
    Outputs& outputs;
    bool exact;

    Step step(int rows, std::vector<int32_t> tokens = {}, std::vector<int32_t> wanted = {}) {
        auto pages = std::make_shared<Pages>((rows + kPage - 1) / kPage, std::vector<LayerShape>{{1, 8, 0, 0}}, true);
        std::vector<int32_t> table(pages->n_pages);
        for (int i = 0; i < pages->n_pages; ++i) table[i] = i;
        if (tokens.empty()) tokens.assign(rows, 0);
        const int width = pages->n_pages;
        return context.begin(pages, std::move(tokens), {0, rows}, {0}, table, width, std::move(wanted));
    }
    Floats keep(const Array& x) {
        const Floats out(x.data(), x.row(x.rows));
        outputs.add(out.data(), out.size());
        return out;
    }
};

// linear.cpp
void linears_are_sums_of_products(Case& c);
void stacked_linears_are_the_linears_side_by_side(Case& c);
void pairs_are_gated(Case& c);
void rubbish_in_stays_rubbish(Case& c);
// rows.cpp
void rows_are_normed_added_capped_and_chosen(Case& c);
void log_probabilities_are_a_softmax_of_the_head(Case& c);
// attention.cpp
void attention_sees_what_it_should(Case& c);
// experts.cpp
void experts_are_chosen_and_mixed(Case& c);
// blocks.cpp
void a_block_widens_to_its_values(Case& c);
void blocks_and_scales_become_rows(int threads);
// program.cpp
void a_program_does_what_its_operations_do(Case& c);
void contexts_share_a_program(const std::string& isa, bool exact);
// pool.cpp
void every_item_is_done_once();

}  // namespace greenlight::driver
