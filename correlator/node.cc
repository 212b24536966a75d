#include "correlator/node.h"

namespace wirespan {

// Field by field: making a new one and moving it here costs three times as much.
void reset(Node& n) {
  constexpr std::size_t kKeptChildren = 64;
  n.exchange.reset();
  n.process.reset();
  n.role = {};
  n.number = 0;
  n.pid = 0;
  n.id = {};
  n.opened = {};
  n.carried.reset();
  n.decided = false;
  n.link.reset();
  n.weak.clear();
  n.runner_up_distance = 0;
  n.true_request = 0;
  n.judged = false;
  n.candidates = 0;
  n.blind = false;
  n.unlinked_reason = {};
  n.trace = {};
  n.trace_flags = 1;
  n.trace_state.clear();
  n.peer_seen = false;
  n.synthetic_parent = false;
  n.emitted = false;
  n.told = false;
  n.below = {};
  n.finished = false;
  n.answering = false;
  n.answered_elsewhere = false;
  n.provisional_children.clear();
  if (n.provisional_children.capacity() > kKeptChildren) n.provisional_children = {};
  n.provisional.reset();
  n.fallback.reset();
  n.home_tid = 0;
}

}  // namespace wirespan
