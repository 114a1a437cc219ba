// How many int8 operations per second can these cores do at all? Independent chains of the one instruction that the
// kernels of this instruction set live on, in registers alone. Prints billions of operations (a product or a sum) per
// second of all threads together.
//
//     g++ -O2 -march=native -pthread int8_peak.cpp -o int8_peak && ./int8_peak THREADS
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <immintrin.h>
#include <thread>
#include <vector>

constexpr int kChains = 12, kTurns = 30'000'000, kSamples = 3;

#if defined(__AVX512VNNI__)
using V = __m512i;
constexpr double kOperations = 128;  // 64 products, each added
inline V step(V sum, V a, V b) { return _mm512_dpbusd_epi32(sum, a, b); }
inline V start(int i) { return _mm512_set1_epi32(i); }
#else
using V = __m256i;
constexpr double kOperations = 64;  // 32 products in 16 pairs, added in int16: what a block of 32 needs at the least
inline V step(V sum, V a, V b) { return _mm256_add_epi16(sum, _mm256_maddubs_epi16(a, b)); }
inline V start(int i) { return _mm256_set1_epi32(i); }
#endif

struct Result {
    V sums;
};

void work(Result* out) {
    V sums[kChains];
    V a = start(0x03010201), b = start(0x01020304);
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) sums[i] = start(i);
    for (int turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 16
        for (int i = 0; i < kChains; ++i) {
            sums[i] = step(sums[i], a, b);
            asm volatile("" : "+x"(sums[i]), "+x"(b));  // neither hoisted nor done once for all
        }
    }
#pragma GCC unroll 16
    for (int i = 1; i < kChains; ++i) sums[0] = step(sums[0], sums[i], b);
    out->sums = sums[0];
}

int main(int, char** arguments) {
    const int threads = std::atoi(arguments[1]);
    double best = 0;
    for (int sample = 0; sample < kSamples; ++sample) {
        std::vector<Result> out(threads);
        std::vector<std::thread> workers;
        const auto begun = std::chrono::steady_clock::now();
        for (int i = 0; i < threads; ++i) workers.emplace_back(work, &out[i]);
        for (auto& worker : workers) worker.join();
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
        const double rate = threads * kOperations * kChains * kTurns / seconds.count() / 1e9;
        best = rate > best ? rate : best;
    }
    std::printf("%.1f\n", best);
}
