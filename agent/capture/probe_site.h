// Where near a function's entry a probe costs least (amd64). At most instructions the kernel runs what the breakpoint
// stands in place of in a copy, step by step: a second exception, and where hypervisors intercept those a slow one (a
// hit measured 16 us on the machine of docs/cost.md). Those it does itself instead (arch/x86/kernel/uprobes.c:
// push_setup_xol_ops, branch_setup_xol_ops) cost one exception (0.9 us there). By libcapstone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wirespan {

inline constexpr std::size_t kProbeSiteCode = 128;  // bytes of a function that are looked at

// Whether the kernel does the instruction itself that the bytes begin with. False where not known.
[[nodiscard]] bool kernel_emulates(std::span<const std::uint8_t> code);

// Of a function that begins with `code`: how far from its entry the first instruction lies that the kernel does itself,
// that every call comes to, and at which the first `arguments` (in registers, as of System V) are still untouched.
// A loop may come to it more than once. 0: the entry, also where there is no better one.
[[nodiscard]] std::size_t probe_site(const std::vector<std::uint8_t>& code, std::size_t arguments);

}  // namespace wirespan
