#include "correlator/node.h"

namespace wirespan {

// Field by field: making a new one and moving it here costs three times as much.
void reset(Node& n) {
  // Every field is named, so that a new one does not compile before it has its line below.
  auto& [exchange, process, role, number, pid, id, opened, carried, decided, link, after, weak, runner_up_distance,
         true_request, judged, candidates, blind, holder, queued, unlinked_reason, trace, trace_flags, trace_state,
         peer_seen, synthetic_parent, emitted, told, below, finished, answer_lost, answering, answered_elsewhere,
         may_work_on, provisional_children, provisional, fallback, home_tid] = n;
  constexpr std::size_t kKeptChildren = 64;
  exchange.reset();
  process.reset();
  role = {};
  number = 0;
  pid = 0;
  id = {};
  opened = {};
  carried.reset();
  decided = false;
  link.reset();
  after.reset();
  weak.clear();
  runner_up_distance = 0;
  true_request = 0;
  judged = false;
  candidates = 0;
  blind = queued = false;
  holder = 0;
  unlinked_reason = {};
  trace = {};
  trace_flags = 1;
  trace_state.clear();
  peer_seen = false;
  synthetic_parent = false;
  emitted = false;
  told = false;
  below = {};
  finished = answer_lost = false;
  answering = false;
  answered_elsewhere = may_work_on = false;
  provisional_children.clear();
  if (provisional_children.capacity() > kKeptChildren) provisional_children = {};
  provisional.reset();
  fallback.reset();
  home_tid = 0;
}

}  // namespace wirespan
