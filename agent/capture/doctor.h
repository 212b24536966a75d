// What this kernel lets the agent do, learned by doing it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wirespan {

struct Finding {
  std::string subject;  // "kernel", "btf", "capabilities", ...
  std::string text;     // what was found
  bool ok = true;
  std::string todo;  // what to do about it, "" when ok
};

struct Attempt {
  std::string plan;  // "" for hooks of every plan, else the plans' names, by comma
  std::string hook;
  std::string purpose;
  std::string program;
  std::string needs;
  bool required = false;
  bool works = false;
  bool chosen = false;
  std::uint64_t instructions = 0;  // the verifier went through to accept it
  std::string why_not;             // the kernel's words
};

struct Diagnosis {
  std::vector<Finding> findings;
  std::vector<Attempt> attempts;
  std::string plan;  // the one that is used, "" when none works
  // Some plan has a way that works for each hook it requires.
  [[nodiscard]] bool can_trace() const;
};

// What can be seen without loading anything: kernel, BTF, capabilities, lockdown.
[[nodiscard]] std::vector<Finding> look_around();

// Loads, attaches and detaches every program there is; traces nothing. Takes a second.
[[nodiscard]] Diagnosis diagnose();

}  // namespace wirespan
