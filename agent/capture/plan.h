// What has to be attached, and the ways to attach each, best first. What works is learned by trying, never from
// versions.
#pragma once

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
  bool per_executable = false;  // loaded, then attached by capture/go_probes and python_probes
};

// `wakeups`: with the hook that sees threads wake each other.
// `goroutines`: with those that follow Go's. `contexts`: with those that follow Python's.
[[nodiscard]] std::vector<Hook> hooks_of_plan(bool wakeups, bool goroutines, bool contexts);

}  // namespace wirespan
