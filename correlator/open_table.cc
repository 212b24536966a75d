#include "correlator/open_table.h"

#include <algorithm>

namespace wirespan {
namespace {

// Processes and threads that serve nothing now, kept in the tables.
constexpr std::size_t kKeptIdle = 4096;
// Who works on for so long after an answer works for something else by then, as workers do that a handler began.
constexpr std::int64_t kLateWork = 2'000'000'000;

}  // namespace

bool OpenTable::insert(const NodePtr& node) {
  if (by_number_.size() >= limit_) return false;
  by_number_.emplace(node->number, node);
  if (node->exchange->key.valid()) {
    Ends& ends = by_key_[node->exchange->key];
    (node->role == SpanRole::kClient ? ends.client : ends.server) = node;
  }
  if (node->role == SpanRole::kServer) by_pid_[node->pid].push_back(node);
  return true;
}

void OpenTable::erase(const Node& node) {
  const auto it = by_number_.find(node.number);
  if (it == by_number_.end()) return;
  const NodePtr kept = std::move(it->second);
  by_number_.erase(it);
  if (node.role != SpanRole::kServer) return;
  if (node.answering && node.may_work_on) answered_[node.number % kAnswered] = {kept, node.exchange->ended};
  if (auto serving = by_pid_.find(node.pid); serving != by_pid_.end()) {
    std::erase_if(serving->second, [&](const NodePtr& n) { return n->number == node.number; });
    // Most serve again in a moment.
    if (serving->second.empty() && by_pid_.size() > kKeptIdle) by_pid_.erase(serving);
  }
  leave_home(node);
}

void OpenTable::clear() {
  by_number_.clear();
  by_key_.clear();
  by_pid_.clear();
  by_thread_.clear();
  answered_.assign(kAnswered, {});
}

void OpenTable::leave_home(const Node& node) {
  const auto it = by_thread_.find(node.home_tid);
  if (it == by_thread_.end() || it->second == 0) return;
  if (--it->second == 0 && by_thread_.size() > kKeptIdle) by_thread_.erase(it);
}

NodePtr OpenTable::find(std::uint64_t number) const {
  const auto it = by_number_.find(number);
  return it == by_number_.end() ? nullptr : it->second;
}

NodePtr OpenTable::answered(std::uint64_t number, BootTime now) const {
  const Answered& found = answered_[number % kAnswered];
  return found.node && found.node->number == number && now - found.ended < kLateWork ? found.node : nullptr;
}

NodePtr OpenTable::peer_of(const Node& node) const {
  if (!node.exchange->key.valid()) return nullptr;
  const auto it = by_key_.find(node.exchange->key);
  if (it == by_key_.end()) return nullptr;
  return node.role == SpanRole::kClient ? it->second.server : it->second.client;
}

void OpenTable::forget_key(const Node& node) {
  if (!node.exchange->key.valid()) return;
  const auto it = by_key_.find(node.exchange->key);
  if (it == by_key_.end()) return;
  NodePtr& mine = node.role == SpanRole::kClient ? it->second.client : it->second.server;
  if (mine && mine->number == node.number) mine = nullptr;
  if (!it->second.client && !it->second.server) by_key_.erase(it);
}

std::vector<NodePtr> OpenTable::all_of(std::uint32_t pid) const {
  std::vector<NodePtr> out;
  for (const auto& [number, node] : by_number_) {
    if (node->pid == pid) out.push_back(node);
  }
  std::ranges::sort(out, {}, [](const NodePtr& node) { return node->number; });
  return out;
}

const std::vector<NodePtr>& OpenTable::serving(std::uint32_t pid) const {
  static const std::vector<NodePtr> kNone;
  const auto it = by_pid_.find(pid);
  return it == by_pid_.end() ? kNone : it->second;
}

std::uint32_t OpenTable::serving_by_thread(std::uint32_t tid) const {
  const auto it = by_thread_.find(tid);
  return it == by_thread_.end() ? 0 : it->second;
}

void OpenTable::move_home(Node& node, std::uint32_t tid) {
  if (node.home_tid == tid || !by_number_.contains(node.number)) return;
  leave_home(node);
  node.home_tid = tid;
  ++by_thread_[tid];
}

}  // namespace wirespan
