// The programs of a plan, as far as this kernel takes them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/capture/bpf_object.h"
#include "agent/capture/plan.h"
#include "base/result.h"

namespace wirespan {

// The first candidate of every hook, and for a hook whose program the kernel refuses its next: a load for each refusal,
// because each costs the reading of all the kernel's types. `programs` gets one for each hook, nullptr where none
// works. `prefer`: candidates whose names end so come first.
[[nodiscard]] Result<std::unique_ptr<BpfObject>> load_plan(const BpfSettings& settings, const std::vector<Hook>& hooks,
                                                           const std::string& prefer,
                                                           std::vector<const char*>& programs);

// Those that are attached from the beginning. `programs`: from load_plan().
[[nodiscard]] Status attach_all(BpfObject& object, const std::vector<Hook>& hooks,
                                std::span<const char* const> programs);

}  // namespace wirespan
