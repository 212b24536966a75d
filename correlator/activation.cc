#include "correlator/activation.h"

namespace wirespan {

void Activations::put(std::uint64_t key, const Activation& activation) {
  // Goroutines end unseen, so the table only grows: start over rather than scan. What is lost is found again with the
  // next read of each worker.
  if (map_.size() >= limit_ && !map_.contains(key)) map_.clear();
  map_[key] = activation;
}

void Activations::set(const Actor& actor, Activation activation) {
  activation.loop = actor.loop;
  if (actor.task != 0) return set_task(actor.thread.pid, actor.task, activation);
  set_thread(actor.thread.tid, activation);
}

const Activation* Activations::find(const Actor& actor) const {
  return actor.task != 0 ? find_task(actor.thread.pid, actor.task) : find_thread(actor.thread.tid);
}

}  // namespace wirespan
