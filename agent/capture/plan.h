// What has to be attached, and the ways to attach each, best first. What works is learned by trying, never from
// versions.
#pragma once

#include <array>
#include <cstdint>
#include <span>
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
  std::span<const Candidate> candidates;
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

// `wakeups`: with the hook that sees threads wake each other.
// `goroutines`: with those that follow Go's. `contexts`: with those that follow Python's. `tokio`: of Rust's.
[[nodiscard]] std::vector<Hook> hooks_of(Plan plan, bool wakeups, bool goroutines, bool contexts, bool tokio);

}  // namespace wirespan
