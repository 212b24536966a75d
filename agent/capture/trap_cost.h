// What a process pays for a breakpoint of ours, besides the program that runs there: one exception where the kernel
// does the instruction itself, two where it steps a copy of it. How much that is differs by the host (0.9 and 16 us on
// the virtual machine of docs/cost.md, a fraction of that on hardware), so it is measured, on functions of this
// program.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "agent/capture/uprobes.h"
#include "base/result.h"

namespace wirespan {

struct TrapCost {
  double emulated_ns = 1000;  // until measured
  double stepped_ns = 3000;
};

// attach() puts some probe there, detach() takes it off again, some time later. Takes some ms.
[[nodiscard]] TrapCost measure_trap_cost(
    const std::function<Result<Uprobes>(const std::string& path, std::uint64_t offset)>& attach,
    const std::function<void(Uprobes probe)>& detach);

}  // namespace wirespan
