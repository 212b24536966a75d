// Virtual threads of traced Java processes: tells the kernel side where each JVM keeps which one a carrier runs.
// Nothing is attached to the process.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/java_machine.h"
#include "agent/capture/mapped_file.h"
#include "agent/capture/runtime_kernel.h"
#include "base/clock.h"
#include "base/counters.h"

namespace wirespan {

// One thread.
class JavaThreads {
 public:
  JavaThreads(RuntimeKernel& kernel, Counters& counters);

  // A traced process, at first sight and after each exec.
  void found(std::uint32_t pid, BootTime now);
  void exited(std::uint32_t pid);
  // About ten times a second. libjvm is mapped, and its threads begun, some time after a process began.
  void sweep(BootTime now);

  // One line for each Java process: what is known of it, or why nothing is.
  [[nodiscard]] std::vector<std::string> describe() const;

 private:
  struct Process {
    BootTime since{};
    std::size_t looks = 0;
    bool machine = false;  // it has mapped a libjvm
    bool known = false;
    std::uint64_t start = 0;  // of the libjvm it is known by
    std::uint64_t inode = 0;
    bool refused = false;  // for good
    std::string why;       // it is not known
  };

  void look(std::uint32_t pid, Process& process);
  void forget(std::uint32_t pid, Process& process);

  RuntimeKernel& kernel_;
  ReadFiles<JavaSymbols> libraries_;
  std::unordered_map<std::uint32_t, Process> processes_;
  Counter& known_;
  Counter& refused_;
};

// For people, of any process: "" when it is no JVM, else whether its virtual threads can be seen and why not.
[[nodiscard]] std::string describe_java(std::uint32_t pid);

}  // namespace wirespan
