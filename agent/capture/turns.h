// Which traced processes run event loops that matter for links, so that the host pays for watching their turns only
// while one lives: those that both serve and call, and wait by epoll (ADR 10).
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "base/clock.h"
#include "model/event.h"
#include "model/turn.h"

namespace wirespan {

// One thread.
class Turns {
 public:
  // Until a loop has come round once, its thread looks like one without.
  static constexpr std::int64_t kFirstTurnNs = 50'000'000;

  struct Kernel {
    // Whether a process may wait by epoll; of one that is gone: no.
    std::function<bool(std::uint32_t pid)> may_loop;
    // Attaches, or detaches, the programs that count turns. False: they could not be.
    std::function<bool(bool on)> watch;
  };
  explicit Turns(Kernel kernel) : kernel_(std::move(kernel)) {}

  // Some process waits by epoll and may soon turn out to call others: counts for a while, so that its first calls are
  // understood as well.
  void expect(BootTime now);
  // A connection of a target came into use, turned out to be none we read, a process ended.
  void opened(const Connection& conn, BootTime now);
  void ignored(const Connection& conn);
  void exited(std::uint32_t pid);
  // Now and then: loops made later, loops gone.
  void sweep(BootTime now);

  // What may be believed of a thread's turn, as the kernel told it: kTurnUnknown while nobody counted.
  [[nodiscard]] std::uint32_t believed(std::uint32_t pid, BootTime time, std::uint32_t turn) const {
    return loops_ == 0 ? turn : believed_of_loops(pid, time, turn);
  }
  [[nodiscard]] bool watching() const { return watching_; }

 private:
  struct Process {
    std::uint32_t served = 0;  // connections
    std::uint32_t called = 0;
    bool loops = false;
    BootTime asked{};
  };

  [[nodiscard]] std::uint32_t believed_of_loops(std::uint32_t pid, BootTime time, std::uint32_t turn) const;
  void ask(std::uint32_t pid, Process& process, BootTime now);
  void set_loops(Process& process, bool loops);

  Kernel kernel_;
  std::unordered_map<std::uint32_t, Process> processes_;
  std::size_t loops_ = 0;
  bool watching_ = false;
  BootTime since_{};
  BootTime until_{};  // not detached before
};

}  // namespace wirespan
