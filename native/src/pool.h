// Who does the work? A fixed crew of threads that meet at every operation and at barriers inside it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <type_traits>

namespace greenlight {

// Between operations the workers spin, then yield, then sleep: waking from sleep costs a twentieth of a token, spinning
// for ever would cost the machine.
class Pool {
  public:
    // The process's pool. A child of fork() finds a new one, since threads do not survive it.
    static Pool& instance();

    int size() const { return n_threads_; }
    void resize(int n_threads);

    // Calls fn(thread) on every thread at once and returns when all are done. fn must not throw.
    template <class Fn>
    void run(const Fn& fn) {
        run_erased([](const void* f, int thread) { (*static_cast<const Fn*>(f))(thread); }, &fn);
    }

    // Waits until every thread of the running operation is here.
    void barrier();

    // Held by whoever runs operations; the kernels' scratch memory belongs to its holder.
    std::mutex exclusive;

    // CPUs this process may use.
    static int usable_cpus();

  private:
    using Task = void (*)(const void*, int);

    Pool();
    void run_erased(Task task, const void* argument);
    void start();
    void stop();
    void work(int thread, uint32_t seen);

    int n_threads_ = 1;
    Task task_ = nullptr;
    const void* argument_ = nullptr;
    bool stopping_ = false;
    // One cache line each: they are written by different threads all the time.
    alignas(64) std::atomic<uint32_t> epoch_{0};
    alignas(64) std::atomic<int> pending_{0};
    alignas(64) std::atomic<int> sleepers_{0};
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<uint32_t> phase_{0};
};

// Hands out indices 0..n-1 in portions to whichever thread is free.
class Counter {
  public:
    explicit Counter(int n) : n_(n) {}
    // Calls fn(first, last) until nothing is left.
    template <class Fn>
    void share(int portion, const Fn& fn) {
        for (;;) {
            const int first = next_.fetch_add(portion, std::memory_order_relaxed);
            if (first >= n_) return;
            fn(first, first + portion < n_ ? first + portion : n_);
        }
    }

  private:
    int n_;
    alignas(64) std::atomic<int> next_{0};
};

}  // namespace greenlight
