// What has to be attached, and the ways to attach each, best first. What works is learned by trying, never from
// versions; which of what works is best depends on one version, see programs_are_preempted().
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wirespan {

// One way to attach a hook: a program of the BPF object.
struct Candidate {
  const char* program;
  const char* needs;  // for people: what it takes
};

struct Hook {
  const char* name;
  const char* purpose;
  bool required;
  std::vector<Candidate> candidates;
  enum class Attached : std::uint8_t {
    kAlways,
    kPerExecutable,  // by capture/go_probes, python_probes and tokio_probes
    kOnDemand,       // while capture/turns finds somebody who needs it
  };
  Attached attached = Attached::kAlways;
};

// Two ways to see data move, best first. kSockets: tracepoints of the socket layer, paid by who uses sockets.
// kSyscalls: the end of every system call of the host.
enum class Plan : std::uint8_t { kSockets, kSyscalls };
inline constexpr std::array<Plan, 2> kPlans{Plan::kSockets, Plan::kSyscalls};
[[nodiscard]] std::string_view to_string(Plan plan);

// Since 7.0 the kernel runs other threads in the middle of a raw tracepoint's program, and skips the program for them.
// Attached by perf, which costs more, the same programs are not interrupted so (docs/adr/0014). Nothing in the kernel's
// types tells such kernels: known from the version.
[[nodiscard]] bool programs_are_preempted();

// `by_perf`: tracepoints by perf first, where that is of use; else not at all.
// `wakeups`: with the hook that sees threads wake each other.
// `goroutines`: with those that follow Go's. `contexts`: with those that follow Python's. `tokio`: of Rust's.
[[nodiscard]] std::vector<Hook> hooks_of(Plan plan, bool by_perf, bool wakeups, bool goroutines, bool contexts,
                                         bool tokio);

}  // namespace wirespan
