// The kernels for x86-64 with AVX-512 F, BW, DQ, VL and VNNI (Intel since Ice Lake, AMD since Zen 4).
#define GREENLIGHT_ISA avx512vnni
#include <math.h>

#include "half.h"
#include "kernels.h"
#include "simd_avx512vnni.h"
#include "kernels.inl"
