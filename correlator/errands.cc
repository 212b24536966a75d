#include "correlator/errands.h"

#include <cstddef>

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;

}  // namespace

void Errands::set(std::uint32_t tid, const Errand& errand) {
  if (errand.node == 0 && errand.task == 0) return forget(tid);
  if (by_thread_.size() >= kMostThreads) by_thread_.clear();
  by_thread_[tid] = errand;
}

void Errands::forget_process(std::uint32_t pid) {
  std::erase_if(by_thread_, [pid](const auto& one) { return one.second.pid == pid; });
}

const Errand* Errands::of_task(const event::Data& data) const {
  // Who answers a request is on no errand.
  if (data.actor.task != 0 || data.conn->side != TcpSide::kActive) return nullptr;
  const Errand* const errand = find(data.actor.thread.tid);
  return errand != nullptr && errand->task != 0 && data.time >= errand->taken ? errand : nullptr;
}

}  // namespace wirespan
