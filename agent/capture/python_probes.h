// Contexts of traced Python processes: tells the kernel side where each interpreter keeps them, and keeps probes on the
// functions that make new ones; and on those through which threads hand each other work. In traced processes only
// (other processes of the same interpreter pay nothing). They end with the process, or with the agent, however it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/capture/mapped_file.h"
#include "agent/capture/python_executable.h"
#include "agent/capture/python_queue.h"
#include "agent/capture/runtime_kernel.h"
#include "agent/capture/runtime_watch.h"
#include "base/counters.h"

namespace wirespan {

// Where the interpreter's code lies in a process.
struct PythonMapping : MappedFile {
  std::string name;  // of the file, for people
  bool gevent = false;
  MappedFile queue;  // the library that has SimpleQueue, where that is one
};

// libpython where it is mapped, else the executable where that is called python. From /proc/PID/maps, whose text is
// `maps`. An empty path: neither (yet).
[[nodiscard]] PythonMapping python_mapping(std::uint32_t pid, const std::string& maps);

// One thread.
class PythonProbes : public RuntimeWatch {
 public:
  // What is followed: contexts, and work handed to other threads.
  struct Follow {
    bool contexts = true;
    bool errands = true;
  };
  PythonProbes(RuntimeKernel& kernel, Counters& counters, Follow follow);

  void found(std::uint32_t pid, BootTime now, LazyMaps& maps) override;
  void exited(std::uint32_t pid) override;
  void used(std::uint32_t pid) override;
  // About ten times a second. Libraries are mapped, and gevent imported, some time after a process began.
  void sweep(BootTime now) override;
  // Whether work handed to pools is followed now, where it is at all.
  void follow_errands(bool wanted) { wanted_ = wanted; }
  // Where that begins and ends for a process, to be told before what happens from now on.
  [[nodiscard]] std::vector<event::Handover> take_watched() { return std::exchange(watched_, {}); }
  // The kernel side had no room for a context.
  void contexts_full() { kernel_.forget_python_contexts(); }

  [[nodiscard]] std::vector<std::string> describe() const override;

 private:
  struct Process {
    BootTime since{};
    std::size_t looks = 0;
    std::string name;
    std::string refused;
    std::uint64_t start = 0;
    std::uint64_t inode = 0;
    unsigned minor = 0;
    ws_python_process told{};
    int probes = -1;   // -1: none
    MappedFile queue;  // that has SimpleQueue, as far as is known
    std::uint32_t handed = 0;
    BootTime rests{};  // until then its queues are left alone
    bool rested = false;
    int gives = -1;
    int takes = -1;
    std::string queue_refused;
    bool used = false;
    bool waits = false;       // to be used
    std::uint64_t pages = 0;  // of address space, at the last look
  };

  void look(std::uint32_t pid, Process& process, LazyMaps& maps);
  void look_again(std::uint32_t pid, Process& process);
  void understand(std::uint32_t pid, Process& process, const PythonMapping& mapping);
  void look_at_queue(std::uint32_t pid, Process& process, const PythonMapping& mapping);
  void probe_queue(std::uint32_t pid, Process& process);
  void leave_queue(Process& process);
  // About once a second.
  void judge_queues(BootTime now);
  void tell(std::uint32_t pid, event::Handover::Role role, BootTime now);
  void forget(std::uint32_t pid, Process& process);

  RuntimeKernel& kernel_;
  const Follow follow_;
  ReadFiles<PythonExecutable> executables_;
  ReadFiles<PythonQueue> queues_;
  std::unordered_map<std::uint32_t, Process> processes_;
  std::uint32_t generation_ = 0;
  bool wanted_ = true;
  BootTime judged_{};
  std::vector<event::Handover> watched_;
  BootTime due_{};  // when the first process is to be looked at again
  Counter& known_;
  Counter& refused_;
  Counter& probes_;
  Counter& failed_;
  Counter& too_busy_;
};

// For people, of any process: "" when it is no Python, else whether its tasks can be seen and why not.
[[nodiscard]] std::string describe_python(std::uint32_t pid);

}  // namespace wirespan
