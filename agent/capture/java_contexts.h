// Numbers for Java objects that name who is worked for (WS_TASK_OBJECT). Such an object is known by its address, which
// holds until the next collection of garbage. A collector that stops the program to move objects leaves behind, where
// each one was, where it went (markWord.hpp: the two lowest bits set): read soon after, before that place is used
// again, the object is known again and keeps its number. What cannot be found again gets another one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "agent/capture/java_objects.h"
#include "base/counters.h"

namespace wirespan {

// One thread. Bounded memory.
class JavaContexts {
 public:
  explicit JavaContexts(Counters& counters);

  void found(std::uint32_t pid, const JavaHeap& heap);
  void exited(std::uint32_t pid) { processes_.erase(pid); }

  // Of what the kernel side read, in the order it did: a task that is_context(). 0: of a process that was not found.
  [[nodiscard]] std::uint64_t number(std::uint32_t pid, std::uint64_t task);

 private:
  using Numbers = std::unordered_map<std::uint64_t, std::uint64_t>;  // by address
  // Those used lately.
  struct Known {
    Numbers young;
    Numbers old;
  };
  struct Process {
    JavaHeap heap;
    std::uint32_t collections = 0;
    Known now;
    Known before;  // the last collection: some records come late
  };

  void collected(std::uint32_t pid, Process& process, std::uint32_t collections);
  std::uint64_t number_in(Known& known, std::uint64_t address);

  std::unordered_map<std::uint32_t, Process> processes_;
  std::uint64_t last_ = 0;  // given out
  Counter& moved_;
  Counter& ended_;
};

}  // namespace wirespan
