#include "correlator/errands.h"

#include <cstddef>
#include <utility>

#include "base/hash.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;  // and as many tasks
constexpr std::size_t kMostParents = 16'384;
constexpr int kMostGenerations = 4;  // from a worker down: what it does at once, a client's writer

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

void Errands::born(const event::Lineage& lineage) {
  if (by_task_.empty()) return;
  std::uint64_t child = lineage.task;
  for (std::uint32_t i = 0; i < lineage.count && i < kMostGenerations; ++i) {
    parents_.use(key(lineage.pid, child), kMostParents) = lineage.ancestors[i];
    child = lineage.ancestors[i];
  }
}

std::uint64_t Errands::parent_of(std::uint32_t pid, std::uint64_t task) const {
  const std::uint64_t* const parent = parents_.peek(key(pid, task));
  return parent != nullptr ? *parent : 0;
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
  parents_.clear();
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
    const std::uint32_t pid = actor.thread.pid;
    errand = find_task(pid, actor.task);
    std::uint64_t child = actor.task;
    std::uint64_t parent = actor.parent_task;
    for (int i = 0; errand == nullptr && parent != 0 && i < kMostGenerations; ++i) {
      errand = find_task(pid, parent);
      // Of what it did before.
      if (errand != nullptr && wirespan::born(child) < errand->taken) return nullptr;
      child = std::exchange(parent, parent_of(pid, parent));
    }
  }
  return errand != nullptr && errand->task != 0 && data.time >= errand->taken ? errand : nullptr;
}

}  // namespace wirespan
