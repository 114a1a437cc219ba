// The kernels for 64-bit ARM with the dot-product extension (Cortex-A76, Neoverse N1, Apple M1 and later).
#define GREENLIGHT_ISA neon
#include <math.h>

#include "half.h"
#include "kernels.h"
#include "simd_neon.h"
#include "kernels.inl"
