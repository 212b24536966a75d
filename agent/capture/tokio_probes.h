// Tasks of traced processes that run Rust's tokio: tells the kernel side where each keeps the running one, and keeps
// probes on the functions that wake and begin tasks, in traced processes only. They end with the process, or with the
// agent, however it ends.
//
// Where in its thread-locals a process names the running task differs with every build. Its code says so, where the
// function that sets it was not inlined away; and the first wake-ups, as the one word that is, again and again, the
// number of a task that was woken before. Where both tell and disagree, the process is left alone.
//
// The worker threads of a runtime are tasks as well, begun one after the other before all others, and what the driver
// finds ready it wakes in their name: half of all wake-ups. They are found as those whom nobody wakes, and are then no
// longer told.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/capture/mapped_file.h"
#include "agent/capture/runtime_kernel.h"
#include "agent/capture/runtime_watch.h"
#include "agent/capture/tokio_executable.h"
#include "agent/capture/tokio_wakes.h"
#include "base/clock.h"
#include "base/counters.h"
#include "model/event.h"

namespace wirespan {

// One thread.
class TokioProbes : public RuntimeWatch {
 public:
  TokioProbes(RuntimeKernel& kernel, Counters& counters);

  void found(std::uint32_t pid, BootTime now, LazyMaps& maps) override;
  void exited(std::uint32_t pid) override;
  void sweep(BootTime now) override;
  [[nodiscard]] std::vector<std::string> describe() const override;

  // A task woke or began another.
  void handed_over(const event::Handover& handover);
  // One sent or received.
  void moved(const event::Data& data);
  // False: nothing is probed nor told, and costs nothing, until it is true again.
  void follow(bool wanted);

 private:
  enum class State : std::uint8_t { kNothing, kLearns, kKnown, kRefused };
  struct Process {
    BootTime since{};
    std::size_t looks = 0;
    State state = State::kNothing;
    MappedFile mapping;
    std::string version;
    std::string why;  // it is not known
    ws_tokio_process told{};
    std::vector<std::uint64_t> wakes_by_value;
    std::vector<std::uint64_t> wakes_by_reference;
    std::vector<std::uint64_t> spawns;
    std::vector<std::uint64_t> spawns_blocking;
    std::vector<std::uint64_t> replies;
    std::vector<std::uint64_t> gets;
    std::vector<std::uint64_t> lets_go;
    std::vector<int> probes;
    std::vector<int> by_value;  // come and go
    std::vector<int> of_jobs;   // as well
    std::vector<int> learning;
    bool watched = false;
    bool paused = false;  // it was watched before nothing was wanted any more
    TokioWakes needed;    // once the driver is known
    // Until it is known in whose name the driver wakes tasks: who was woken or begun, and how often others woke.
    std::uint32_t wakes_seen = 0;
    std::unordered_set<std::uint64_t> known;
    std::unordered_map<std::uint64_t, std::uint32_t> unknown;
  };

  void look(std::uint32_t pid, Process& process, LazyMaps& maps);
  void understand(std::uint32_t pid, Process& process);
  void learn(std::uint32_t pid, Process& process);
  void watch(std::uint32_t pid, Process& process);
  void find_driver(std::uint32_t pid, Process& process);
  void tell_by_value(std::uint32_t pid, Process& process, bool tell);
  void tell_jobs(std::uint32_t pid, Process& process, bool tell);
  void forget(std::uint32_t pid, Process& process);
  void refuse(std::uint32_t pid, Process& process, std::string why);
  // False: one could not be attached, and all are gone.
  bool attach(std::uint32_t pid, Process& process, const char* program, const std::vector<std::uint64_t>& offsets,
              std::vector<int>& probes);
  void detach(std::vector<int>& probes);

  RuntimeKernel& kernel_;
  ReadFiles<TokioExecutable> executables_;
  std::unordered_map<std::uint32_t, Process> processes_;
  bool wanted_ = true;
  BootTime due_{};  // when sweep() has something to do
  Counter& known_;
  Counter& refused_;
  Counter& probes_;
  Counter& failed_;
};

// For people, of any process: "" when there is no tokio in it, else whether its tasks can be seen and why not.
[[nodiscard]] std::string describe_tokio(std::uint32_t pid);

}  // namespace wirespan
