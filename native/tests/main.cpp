// Do the kernels compute what they should, and stay within their memory? Every table that this CPU can run, every type,
// on shapes at the edges, against reference.h; and bit for bit among tables, threads and batches.
//
// Vectors come from fixed seeds. Run it as it is or under a sanitizer: `make sanitize`.
#include "driver.h"

namespace greenlight::driver {

static uint64_t compute(const std::string& isa, int threads, bool exact) {
    Pool::instance().resize(threads);
    Outputs outputs;
    Case c{Context(isa, exact), outputs, exact};
    a_block_widens_to_its_values(c);
    linears_are_sums_of_products(c);
    stacked_linears_are_the_linears_side_by_side(c);
    pairs_are_gated(c);
    rows_are_normed_added_capped_and_chosen(c);
    log_probabilities_are_a_softmax_of_the_head(c);
    attention_sees_what_it_should(c);
    experts_are_chosen_and_mixed(c);
    rubbish_in_stays_rubbish(c);
    a_program_does_what_its_operations_do(c);
    contexts_share_a_program(isa, exact);
    std::printf("%-12s %d threads%s: %zu values, %016llx\n", isa.c_str(), threads, exact ? ", exact" : "",
                outputs.count(), static_cast<unsigned long long>(outputs.digest()));
    std::fflush(stdout);
    return outputs.digest();
}

}  // namespace greenlight::driver

int main() {
    using namespace greenlight;
    using namespace greenlight::driver;
    every_item_is_done_once();
    for (const int threads : {1, 3}) blocks_and_scales_become_rows(threads);
    for (const bool exact : {false, true}) {
        uint64_t digest = 0;
        for (const std::string& isa : usable_isas()) {
            for (const int threads : {1, 3}) {
                const uint64_t found = compute(isa, threads, exact);
                if (!digest) digest = found;
                expect(found == digest, "bits depend on the instruction set or the threads");
            }
        }
    }
    std::puts("all is well");
}
