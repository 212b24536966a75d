#include "correlator/unseen_requests.h"

#include <vector>

namespace wirespan {
namespace {

// Of event::Unanswered.
ConnId by_inode(ConnId conn) {
  return ConnId{static_cast<std::uint64_t>(conn) & 0xffffffffU};
}
bool without_time(ConnId conn) {
  return conn == by_inode(conn);
}

}  // namespace

void UnseenRequests::add(const event::Unanswered& request) {
  if (without_time(request.connection)) older_until_ = request.time + older_lasts_ns_;
  if (pids_.size() >= most_ || !pids_.emplace(request.connection, request.pid).second) return;
  ++of_[request.pid];
}

void UnseenRequests::moved(const event::Data& data) {
  if (pids_.empty()) return;
  answered(data.direction == Direction::kSent ? data.conn->id : by_inode(data.conn->id));
}

void UnseenRequests::answered(ConnId conn) {
  auto it = pids_.find(conn);
  if (it == pids_.end()) it = pids_.find(by_inode(conn));
  if (it == pids_.end()) return;
  const auto of = of_.find(it->second);
  if (of != of_.end() && --of->second == 0) of_.erase(of);
  pids_.erase(it);
}

void UnseenRequests::advance(BootTime now) {
  if (older_until_.ns == 0 || now <= older_until_) return;
  older_until_ = {};
  std::vector<ConnId> older;
  for (const auto& [conn, pid] : pids_) {
    if (without_time(conn)) older.push_back(conn);
  }
  for (const ConnId conn : older) answered(conn);
}

void UnseenRequests::clear() {
  pids_.clear();
  of_.clear();
}

}  // namespace wirespan
