// Linux capabilities: which the agent needs and for what, which it has, and giving up all others.
// Facts: capabilities(7), and what failed without each of them on 5.10 and 6.18 (docs/hardening.md).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wirespan {

struct Capability {
  unsigned number = 0;  // linux/capability.h
  std::string_view name;
  std::string_view purpose;  // what the agent does with it
  std::string_view without;  // what becomes of tracing without it
  bool required = false;     // nothing can be traced without it
};

// All that this kernel asks for, in the order in which a user should think of them. The first call looks, on a thread
// that has its rights still.
[[nodiscard]] std::span<const Capability> needed_capabilities();

// A bit for each capability.
using CapabilitySet = std::uint64_t;

// Effective ones of this thread. CAP_SYS_ADMIN counts for those it stands in for.
[[nodiscard]] CapabilitySet held_capabilities();
[[nodiscard]] std::vector<const Capability*> missing_capabilities(CapabilitySet held);

// Whatever this thread starts from now on by exec inherits none. Commands we launch are not to have our rights.
void stop_inheritance();

// This thread, and those it starts from now on, keep what is needed (or nothing, with `keep_needed` false) and get
// nothing back, not by exec either. To be called while there is no other thread.
Status give_up_capabilities(bool keep_needed);

}  // namespace wirespan
