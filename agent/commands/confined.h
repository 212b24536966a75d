// The moment after which an agent has what it needs and gives up all other rights.
#pragma once

#include <functional>
#include <string>

#include "agent/config/config.h"
#include "base/counters.h"
#include "base/result.h"

namespace wirespan {

// What the process lacks, told to `say` in one line for each capability; nothing when it has all.
void tell_missing_rights(const std::function<void(const std::string&)>& say);

// Capabilities and system calls (agent/rights). After files, sockets and BPF objects are open and before the first
// thread. `tracing` false: for a replay, which keeps no right at all.
Status confine(const Config& config, bool tracing, Counters& counters);

}  // namespace wirespan
