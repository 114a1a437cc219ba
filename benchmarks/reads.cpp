// How fast can these cores read memory? Each thread reads a part of its own from begin to end, again and again, as
// products read weights: in large pages where the system has them, and asked for 4 KB ahead. Prints gigabytes (1e9) per
// second of all threads together, of the fastest of some passes.
//
//     g++ -O3 -march=native -pthread reads.cpp -o reads && ./reads THREADS BYTES
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

constexpr size_t kLargePage = 2 << 20, kLine = 64, kWords = kLine / sizeof(uint64_t), kAhead = 4096;
constexpr int kPasses = 8;

static uint64_t sum_of(const uint64_t* words, size_t n_words) {
    uint64_t sums[kWords] = {};
    for (size_t i = 0; i < n_words; i += kWords) {
        __builtin_prefetch(reinterpret_cast<const char*>(words + i) + kAhead);
        for (size_t j = 0; j < kWords; ++j) sums[j] += words[i + j];
    }
    for (size_t j = 1; j < kWords; ++j) sums[0] += sums[j];
    return sums[0];
}

// Threads leave a pass together and begin the next one together. The last one to come says when that was, before anybody
// goes on: a thread that wakes late must not have its pass look short.
class Barrier {
  public:
    using Clock = std::chrono::steady_clock;
    explicit Barrier(int threads) : threads_(threads) {}
    Clock::time_point wait() {
        const int turn = turn_.load();
        if (arrived_.fetch_add(1) + 1 == threads_) {
            arrived_ = 0;
            all_there_ = Clock::now();
            ++turn_;
        }
        while (turn_.load() == turn) std::this_thread::yield();
        return all_there_;
    }

  private:
    const int threads_;
    std::atomic<int> arrived_{0}, turn_{0};
    Clock::time_point all_there_;
};

int main(int n, char** arguments) {
    if (n != 3) return 2;
    const int threads = std::atoi(arguments[1]);
    const size_t lines = std::strtoull(arguments[2], nullptr, 10) / kLine, bytes = lines * kLine;
    if (threads < 1 || lines < static_cast<size_t>(threads)) return 2;
    void* const mapping =
        mmap(nullptr, bytes + kLargePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return 1;
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(mapping) + kLargePage - 1) / kLargePage * kLargePage;
    uint64_t* const words = reinterpret_cast<uint64_t*>(begin);
#if defined(MADV_HUGEPAGE)
    madvise(words, bytes, MADV_HUGEPAGE);
#endif
    for (size_t i = 0; i < lines; ++i) words[i * kWords] = i;  // untouched pages would all be one page of zeros
    Barrier barrier(threads);
    std::vector<uint64_t> sums(threads);
    double best = 0;
    const auto work = [&](int thread) {
        const size_t first = lines * thread / threads * kWords, last = lines * (thread + 1) / threads * kWords;
        for (int pass = 0; pass < kPasses; ++pass) {
            const auto begun = barrier.wait();
            sums[thread] += sum_of(words + first, last - first);
            const std::chrono::duration<double> seconds = barrier.wait() - begun;
            if (thread == 0 && bytes / seconds.count() / 1e9 > best) best = bytes / seconds.count() / 1e9;
        }
    };
    std::vector<std::thread> workers;
    for (int thread = 0; thread < threads; ++thread) workers.emplace_back(work, thread);
    for (auto& worker : workers) worker.join();
    uint64_t total = 0;
    for (const uint64_t sum : sums) total += sum;
    // All lines hold their numbers: a wrong sum means that not all was read.
    const uint64_t expected = static_cast<uint64_t>(lines) * (lines - 1) / 2 * kPasses;
    if (total != expected) return 1;
    std::printf("%.2f\n", best);
}
