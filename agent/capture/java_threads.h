// Virtual threads of traced Java processes: tells the kernel side where each JVM keeps which one a carrier runs.
// Nothing is attached to the process.
#pragma once

#include <cstdint>
#include <string>

#include "agent/capture/java_machine.h"
#include "agent/capture/mapped_runtime.h"
#include "agent/capture/runtime_kernel.h"

namespace wirespan {

// One thread.
class JavaThreads : public MappedRuntime {
 public:
  JavaThreads(RuntimeKernel& kernel, Counters& counters);

 private:
  [[nodiscard]] MappedFile mapping_of(std::uint32_t pid, const std::string& maps) const override;
  [[nodiscard]] Status understand(std::uint32_t pid, const std::string& maps, const MappedFile& mapping) override;
  void release(std::uint32_t pid) override;

  RuntimeKernel& kernel_;
  ReadFiles<JavaSymbols> libraries_;
};

// For people, of any process: "" when it is no JVM, else whether its virtual threads can be seen and why not.
[[nodiscard]] std::string describe_java(std::uint32_t pid);

}  // namespace wirespan
