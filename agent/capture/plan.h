// What has to be attached, and the ways to attach each, best first. What works is learned by trying, never from
// versions, but for what is run in the middle of programs: see capture/preemption.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/capture/preemption.h"

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
    kForWakes,       // while capture/handovers does
    kAtFirst,        // for some minutes
  };
  Attached attached = Attached::kAlways;
};

// Ways to see data move, best first. kSockets: tracepoints of the socket layer, paid by who uses sockets. kFunctions:
// the functions that move bytes through stream sockets, when they return; paid by who calls them. kSyscalls: the end of
// every system call of the host.
enum class Plan : std::uint8_t { kSockets, kFunctions, kSyscalls };
inline constexpr std::array<Plan, 3> kPlans{Plan::kSockets, Plan::kFunctions, Plan::kSyscalls};
[[nodiscard]] std::string_view to_string(Plan plan);

// "": the plan may be tried on this kernel. Else why it would not work though the kernel took its programs.
[[nodiscard]] std::string why_not(Plan plan);

// What is followed besides processes, connections and bytes, and how.
struct Following {
  bool by_perf = false;        // tracepoints first by perf, where that is of use; else not at all
  bool wakeups = false;        // threads that wake each other, where some have others make their calls: event::Wake
  bool goroutines = false;     // Go: uprobes on net/http's client and on channels, two user reads an event
  bool contexts = false;       // Python: uprobes; Java's virtual threads: none; a few user reads an event
  bool async_ids = false;      // Node: uprobes, a user read an event
  bool errands = false;        // Python: uprobes on the queue of pools
  bool continuations = false;  // with contexts. Asynchronous Java: 200 user reads a response
  bool futures = false;        // with contexts and wakeups. Java's pools: 100 user reads a call and a thread that waits
  bool tokio = false;          // Rust: uprobes at each wake-up of a task, a user read an event
};
// All there is, in the way that is best on this kernel.
[[nodiscard]] Following everything_followed();

[[nodiscard]] std::vector<Hook> hooks_of(Plan plan, const Following& follow);

}  // namespace wirespan
