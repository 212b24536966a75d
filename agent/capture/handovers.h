// Which traced processes have threads that read requests and others that make calls for them, so that the host pays for
// watching who wakes whom only while one lives (ADR 21). Not event loops, which serve several at a time: nobody waits
// there. Nor do threads in asynchronous programs, but what a pool works on may be told without wake-ups (ADR 22).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "base/clock.h"
#include "base/counters.h"
#include "model/event.h"

namespace wirespan {

// One thread.
class Handovers {
 public:
  enum class Watch : std::uint8_t { kNothing, kTasks, kTasksAndWakes };
  struct Kernel {
    // Whether anything is known of the process that tells its threads' work better, or wakes would tell nothing of.
    std::function<bool(std::uint32_t pid)> told_otherwise;
    // Whether what its threads work on can be told.
    std::function<bool(std::uint32_t pid)> names_tasks;
    // From now on.
    std::function<void(std::uint32_t pid, Watch what)> watch;
    // It may come to that: what takes a while can be done before.
    std::function<void(std::uint32_t pid)> prepare;
  };
  Handovers(Kernel kernel, Counters& counters);

  // A connection of a target came into use, bytes moved, a thread woke another, a process ended.
  void opened(const Connection& conn);
  void moved(const event::Data& data) {
    if (looked_at_ != 0) look(data);
  }
  void woken(const event::Wake& wake);
  // Whose call a response is was read from the process's own objects, before the response is told.
  void led(const event::Leads& leads);
  void exited(std::uint32_t pid);
  // Now and then: processes that may have changed their ways, and those that wake too often.
  void sweep(BootTime now);

 private:
  enum class State : std::uint8_t { kLookedAt, kWatched, kLeft };
  struct Thread {
    bool reads = false;  // requests
    bool answers = false;
    ConnId serves{};  // whose request it has read and not answered
    std::uint32_t overlaps = 0;
    std::uint32_t calls = 0;
  };
  struct Process {
    State state = State::kLookedAt;
    Watch watched = Watch::kNothing;
    bool serves = false;
    bool calls = false;
    std::unordered_map<std::uint32_t, Thread> threads;
    bool reads = false;          // one of them does
    std::uint32_t overlaps = 0;  // requests read by who had another to answer
    std::uint32_t answers = 0;   // pieces of them
    std::uint32_t calls_seen = 0;
    std::uint32_t by_others = 0;  // than threads that read requests
    // While watched, now and then: whether wake-ups are needed at all.
    bool checked = false;
    BootTime check_due{};
    std::int64_t between_checks_ns = 0;
    std::unordered_set<ConnId> asked;  // connections on which a response is due
    std::uint32_t responses = 0;
    std::uint32_t explained = 0;
    std::uint64_t wakes = 0;  // since the last sweep
    BootTime until{};         // left until then
    std::int64_t rest_ns = 0;
  };

  void look(const event::Data& data);
  void check(std::uint32_t pid, Process& process, const event::Data& data);
  void set_checked(Process& process, bool checked);
  [[nodiscard]] Watch wanted(std::uint32_t pid, const Process& process) const;
  static Thread* thread(Process& process, std::uint32_t tid);
  [[nodiscard]] static bool reads(const Process& process, std::uint32_t tid);
  void watch(std::uint32_t pid, Process& process, Watch what);
  void set_state(std::uint32_t pid, Process& process, State state, Watch watched = Watch::kNothing);
  void leave(std::uint32_t pid, Process& process, BootTime now);

  Kernel kernel_;
  std::unordered_map<std::uint32_t, Process> processes_;
  std::size_t looked_at_ = 0;
  BootTime swept_{};
  Counter& watched_;
  Counter& too_many_;
};

}  // namespace wirespan
