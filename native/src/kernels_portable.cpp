// The kernels in plain C++: right everywhere, fast nowhere.
#define GREENLIGHT_ISA portable
#include <math.h>

#include "half.h"
#include "kernels.h"
#include "simd_portable.h"
#include "kernels.inl"
