// The asynchronous contexts of traced Node processes: tells the kernel side where each keeps its async ids, and probes
// it where its event loop does something no socket tells of. Main threads only: workers have ids of their own.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/mapped_file.h"
#include "agent/capture/node_executable.h"
#include "agent/capture/node_memory.h"
#include "agent/capture/runtime_kernel.h"
#include "base/clock.h"
#include "base/counters.h"

namespace wirespan {

// One thread.
class NodeProbes {
 public:
  NodeProbes(RuntimeKernel& kernel, Counters& counters);

  // A traced process, at first sight and after each exec.
  void found(std::uint32_t pid, BootTime now);
  void exited(std::uint32_t pid);
  // About ten times a second. The ids are there some time after a process began.
  void sweep(BootTime now);

  // One line for each Node process: what is known of it, or why nothing is.
  [[nodiscard]] std::vector<std::string> describe() const;

 private:
  struct Process {
    BootTime since{};
    std::size_t looks = 0;
    bool node = false;
    bool known = false;
    std::uint64_t start = 0;  // of the file it is known by
    std::uint64_t inode = 0;
    bool refused = false;  // for good
    std::string why;       // it is not known
    std::vector<int> probes;
  };

  void look(std::uint32_t pid, Process& process);
  void forget(std::uint32_t pid, Process& process);
  [[nodiscard]] Status attach(std::uint32_t pid, Process& process, const std::string& path,
                              const NodeExecutable& executable);

  RuntimeKernel& kernel_;
  ReadFiles<NodeExecutable> executables_;
  std::unordered_map<std::uint32_t, Process> processes_;
  Counter& known_;
  Counter& refused_;
  Counter& probes_;
};

// For people, of any process: "" when it is no Node, else whether its async ids can be seen and why not.
[[nodiscard]] std::string describe_node(std::uint32_t pid);

}  // namespace wirespan
