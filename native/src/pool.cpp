// How do threads claim work, wait for more, and end?
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
        // Never deleted: workers may still look at it while the process ends, and a forked child leaves its parent's
        // behind.
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
    alive_.store(n_threads_ - 1);
    for (int thread = 1; thread < n_threads_; ++thread)
        std::thread([this, thread, seen] { work(thread, seen); }).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Pool::stop() {
    stopping_ = true;
    epoch_.fetch_add(1);
    epoch_.notify_all();
    while (alive_.load() > 0) sched_yield();
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
        uint32_t epoch;
        while ((epoch = epoch_.load(std::memory_order_acquire)) == seen) {
            if (patience.wait()) continue;
            sleepers_.fetch_add(1);
            epoch_.wait(seen);
            sleepers_.fetch_sub(1);
        }
        seen = epoch;
        if (stopping_) break;
        help(thread, epoch);
    }
    alive_.fetch_sub(1);
}

void Pool::help(int thread, uint32_t epoch) {
    const int n_shares = n_shares_.load(std::memory_order_relaxed);
    int n_done = 0;
    for (int i = 0; i < n_shares; ++i) {
        Share& share = shares_[(thread + i) % n_shares];
        uint64_t next = share.next.load(std::memory_order_acquire);
        while (static_cast<uint32_t>(next >> 32) == epoch) {
            const int first = static_cast<int>(static_cast<uint32_t>(next)),
                      end = share.end.load(std::memory_order_acquire);
            if (first >= end) break;
            const int portion = portion_.load(std::memory_order_relaxed);
            const int last = first + portion < end ? first + portion : end;
            const uint64_t taken = (next & ~uint64_t{0xffffffff}) | static_cast<uint32_t>(last);
            if (!share.next.compare_exchange_weak(next, taken, std::memory_order_acq_rel, std::memory_order_acquire))
                continue;
            // Claimed: the task cannot end, nor its description change, before this portion is done.
            task_.load(std::memory_order_relaxed)(argument_.load(std::memory_order_relaxed), thread, first, last);
            n_done += last - first;
            next = share.next.load(std::memory_order_acquire);
        }
    }
    // Once for all portions: the line moves between the threads each time.
    if (n_done) done_.fetch_add(n_done, std::memory_order_acq_rel);
}

void Pool::share_erased(int n, int portion, Task task, const void* argument) {
    if (n <= 0) return;
    if (n_threads_ == 1 || n <= portion) {
        task(argument, 0, 0, n);
        return;
    }
    // Nobody can claim while the description changes: the shares still carry the last epoch, and nothing is left in
    // them.
    const uint32_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
    const int n_shares = n_threads_ < kMostShares ? n_threads_ : kMostShares;
    task_.store(task, std::memory_order_relaxed);
    argument_.store(argument, std::memory_order_relaxed);
    portion_.store(portion, std::memory_order_relaxed);
    n_shares_.store(n_shares, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    for (int i = 0; i < n_shares; ++i) {
        const auto bound = [&](int j) { return static_cast<int>(static_cast<int64_t>(n) * j / n_shares); };
        // An old claim that compares the old word must fail even if it reads the new end: so the word goes first.
        shares_[i].next.store(static_cast<uint64_t>(epoch) << 32 | 0xffffffffu >> 1, std::memory_order_relaxed);
        shares_[i].end.store(bound(i + 1), std::memory_order_release);
        shares_[i].next.store(static_cast<uint64_t>(epoch) << 32 | static_cast<uint32_t>(bound(i)),
                              std::memory_order_release);
    }
    epoch_.store(epoch);
    if (sleepers_.load() > 0) epoch_.notify_all();
    help(0, epoch);
    for (Patience patience; done_.load(std::memory_order_acquire) < n;) patience.wait();
}

}  // namespace greenlight
