// What threads were given to do by others, one piece of work after the other (Python's pools), and tasks of an event
// loop by theirs: on whose behalf each of them works now.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/generations.h"
#include "model/event.h"

namespace wirespan {

struct Errand {
  std::uint32_t pid = 0;
  BootTime taken{};
  std::uint64_t node = 0;  // the request that the giver worked for; 0: not known, or a task gave it
  // A task gave it: as if the work were done in a context copied from the task's own, when it was given.
  std::uint64_t task = 0;
  std::uint64_t parent_task = 0;
};

class Errands {
 public:
  // From now on. One of nobody's: what the thread was on before is over.
  void set(std::uint32_t tid, const Errand& errand);
  void forget(std::uint32_t tid) { by_thread_.erase(tid); }
  // The same of a task, by its context.
  void set_task(std::uint64_t task, const Errand& errand);
  // Whose child a task is, told before what it does.
  void born(const event::Lineage& lineage);
  void forget_tasks(std::uint32_t pid);
  void forget_process(std::uint32_t pid);
  void clear();
  [[nodiscard]] bool any() const { return !by_thread_.empty() || !by_task_.empty(); }
  // nullptr: none that is known.
  [[nodiscard]] const Errand* find(std::uint32_t tid) const {
    const auto it = by_thread_.find(tid);
    return it == by_thread_.end() ? nullptr : &it->second;
  }
  // nullptr: none that is known.
  [[nodiscard]] const Errand* find_task(std::uint32_t pid, std::uint64_t task) const;
  // The errand of a task on which data was moved: that of the thread where it tells of no task itself, or that of its
  // task, or of the task that one was born of since, or one born of that. Only of calls.
  [[nodiscard]] const Errand* of_task(const event::Data& data) const;

 private:
  [[nodiscard]] std::uint64_t parent_of(std::uint32_t pid, std::uint64_t task) const;

  std::unordered_map<std::uint32_t, Errand> by_thread_;
  std::unordered_map<std::uint64_t, Errand> by_task_;
  Generations<std::uint64_t, std::uint64_t> parents_;  // only while tasks are on errands
};

}  // namespace wirespan
