// Which futures threads of a Java process work on and wait for, where its threads have others make their calls: tells
// the kernel side what to make of objects on their stacks (bpf/core/futures.h). No names but the JDK's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/java_machine.h"
#include "agent/capture/java_references.h"
#include "agent/capture/runtime_kernel.h"
#include "base/clock.h"

namespace wirespan {

// One thread.
class JavaFutures {
 public:
  // Where the kernel side is to look, or (asked: false) is not any more.
  using Tell = std::function<void(std::uint32_t pid, const JavaProcess& process, bool asked)>;

  JavaFutures(RuntimeKernel& kernel, Tell tell) : kernel_(kernel), tell_(std::move(tell)) {}

  void found(std::uint32_t pid, const JavaProcess& process);
  void exited(std::uint32_t pid);
  // Its threads may have others make their calls: what takes a while is done before it is sure. Like follow(), before
  // or after it was found.
  void prepare(std::uint32_t pid);
  // Its classes are to be looked at: they are loaded with its first requests.
  [[nodiscard]] bool in_a_hurry(BootTime now) const;
  // Whether they do.
  void follow(std::uint32_t pid, bool wanted);
  // Now and then: classes loaded since. Some 20 ms the first time.
  void sweep(BootTime now);
  [[nodiscard]] std::vector<std::string> describe() const;

 private:
  struct Known {
    JavaProcess process;
    JavaLayouts layouts;
    std::map<std::uint64_t, std::uint64_t> newest;  // class of each loader's
    std::vector<ws_java_class_of> told;
    std::size_t futures = 0;  // of these
    std::size_t tasks = 0;
    BootTime looked{};
    int looks = 0;
    std::int64_t between = 0;

    [[nodiscard]] bool any() const { return futures + tasks != 0; }
  };

  [[nodiscard]] bool due(std::uint32_t pid, const Known& known, BootTime now) const;
  void look(std::uint32_t pid, Known& known);
  void forget(Known& known);

  RuntimeKernel& kernel_;
  Tell tell_;
  std::unordered_map<std::uint32_t, Known> known_;
  std::unordered_map<std::uint32_t, bool> wanted_;  // false: perhaps
};

// What objects of a class are to whoever looks for futures. Asked only about classes the process has.
class JavaKinds {
 public:
  JavaKinds(const JavaObjects& objects, JavaReferences& references) : objects_(objects), references_(references) {}

  // False: nothing.
  [[nodiscard]] bool kind_of(std::uint64_t named, const std::string& name, ws_java_kind& kind);

 private:
  bool add(std::uint64_t named, const char* field, ws_java_kind& kind) const;

  const JavaObjects& objects_;
  JavaReferences& references_;
};

}  // namespace wirespan
