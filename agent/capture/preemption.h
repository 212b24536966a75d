// Whether the kernel runs other threads in the middle of a program that is attached to a function (fexit). Programs of
// the plan `functions` share memory by CPU and rely on it not to (docs/adr/0016). Any thread; reads files.
#pragma once

#include <string>
#include <string_view>

namespace wirespan {

// What the kernel says of itself; "" where it does not.
struct PreemptionFacts {
  std::string release;       // uname -r
  std::string version;       // uname -v
  std::string mode;          // sched/preempt of debugfs: "none voluntary (full)"
  std::string command_line;  // /proc/cmdline
  std::string config;        // /boot/config-RELEASE
};

[[nodiscard]] PreemptionFacts preemption_facts();

// "": they are not interrupted. Else why they are, or may be, for people.
[[nodiscard]] std::string why_preempted(const PreemptionFacts& facts);

// Since 7.0 the kernel runs other threads in the middle of a raw tracepoint's program, and skips the program for them.
// Attached by perf, which costs more, the same programs are not interrupted so (docs/adr/0014). Nothing in the kernel's
// types tells such kernels: known from the version.
[[nodiscard]] bool programs_are_preempted();

// major * 1000 + minor of "6.1.0-13-amd64"; 0: it is no such text.
[[nodiscard]] unsigned kernel_version(std::string_view release);

}  // namespace wirespan
