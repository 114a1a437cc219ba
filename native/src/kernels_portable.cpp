// The kernels in plain C++: right everywhere, fast nowhere.
#define GREENLIGHT_ISA portable
#include <math.h>

#include "half.h"
#include "kernels.h"
#include "simd_portable.h"
// The order matters: each builds on those before it.
#include "rows.inl"
#include "linear.inl"
#include "kernels.inl"
