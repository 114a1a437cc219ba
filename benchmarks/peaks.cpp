// How many operations per second can these cores do at all? Independent chains of one instruction, in registers alone.
// Prints billions of operations (a product or a sum) per second of all threads together, or nothing where this CPU has no
// such instruction. int8 is what the kernels of its instruction set live on.
//
//     g++ -O3 -march=native -pthread peaks.cpp -o peaks && ./peaks THREADS int8|float32|bf16
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <immintrin.h>
#include <string>
#include <thread>
#include <vector>

constexpr int kChains = 12, kTurns = 30'000'000, kSamples = 3;

#if defined(__AVX512VNNI__)
struct Int8 {
    using V = __m512i;
    static constexpr double kOperations = 128;  // 64 products, each added
    static V start(int i) { return _mm512_set1_epi32(i); }
    static V step(V sum, V a, V b) { return _mm512_dpbusd_epi32(sum, a, b); }
};
#else
struct Int8 {
    using V = __m256i;
    static constexpr double kOperations = 64;  // 32 products in 16 pairs, added in int16: what a block of 32 needs
    static V start(int i) { return _mm256_set1_epi32(i); }
    static V step(V sum, V a, V b) { return _mm256_add_epi16(sum, _mm256_maddubs_epi16(a, b)); }
};
#endif

#if defined(__AVX512F__)
struct Float32 {
    using V = __m512;
    static constexpr double kOperations = 32;
    static V start(int) { return _mm512_set1_ps(1); }
    static V step(V sum, V a, V b) { return _mm512_fmadd_ps(a, b, sum); }
};
#else
struct Float32 {
    using V = __m256;
    static constexpr double kOperations = 16;
    static V start(int) { return _mm256_set1_ps(1); }
    static V step(V sum, V a, V b) { return _mm256_fmadd_ps(a, b, sum); }
};
#endif

#if defined(__AVX512BF16__)
struct Bf16 {
    using V = __m512;
    static constexpr double kOperations = 64;  // 32 products, each added
    static V start(int) { return _mm512_set1_ps(1); }
    static V step(V sum, V a, V b) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }
};
#endif

template <class Kind>
struct Result {
    typename Kind::V sums;
};

template <class Kind>
void work(Result<Kind>* out) {
    using V = typename Kind::V;
    V sums[kChains];
    V a = Kind::start(0x03010201), b = Kind::start(0x01020304);
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) sums[i] = Kind::start(i);
    for (int turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 16
        for (int i = 0; i < kChains; ++i) {
            sums[i] = Kind::step(sums[i], a, b);
            asm volatile("" : "+x"(sums[i]), "+x"(b));  // neither hoisted nor done once for all
        }
    }
#pragma GCC unroll 16
    for (int i = 1; i < kChains; ++i) sums[0] = Kind::step(sums[0], sums[i], b);
    out->sums = sums[0];
}

template <class Kind>
void measure(int threads) {
    double best = 0;
    for (int sample = 0; sample < kSamples; ++sample) {
        std::vector<Result<Kind>> out(threads);
        std::vector<std::thread> workers;
        const auto begun = std::chrono::steady_clock::now();
        for (int i = 0; i < threads; ++i) workers.emplace_back(work<Kind>, &out[i]);
        for (auto& worker : workers) worker.join();
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
        const double rate = threads * Kind::kOperations * kChains * kTurns / seconds.count() / 1e9;
        best = rate > best ? rate : best;
    }
    std::printf("%.1f\n", best);
}

int main(int, char** arguments) {
    const int threads = std::atoi(arguments[1]);
    const std::string kind = arguments[2];
    if (kind == "int8") measure<Int8>(threads);
    if (kind == "float32") measure<Float32>(threads);
#if defined(__AVX512BF16__)
    if (kind == "bf16") measure<Bf16>(threads);
#endif
}
