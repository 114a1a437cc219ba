#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <chrono>
#include <thread>

namespace greenlight {

namespace {

std::atomic<Pool*> current{nullptr};
std::mutex creation;

inline void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Spins a while, then gives the CPU away between looks; false when it is time to sleep.
class Patience {
  public:
    bool wait() {
        if (++looks_ < kSpins) {
            pause();
            return true;
        }
        if (looks_ == kSpins) yielding_since_ = std::chrono::steady_clock::now();
        sched_yield();
        return looks_ % 64 != 0 || std::chrono::steady_clock::now() - yielding_since_ < std::chrono::milliseconds(1);
    }

  private:
    static constexpr int kSpins = 2000;
    int looks_ = 0;
    std::chrono::steady_clock::time_point yielding_since_;
};

}  // namespace

int Pool::usable_cpus() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    const unsigned n = std::thread::hardware_concurrency();
    return n ? static_cast<int>(n) : 1;
}

Pool& Pool::instance() {
    if (Pool* pool = current.load(std::memory_order_acquire)) return *pool;
    std::lock_guard lock(creation);
    if (!current.load()) {
        // Never deleted: workers may still look at it while the process ends, and a forked child leaves its parent's behind.
        current.store(new Pool());
        static bool guarded = false;
        if (!guarded) {
            pthread_atfork([] { creation.lock(); }, [] { creation.unlock(); },
                           [] {
                               current.store(nullptr);
                               creation.unlock();
                           });
        }
        guarded = true;
    }
    return *current.load();
}

Pool::Pool() {
    n_threads_ = usable_cpus();
    start();
}

void Pool::start() {
    stopping_ = false;
    // Signals are for the interpreter's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const uint32_t seen = epoch_.load();
    for (int thread = 1; thread < n_threads_; ++thread) std::thread([this, thread, seen] { work(thread, seen); }).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Pool::stop() {
    stopping_ = true;
    run_erased([](const void*, int) {}, nullptr);
}

void Pool::resize(int n_threads) {
    std::lock_guard lock(exclusive);
    if (n_threads == n_threads_) return;
    stop();
    n_threads_ = n_threads;
    start();
}

void Pool::work(int thread, uint32_t seen) {
    for (;;) {
        Patience patience;
        while (epoch_.load(std::memory_order_acquire) == seen) {
            if (patience.wait()) continue;
            sleepers_.fetch_add(1);
            epoch_.wait(seen);
            sleepers_.fetch_sub(1);
        }
        ++seen;
        const bool last = stopping_;
        task_(argument_, thread);
        pending_.fetch_sub(1, std::memory_order_acq_rel);
        if (last) return;
    }
}

void Pool::run_erased(Task task, const void* argument) {
    if (n_threads_ == 1) {
        task(argument, 0);
        return;
    }
    task_ = task;
    argument_ = argument;
    pending_.store(n_threads_ - 1, std::memory_order_relaxed);
    epoch_.fetch_add(1);
    if (sleepers_.load() > 0) epoch_.notify_all();
    task(argument, 0);
    for (Patience patience; pending_.load(std::memory_order_acquire) > 0;) patience.wait();
}

void Pool::barrier() {
    if (n_threads_ == 1) return;
    const uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == n_threads_ - 1) {
        arrived_.store(0, std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
        return;
    }
    for (Patience patience; phase_.load(std::memory_order_acquire) == phase;) patience.wait();
}

}  // namespace greenlight
