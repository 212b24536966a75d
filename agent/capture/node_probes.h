// The asynchronous contexts of traced Node processes: tells the kernel side where each keeps its async ids, and probes
// it where its event loop does something no socket tells of. Main threads only: workers have ids of their own.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/mapped_runtime.h"
#include "agent/capture/node_executable.h"
#include "agent/capture/node_memory.h"
#include "agent/capture/runtime_kernel.h"

namespace wirespan {

// One thread.
class NodeProbes : public MappedRuntime {
 public:
  NodeProbes(RuntimeKernel& kernel, Counters& counters);

 private:
  [[nodiscard]] MappedFile mapping_of(std::uint32_t pid, const std::string& maps) const override;
  [[nodiscard]] Status understand(std::uint32_t pid, const std::string& maps, const MappedFile& mapping) override;
  [[nodiscard]] bool waits_for_use() const override { return probes_of_.size() >= kProbedUnused; }
  void release(std::uint32_t pid) override;
  [[nodiscard]] Status attach(std::uint32_t pid, const std::string& path, const NodeExecutable& executable);

  RuntimeKernel& kernel_;
  ReadFiles<NodeExecutable> executables_;
  std::unordered_map<std::uint32_t, std::vector<int>> probes_of_;  // by process
  Counter& probes_;
};

// For people, of any process: "" when it is no Node, else whether its async ids can be seen and why not.
[[nodiscard]] std::string describe_node(std::uint32_t pid);

}  // namespace wirespan
