// The governor at work: measures, decides, and hands capture its limits.
#pragma once

#include <functional>

#include "agent/capture/kernel_source.h"
#include "agent/config/config.h"
#include "base/counters.h"

namespace wirespan {

// To be called about every 50 ms on one thread while `source` runs; empty when the configuration has it off.
// `daemon`: the command is `run`. Steps are told to `say`.
[[nodiscard]] std::function<void()> govern(const Config& config, bool daemon, KernelSource& source, Counters& counters,
                                           const std::function<void(const std::string&)>& say);

}  // namespace wirespan
