// Which kernels can this CPU run, and which of them does it run?
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace greenlight {

// Instruction sets this build has kernels for and this CPU and system can run, best first; "portable" is always last.
std::vector<std::string> usable_isas();

// Features the choice rests on, as the CPU and the system report them.
std::vector<std::string> cpu_features();

// Kernels by name, or the best where the name is empty. Throws std::invalid_argument with the possible names.
const Kernels& find_kernels(const std::string& name);

}  // namespace greenlight
