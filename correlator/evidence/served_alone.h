// The one request that a thread serves.
#pragma once

#include "correlator/evidence/evidence.h"

namespace wirespan {

// Null: it has read none that is open, or several, or another thread has read on since.
[[nodiscard]] inline NodePtr served_alone(std::uint32_t tid, const World& world) {
  if (world.open.serving_by_thread(tid) != 1) return nullptr;
  const Activation* const activation = world.activations.find_thread(tid);
  NodePtr request = activation != nullptr ? world.open.find(activation->node) : nullptr;
  return request && request->home_tid == tid ? request : nullptr;
}

}  // namespace wirespan
