// Queues of work that Python programs make of collections.deque: queue.Queue, asyncio.Queue, and those of their own.
// Deques are used for much else, an event loop's callbacks among it, and a probe sees them all. So a process is tried
// when it is first used: which of its deques carry work (capture/work_queues)? Those are followed, and where there are
// none it is left alone until it makes calls of which nobody knows for whom they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "agent/capture/mapped_file.h"
#include "agent/capture/python_queue.h"
#include "agent/capture/runtime_kernel.h"
#include "agent/capture/runtime_watch.h"
#include "agent/capture/work_queues.h"
#include "base/counters.h"
#include "model/event.h"

namespace wirespan {

// One thread.
class PythonDeques : public RuntimeWatch {
 public:
  PythonDeques(RuntimeKernel& kernel, Counters& counters);

  void found(std::uint32_t pid, BootTime now, LazyMaps& maps) override;
  void exited(std::uint32_t pid) override;
  void used(std::uint32_t pid) override;
  void sweep(BootTime now) override;
  // A context was born; bytes moved; something went into or came out of a queue.
  void born(const event::Lineage& lineage);
  void moved(const event::Data& data);
  void handed_over(const event::Handover& handover);
  // Whether deques are to be followed now.
  void follow(bool wanted) { wanted_ = wanted; }
  // Where what is told of a process's queues begins anew, to be told before what happens from now on.
  [[nodiscard]] std::vector<event::Handover> take_watched() { return std::exchange(watched_, {}); }

  [[nodiscard]] std::vector<std::string> describe() const override;

 private:
  enum class State : std::uint8_t { kUnused, kIdle, kTried, kFollows };
  struct Process {
    State state = State::kUnused;
    MappedFile file;  // that holds the interpreter
    std::string refused;
    BootTime since{};  // this state
    int appends = -1;
    int pops = -1;
    WorkQueues work;
    std::unordered_set<std::uint64_t> on_errands;  // threads and contexts
    bool tried = false;
    std::uint32_t served = 0;     // messages of requests and answers, since it is tried
    std::uint32_t strangers = 0;  // what was sent by those of whom nobody knows for whom
    std::int64_t rest_ns = 0;     // in which it is not tried again
    std::uint32_t operations = 0;
  };

  [[nodiscard]] const Result<PythonDeque>& deque_of(const MappedFile& file);
  void try_it(std::uint32_t pid, Process& process, BootTime now);
  void stop(std::uint32_t pid, Process& process);
  void leave(std::uint32_t pid, Process& process, BootTime now, std::int64_t rest_ns);
  void tell(std::uint32_t pid, Process& process, std::uint32_t looks);
  void changed(Process& process, WorkQueues::Change change, std::uint32_t pid, BootTime now);
  void forget_given(std::uint32_t pid, BootTime now);
  void judge(std::uint32_t pid, Process& process, BootTime now, std::int64_t elapsed);

  RuntimeKernel& kernel_;
  ReadFiles<PythonDeque> files_;
  std::unordered_map<std::uint32_t, Process> processes_;
  std::vector<event::Handover> watched_;
  BootTime swept_{};
  bool wanted_ = true;
  Counter& followed_;
  Counter& tried_;
  Counter& failed_;
  Counter& too_busy_;
};

}  // namespace wirespan
