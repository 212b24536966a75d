// Which request or which thread waits for which call, in Java processes that block no thread in the read of its
// response: finds the channels of their connections, learns from now and then a look at their objects which references
// lead from calls to requests, or to threads that wait (java_ways), and tells the kernel side to follow those
// (bpf/core/continuation.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/java_known_ways.h"
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
  JavaEnds ends;
};
// A look at its objects, some 10 to 100 ms. Whether anything was learned.
[[nodiscard]] bool look_for_ways(JavaLearning& learning, const ConnSides& sides);
// What takes longest of the first one, how objects of its classes lie, as soon as it serves: its first calls are to
// come.
void look_around(JavaLearning& learning, const ConnSides& sides);

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
  // Where a process's ways begin and end, when that is new, for ws_java_process.
  using Told = std::function<void(std::uint32_t pid, const JavaEnds&, const JavaHeap&)>;
  void sweep(BootTime now, const Told& told);
  // A look has ended, or the next is due where none has found ways yet: a JVM that has just begun to serve is learned
  // about while its first requests wait.
  [[nodiscard]] bool in_a_hurry(BootTime now) const;
  [[nodiscard]] std::vector<std::string> describe() const;

 private:
  static constexpr std::int64_t kFirstBetween = 100'000'000;
  static constexpr std::int64_t kBetweenTries = 20'000'000;  // until the first that finds ways
  static constexpr int kFirstChecks = 64;
  static constexpr int kFirstTries = 16;  // looks at a process, which may follow at once: some 0.15 s of CPU time each

  struct Known {
    std::shared_ptr<JavaLearning> learning;
    BootTime due{};
    std::int64_t between = kFirstBetween;
    int looks = 0;   // that found ways
    int tries = 0;   // looks, up to a number
    int checks = 0;  // of whether it has connections enough, up to a number
    int stale = 0;   // that brought nothing new, one after the other
    bool looked_around = false;
    bool talks = false;  // it was seen to have connections
    JavaKnownWays beforehand;
    BootTime classes_due{};
    int classes_looked = 0;
    JavaWays::Ways learned;  // so far, and what they must not follow
    JavaWays::Edges spoilers;
    JavaEnds ends;
    JavaWays::Ways ways;  // as they are told, all of them
    JavaEnds told_ends;
    std::vector<ws_java_class_of> told;  // to the kernel side
  };

  [[nodiscard]] bool looked() const {
    return look_.valid() && look_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  static bool tries(const Known& known) {
    return known.talks && known.looks == 0 && known.tries <= kFirstTries && known.checks <= kFirstChecks;
  }
  void finish(BootTime now, const Told& told);
  void begin(BootTime now);
  void look_at_classes(BootTime now, std::uint32_t pid, Known& known, const Told& told);
  static JavaWays::Ways beforehand(const Known& known);
  bool publish(std::uint32_t pid, Known& known, const Told& told);

  RuntimeKernel& kernel_;
  Sides sides_;
  std::unordered_map<std::uint32_t, Known> known_;
  std::shared_ptr<JavaLearning> looking_;  // at this one, now
  std::future<bool> look_;
  bool looking_around_ = false;
  std::uint64_t looking_us_ = 0;  // how long it took; the other thread's until look_ is ready
  BootTime not_before_{};
  Counter& looks_;
  Counter& learned_;
  Counter& took_;
};

}  // namespace wirespan
