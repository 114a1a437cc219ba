// What do the CPU and its system offer, and what of that may be used?
#include "dispatch.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace greenlight {

namespace {

struct Features {
    bool avx2 = false, fma = false, f16c = false, avx512 = false, vnni = false, dotprod = false;
};

#if defined(__x86_64__)
// Registers the operating system saves on a context switch (XCR0): a CPU may have AVX-512 and a system not know of it.
uint64_t saved_registers() {
    uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return static_cast<uint64_t>(high) << 32 | low;
}

Features detect() {
    Features found;
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return found;
    const uint64_t saved = saved_registers();
    const bool ymm = (saved & 0x6) == 0x6, zmm = (saved & 0xe6) == 0xe6;
    found.fma = ymm && (c & bit_FMA);
    found.f16c = ymm && (c & bit_F16C);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    found.avx2 = ymm && (b & bit_AVX2);
    const uint32_t needed = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    found.avx512 = zmm && (b & needed) == needed;
    found.vnni = zmm && (c & bit_AVX512VNNI);
    return found;
}
#else
Features detect() {
    Features found;
#if defined(__aarch64__) && defined(__APPLE__)
    found.dotprod = true;  // every Mac with an ARM processor has it
#elif defined(__aarch64__) && defined(__linux__)
    found.dotprod = getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#endif
    return found;
}
#endif

// Every feature there is, by name; the choice rests on these.
struct Named {
    const char* name;
    bool Features::* has;
};
constexpr Named kNamed[] = {{"avx2", &Features::avx2},     {"fma", &Features::fma},
                            {"f16c", &Features::f16c},     {"avx512", &Features::avx512},
                            {"avx512vnni", &Features::vnni}, {"dotprod", &Features::dotprod}};

// Takes a feature away. Nothing here can give one.
void take_away(Features& features, const std::string& name) {
    for (const Named& named : kNamed) {
        if (name != named.name) continue;
        features.*named.has = false;
        return;
    }
    throw std::invalid_argument("GREENLIGHT_CPU_WITHOUT names a feature that no kernels ask for: '" + name + "'");
}

// What the CPU has, less what GREENLIGHT_CPU_WITHOUT names, separated by commas.
Features usable_features() {
    static const Features found = detect();
    Features features = found;
    const char* without = std::getenv("GREENLIGHT_CPU_WITHOUT");
    std::string names = without ? without : "";
    while (!names.empty()) {
        const size_t end = std::min(names.find(','), names.size());
        if (end) take_away(features, names.substr(0, end));
        names.erase(0, end + 1);
    }
    return features;
}

std::vector<const Kernels*> usable_kernels() {
    const Features features = usable_features();
    std::vector<const Kernels*> usable;
#if defined(__x86_64__)
    const bool avx2 = features.avx2 && features.fma && features.f16c;
#if defined(GREENLIGHT_EMULATED_AVX512)  // the test driver's, in AVX2
    if (avx2) usable.push_back(&kernels_avx512vnni);
#elif !defined(GREENLIGHT_WITHOUT_AVX512)  // the test driver's, where it could not run them
    if (avx2 && features.avx512 && features.vnni) usable.push_back(&kernels_avx512vnni);
#endif
    if (avx2) usable.push_back(&kernels_avx2);
#elif defined(__aarch64__)
    if (features.dotprod) usable.push_back(&kernels_neon);
#endif
    usable.push_back(&kernels_portable);
    return usable;
}

}  // namespace

std::vector<std::string> usable_isas() {
    std::vector<std::string> names;
    for (const Kernels* kernels : usable_kernels()) names.emplace_back(kernels->name);
    return names;
}

std::vector<std::string> cpu_features() {
    const Features found = usable_features();
    std::vector<std::string> names;
    for (const Named& named : kNamed) {
        if (found.*named.has) names.emplace_back(named.name);
    }
    return names;
}

const Kernels& find_kernels(const std::string& name) {
    std::string known;
    for (const Kernels* kernels : usable_kernels()) {
        if (name.empty() || name == kernels->name) return *kernels;
        known += (known.empty() ? "" : ", ") + std::string(kernels->name);
    }
    throw std::invalid_argument("this CPU and this build know no kernels called '" + name + "'; they have: " + known);
}

}  // namespace greenlight
