// Which request or which thread waits for which call, in Java processes that block no thread in the read of its
// response: finds the channels of their connections, learns from now and then a look at their objects which references
// lead from calls to requests, or to threads that wait (java_ways), and tells the kernel side to follow those
// (bpf/core/continuation.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/java_machine.h"
#include "agent/capture/java_references.h"
#include "agent/capture/java_ways.h"
#include "agent/capture/runtime_kernel.h"
#include "base/clock.h"
#include "base/counters.h"
#include "model/event.h"

namespace wirespan {

// Of a process's connections, by the inode of their sockets.
using ConnSides = std::unordered_map<std::uint64_t, TcpSide>;

// A process that is learned about. Of one thread at a time.
struct JavaLearning {
  std::uint32_t pid = 0;
  JavaProcess process;
  JavaWays ways;
  JavaLayouts layouts;
  std::uint64_t channel = 0;  // class of channels, once it is loaded
  std::uint16_t socket = 0;   // in it: what has the descriptor; 0: it does itself
  std::uint16_t descriptor = 0;
  // Classes of what names a thread that waits, and the field that does. Of the JDK's: they are never unloaded.
  std::unordered_map<std::uint32_t, std::uint16_t> waiters;
  std::uint16_t handle = 0;  // in java.lang.Thread: its JavaThread
  std::uint16_t number = 0;  // in it: its number
};
// A look at its objects, some 10 to 100 ms. Whether anything was learned.
[[nodiscard]] bool look_for_ways(JavaLearning& learning, const ConnSides& sides);

// One thread; what takes long is done in another, one process at a time.
class JavaContinuations {
 public:
  // sides: asked for in sweep(), for a process's connections.
  using Sides = std::function<ConnSides(std::uint32_t pid)>;
  JavaContinuations(RuntimeKernel& kernel, Counters& counters, Sides sides);
  ~JavaContinuations();
  JavaContinuations(const JavaContinuations&) = delete;
  JavaContinuations& operator=(const JavaContinuations&) = delete;

  void found(std::uint32_t pid, const JavaProcess& process);
  void exited(std::uint32_t pid);
  // told: where a process's channels are, when that is new, for ws_java_process.
  void sweep(BootTime now, const std::function<void(std::uint32_t pid, const JavaLearning&)>& told);
  [[nodiscard]] std::vector<std::string> describe() const;

 private:
  struct Known {
    std::shared_ptr<JavaLearning> learning;
    BootTime due{};
    std::int64_t between = 0;
    int looks = 0;                       // that found ways
    int tries = 0;                       // looks, up to a number
    int stale = 0;                       // that brought nothing new, one after the other
    JavaWays::Ways ways;                 // as they are told
    std::size_t waiters = 0;             // of these
    std::vector<ws_java_class_of> told;  // to the kernel side
  };

  void finish(BootTime now, const std::function<void(std::uint32_t pid, const JavaLearning&)>& told);
  void begin(BootTime now);
  bool publish(std::uint32_t pid, Known& known);

  RuntimeKernel& kernel_;
  Sides sides_;
  std::unordered_map<std::uint32_t, Known> known_;
  std::shared_ptr<JavaLearning> looking_;  // at this one, now
  std::future<bool> look_;
  std::uint64_t looking_us_ = 0;  // how long it took; the other thread's until look_ is ready
  BootTime not_before_{};
  Counter& looks_;
  Counter& learned_;
  Counter& took_;
};

}  // namespace wirespan
