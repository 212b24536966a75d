// Uprobes of one BPF program at several places of a file: by one link where the kernel has links for that, else by a
// perf event and a link for each place.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

struct bpf_link;
struct bpf_program;

namespace wirespan {

// Whether one link can hold many uprobes and look at one process only (Linux 6.6; until 6.10 it looked at one thread,
// which will not do). Known by trying. Programs for such a link have to be loaded for it: prepare_for_one_link().
[[nodiscard]] bool kernel_has_uprobe_multi();
void prepare_for_one_link(bpf_program* program);

// Attached until destroyed. That waits until nothing on the host can still be running the program: for each link one or
// two of the kernel's grace periods, milliseconds, on a busy host seconds.
class Uprobes {
 public:
  // pid 0: in all processes that run the file. One link: the program was prepared for it.
  [[nodiscard]] static Result<Uprobes> attach(const bpf_program* program, bool one_link, const std::string& path,
                                              std::span<const std::uint64_t> offsets, std::uint32_t pid);
  Uprobes() = default;
  ~Uprobes();
  Uprobes(Uprobes&& other) noexcept;
  Uprobes& operator=(Uprobes&& other) noexcept;

 private:
  std::vector<bpf_link*> links_;
  int one_ = -1;  // a descriptor
};

// Destroys uprobes on threads of its own, some at a time, so that who reads events need not wait: waits of several
// threads are answered by the same grace period. The destructor waits for all.
class UprobeDetacher {
 public:
  UprobeDetacher() = default;
  ~UprobeDetacher();
  UprobeDetacher(const UprobeDetacher&) = delete;
  UprobeDetacher& operator=(const UprobeDetacher&) = delete;

  // Before begin() they wait: a thread from before the rights were dropped would keep them.
  void detach(Uprobes probes);
  void begin();
  // Returns when all are.
  void finish();

 private:
  void start_thread();  // with the lock held, if one more may be
  void work();

  std::mutex mutex_;
  std::condition_variable done_;
  std::deque<Uprobes> waiting_;
  std::size_t threads_ = 0;
  bool begun_ = false;
};

}  // namespace wirespan
