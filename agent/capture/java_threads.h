// Virtual threads and contexts of Vert.x in traced Java processes, and what their calls lead to: tells the kernel side
// where each JVM keeps which of them a thread runs. Nothing is attached to the process.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/java_contexts.h"
#include "agent/capture/java_continuations.h"
#include "agent/capture/java_futures.h"
#include "agent/capture/java_machine.h"
#include "agent/capture/mapped_runtime.h"
#include "agent/capture/runtime_kernel.h"

namespace wirespan {

// One thread.
class JavaThreads : public MappedRuntime {
 public:
  JavaThreads(RuntimeKernel& kernel, Counters& counters, JavaContinuations::Sides sides);

  void sweep(BootTime now) override;
  [[nodiscard]] bool in_a_hurry(BootTime now) const override {
    return futures_.in_a_hurry(now) || (wanted_ && continuations_.in_a_hurry(now));
  }
  [[nodiscard]] std::vector<std::string> describe() const override;

  // False: what calls lead to is neither learned nor followed, futures are not looked for, and neither costs anything,
  // until it is true again.
  void follow(bool continuations, bool futures);
  // Whether the process's threads may have others make their calls, and whether they do: then what they work on and
  // wait for is looked at.
  void may_hand_over(std::uint32_t pid) { futures_.prepare(pid); }
  void hands_over(std::uint32_t pid, bool on) { futures_.follow(pid, on); }
  // Whether it is a JVM whose objects can be read.
  [[nodiscard]] bool knows(std::uint32_t pid) const { return known_.contains(pid); }

  [[nodiscard]] JavaContexts& contexts() { return contexts_; }

 private:
  struct Known {
    JavaProcess process;
    BootTime since{};   // found, or its contexts were
    BootTime looked{};  // for contexts and channels
    bool settled = false;
    std::string why;  // not all is seen, for people
  };

  void tell(std::uint32_t pid, const ws_java_process& where);
  void look_for_contexts(std::uint32_t pid, Known& known, BootTime now);
  [[nodiscard]] MappedFile mapping_of(std::uint32_t pid, const std::string& maps) const override;
  [[nodiscard]] Status understand(std::uint32_t pid, const std::string& maps, const MappedFile& mapping) override;
  [[nodiscard]] std::string nothing_because(std::uint32_t pid) const override;
  void release(std::uint32_t pid) override;

  RuntimeKernel& kernel_;
  ReadFiles<JavaSymbols> libraries_;
  JavaContexts contexts_;
  JavaContinuations continuations_;
  JavaFutures futures_;
  bool wanted_ = true;  // what those lead to
  bool futures_wanted_ = true;
  std::unordered_map<std::uint32_t, Known> known_;
};

// For people, of any process: "" when it is no JVM, else whether its virtual threads can be seen and why not.
[[nodiscard]] std::string describe_java(std::uint32_t pid);
// The same of Vert.x's contexts: "" when it has no thread of Vert.x's.
[[nodiscard]] std::string describe_vertx(std::uint32_t pid);

}  // namespace wirespan
