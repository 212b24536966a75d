#include "correlator/errands.h"

#include <cstddef>

#include "base/hash.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;  // and as many tasks

// A context is numbered by the time of its birth: of two processes they may be the same.
std::uint64_t key(std::uint32_t pid, std::uint64_t task) {
  return combine64(mix64(pid), task);
}

}  // namespace

void Errands::set(std::uint32_t tid, const Errand& errand) {
  if (errand.node == 0 && errand.task == 0) return forget(tid);
  if (by_thread_.size() >= kMostThreads) by_thread_.clear();
  by_thread_[tid] = errand;
}

void Errands::set_task(std::uint64_t task, const Errand& errand) {
  if (errand.task == 0) {
    by_task_.erase(key(errand.pid, task));
    return;
  }
  if (by_task_.size() >= kMostThreads) by_task_.clear();
  by_task_[key(errand.pid, task)] = errand;
}

void Errands::forget_tasks(std::uint32_t pid) {
  std::erase_if(by_task_, [pid](const auto& one) { return one.second.pid == pid; });
}

void Errands::forget_process(std::uint32_t pid) {
  std::erase_if(by_thread_, [pid](const auto& one) { return one.second.pid == pid; });
  forget_tasks(pid);
}

void Errands::clear() {
  by_thread_.clear();
  by_task_.clear();
}

const Errand* Errands::find_task(std::uint32_t pid, std::uint64_t task) const {
  const auto it = by_task_.find(key(pid, task));
  return it == by_task_.end() ? nullptr : &it->second;
}

const Errand* Errands::of_task(const event::Data& data) const {
  // Who answers a request is on no errand.
  if (data.conn->side != TcpSide::kActive) return nullptr;
  const Actor& actor = data.actor;
  const Errand* errand = nullptr;
  if (actor.task == 0) {
    errand = find(actor.thread.tid);
  } else if (!by_task_.empty()) {
    errand = find_task(actor.thread.pid, actor.task);
    if (errand == nullptr && actor.parent_task != 0) {
      errand = find_task(actor.thread.pid, actor.parent_task);
      // Of what it did before.
      if (errand != nullptr && born(actor.task) < errand->taken) return nullptr;
    }
  }
  return errand != nullptr && errand->task != 0 && data.time >= errand->taken ? errand : nullptr;
}

}  // namespace wirespan
