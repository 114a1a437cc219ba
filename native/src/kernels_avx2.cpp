// The kernels for x86-64 with AVX2, FMA and F16C (Intel since Haswell, AMD since Zen).
#define GREENLIGHT_ISA avx2
#include <math.h>

#include "half.h"
#include "kernels.h"
#include "simd_avx2.h"
#include "kernels.inl"
