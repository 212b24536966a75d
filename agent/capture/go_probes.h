// Goroutines of traced Go processes: tells the kernel side where each process's runtime keeps them, and keeps uprobes
// on the functions of its executable that hand work over (kGoFunctions). Probes belong to an executable (device,
// inode) and stay while a traced process runs it; they end with the agent, however it ends.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "agent/capture/go_executable.h"
#include "agent/capture/mapped_file.h"
#include "agent/capture/runtime_kernel.h"
#include "agent/capture/runtime_watch.h"
#include "base/clock.h"
#include "base/counters.h"
#include "model/event.h"

namespace wirespan {

// One thread.
class GoProbes : public RuntimeWatch {
 public:
  GoProbes(RuntimeKernel& kernel, Counters& counters);

  // Reads the executable, 1 to 50 ms, once per executable.
  void found(std::uint32_t pid, BootTime now, LazyMaps& maps) override;
  void exited(std::uint32_t pid) override;
  void handed_over(const event::Handover& handover);
  // A goroutine read what may be a request; one wrote on a connection.
  void read(const event::Births& births);
  void wrote(const event::Data& data);
  // About ten times a second: processors of runtimes that were not up before; probes that are needed for a while.
  void sweep(BootTime now) override;
  // Where channels are watched since the last time this was asked, and where no longer (kWatched, kUnwatched).
  [[nodiscard]] std::vector<event::Handover> take_watched() { return std::exchange(watched_, {}); }

  [[nodiscard]] std::vector<std::string> describe() const override;

 private:
  struct Program {
    std::string name;  // of the file, for people
    GoExecutable executable;
    std::string refused;
    std::uint32_t processes = 0;
    std::array<int, kGoFunctions.size()> probes{};  // -1: not attached
    BootTime old_client_until{};
    // Channels are watched until it is known whether workers are fed by them, and while they do not cost too much.
    BootTime channels_since{};
    BootTime channels_not_before{};
    std::uint64_t channel_events = 0;
    std::uint32_t calls = 0;  // since calls_since
    BootTime calls_since{};
    std::uint32_t foreign_calls =
        0;  // by goroutines that neither read requests nor are children of such, or go on after one
  };
  struct Process {
    FileId file{};
    ws_go_process told{};
    std::uint64_t allp = 0;  // its address there
    BootTime asked{};
    unsigned searches = 0;                                // for allp
    std::unordered_map<std::uint64_t, bool> connections;  // client connections: is the goroutine that writes known?
    bool unknown_writer = false;
    std::unordered_map<std::uint64_t, std::uint32_t> readers;  // goroutines that read requests, and how often
    // Their children that make calls, and how often the parent had read at the first one.
    std::unordered_map<std::uint64_t, std::uint32_t> children;
    std::unordered_set<std::uint64_t> writers;  // of client connections
  };

  Program* program_of(std::uint32_t pid, const FileId& file, BootTime now);
  bool attach(std::uint32_t pid, Program& program, GoFunction::Use use);
  void detach(Program& program, GoFunction::Use use);
  static bool works_for_others(Process& process, const Actor& actor);
  void called(std::uint32_t pid, Process& process, const Actor& actor, BootTime now);
  void watch_channels(std::uint32_t pid, Program& program, BootTime now);
  void judge_channels(Program& program, BootTime now);
  // To all processes that run it.
  void tell(const Program& program, event::Handover::Role role, BootTime now);
  void ask_processors(std::uint32_t pid, Process& process, BootTime now);

  RuntimeKernel& kernel_;
  std::map<FileId, std::unique_ptr<Program>> programs_;
  std::set<FileId> others_;  // executables that are not Go's
  std::unordered_map<std::uint32_t, Process> processes_;
  std::vector<event::Handover> watched_;
  Counter& known_;
  Counter& refused_;
  Counter& probes_;
  Counter& failed_;
  Counter& too_busy_;
};

}  // namespace wirespan
