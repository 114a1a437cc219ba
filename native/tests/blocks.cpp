// Is a block of a file read as its format says, and written so?
#include <cmath>

#include "driver.h"
#include "reference.h"

namespace greenlight::driver {

void a_block_widens_to_its_values(Case& c) {
    Vectors vectors(1);
    for (int kind = 0; kind < kKinds; ++kind) {
        for (const int blocks : {1, 3}) {
            const int dim = inputs_of(static_cast<Kind>(kind), blocks);
            const Matrix table = vectors.matrix(static_cast<Kind>(kind), 5, dim);
            const Step step = c.step(3, {4, 0, 2});
            const Floats out = c.keep(c.context.embed(step, {table.kind, table.data(), 5, dim}, 1.0f));
            for (int r = 0; r < 3; ++r) {
                for (int i = 0; i < dim; ++i) {
                    const double expected = reference::value(table.kind, table.row(step.tokens[r]), i);
                    expect_near(out[r * dim + i], expected, 1e-6 * std::fabs(expected) + 1e-6, kKindNames[kind]);
                }
            }
        }
    }
}

// A folder's bytes of neighbours, told apart one nibble at a time.
void blocks_and_scales_become_rows(int threads) {
    Pool::instance().resize(threads);
    Vectors vectors(5);
    for (const int rows : {2, 130, 700}) {
        for (const int step : {1, 2}) {
            const int blocks = vectors.whole(1, 4), first = step - 1;
            std::vector<uint8_t> pairs(16 * rows * blocks), scales(rows * blocks), out(17 * rows / step * blocks);
            for (uint8_t& byte : pairs) byte = static_cast<uint8_t>(vectors.whole(0, 255));
            for (uint8_t& byte : scales) byte = static_cast<uint8_t>(vectors.whole(0, 254));
            join_mxfp4(pairs.data(), scales.data(), rows, blocks, first, step, out.data());
            for (int row = 0; row < rows / step; ++row) {
                for (int b = 0; b < blocks; ++b) {
                    const int from = (row * step + first) * blocks + b;
                    const uint8_t* block = out.data() + 17 * (row * blocks + b);
                    bool same = block[0] == scales[from];
                    for (int i = 0; i < 32; ++i) {
                        const int wanted = pairs[16 * from + i / 2] >> 4 * (i % 2) & 15;
                        same &= (block[1 + i % 16] >> 4 * (i / 16) & 15) == wanted;
                    }
                    expect(same, "a block of MXFP4 is put in order");
                }
            }
        }
    }
}

}  // namespace greenlight::driver
