#include "correlator/traced_ends.h"

#include <utility>

#include "base/hash.h"

namespace wirespan {
namespace {

// The same for both ends; an unknown side counts as passive (model/event.h).
std::uint64_t bases_of(const Connection& conn) {
  const bool active = conn.side == TcpSide::kActive;
  return combine64(mix64(active ? conn.sent_base : conn.received_base), active ? conn.received_base : conn.sent_base);
}

}  // namespace

void TracedEnds::opened(const ConnectionPtr& conn) {
  if (!conn->has_base) return;
  Ends& ends = ends_[bases_of(*conn)];
  const bool active = conn->side == TcpSide::kActive;
  ++(active ? ends.active : ends.passive);
  if (active) ends.caller = conn;
}

void TracedEnds::closed(const Connection& conn) {
  if (!conn.has_base) return;
  const auto it = ends_.find(bases_of(conn));
  if (it == ends_.end()) return;
  Ends& ends = it->second;
  std::uint32_t& of_this_kind = conn.side == TcpSide::kActive ? ends.active : ends.passive;
  if (of_this_kind == 0) return;
  --of_this_kind;
  if (ends.active == 0 && ends.passive == 0) ends_.erase(it);
}

const TracedEnds::Ends* TracedEnds::find(const Connection& conn) const {
  if (!conn.has_base) return nullptr;
  const auto it = ends_.find(bases_of(conn));
  return it == ends_.end() ? nullptr : &it->second;
}

bool TracedEnds::is_first_request(const Connection& conn) {
  if (!conn.has_base) return false;
  const auto it = ends_.find(bases_of(conn));
  return it != ends_.end() && !std::exchange(it->second.requested, true);
}

bool TracedEnds::other_end_of(const Connection& conn) const {
  const Ends* const ends = find(conn);
  return ends != nullptr && (conn.side == TcpSide::kActive ? ends->passive : ends->active) > 0;
}

ConnectionPtr TracedEnds::caller_of(const Connection& conn) const {
  const Ends* const ends = find(conn);
  return ends == nullptr ? nullptr : ends->caller;
}

}  // namespace wirespan
