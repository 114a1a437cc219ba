// Who does the work? The calling thread, and whichever workers come in time to claim a share of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace greenlight {

// Items of a task are claimed one portion at a time, so a worker that has no CPU just now is not waited for: only
// claimed portions are. On a machine shared with others that decides whether two threads are faster than one or ten
// times slower.
//
// Between tasks the workers spin, then yield, then sleep: waking from sleep costs a twentieth of a token, spinning for
// ever would cost the machine.
class Pool {
  public:
    // The process's pool. A child of fork() finds a new one, since threads do not survive it.
    static Pool& instance();

    int size() const { return n_threads_; }
    void resize(int n_threads);

    // Calls fn(thread, first, last) for portions of the items 0..n-1, each item once, and returns when all are done.
    // A thread begins with its own share, in order, and helps with others' after that. fn must not throw.
    template <class Fn>
    void share(int n, int portion, const Fn& fn) {
        share_erased(
            n, portion,
            [](const void* f, int thread, int first, int last) { (*static_cast<const Fn*>(f))(thread, first, last); },
            &fn);
    }

    // Held by whoever gives out tasks; the kernels' scratch memory belongs to its holder.
    std::mutex exclusive;

    // CPUs this process may use.
    static int usable_cpus();

  private:
    using Task = void (*)(const void*, int, int, int);
    static constexpr int kMostShares = 8;

    // Where the next portion of one share begins, and in which epoch: a claim is one compare-and-swap of the whole
    // word, so a late worker can never claim from a task it has not read.
    struct alignas(64) Share {
        std::atomic<uint64_t> next{0};
        std::atomic<int> end{0};
    };

    Pool();
    void share_erased(int n, int portion, Task task, const void* argument);
    void help(int thread, uint32_t epoch);
    void start();
    void stop();
    void work(int thread, uint32_t seen);

    int n_threads_ = 1;
    std::atomic<bool> stopping_{false};
    std::atomic<Task> task_{nullptr};
    std::atomic<const void*> argument_{nullptr};
    std::atomic<int> portion_{1}, n_shares_{1};
    Share shares_[kMostShares];
    // One cache line each: they are written by different threads all the time.
    alignas(64) std::atomic<uint32_t> epoch_{0};
    alignas(64) std::atomic<int> done_{0};
    alignas(64) std::atomic<int> sleepers_{0};
    alignas(64) std::atomic<int> alive_{0};
};

}  // namespace greenlight
