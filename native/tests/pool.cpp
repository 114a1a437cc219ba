// Is each item of work done, and done once?
#include <thread>

#include "driver.h"

namespace greenlight::driver {

void every_item_is_done_once() {
    Pool& pool = Pool::instance();
    Vectors vectors(10);
    const auto run = [&pool](int n, int portion) {
        std::vector<int> done(n);
        std::lock_guard lock(pool.exclusive);
        pool.share(n, portion, [&](int, int first, int last) {
            for (int i = first; i < last; ++i) ++done[i];
        });
        for (const int times : done) expect(times == 1, "an item was done " + std::to_string(times) + " times");
    };
    for (const int threads : {1, 2, 3, 7, 12}) {
        pool.resize(threads);
        for (int i = 0; i < 300; ++i) run(vectors.whole(0, 200), vectors.whole(1, 9));
        std::vector<std::thread> callers;
        for (int caller = 0; caller < 3; ++caller) {
            callers.emplace_back([&run] {
                for (int i = 0; i < 60; ++i) run(64 + i, 3);
            });
        }
        for (std::thread& caller : callers) caller.join();
    }
}

}  // namespace greenlight::driver
