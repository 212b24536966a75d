#include "correlator/live_inference.h"

#include <algorithm>
#include <string>

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 65'536;
constexpr std::size_t kMostCandidates = 4;
constexpr float kLeastProbability = 0.05F;

// Who is called, as well as a connection's end can tell.
std::string peer_of(const Connection& conn) {
  const Address& remote = conn.remote;
  if (remote.family == Address::Family::kUnix) return remote.path;
  return remote.ip_text() + ":" + std::to_string(remote.port);
}

}  // namespace

LiveInference::LiveInference(std::int64_t window_ns, Counters& counters, Answer answer)
    : window_ns_(window_ns),
      answer_(std::move(answer)),
      engine_({.window_ns = window_ns}, counters, [this](const inference::Decision& d) { decided(d); }) {}

std::int64_t LiveInference::in_order(BootTime time) {
  return last_ns_ = std::max(last_ns_, static_cast<std::int64_t>(time.ns));
}

void LiveInference::opened(const NodePtr& node) {
  if (node->role == SpanRole::kServer && !calling_.contains(node->pid)) return;
  const std::uint32_t process = engine_.process(node->process->service, std::to_string(node->pid));
  const std::int64_t at = in_order(node->opened);
  const std::string& op = node->exchange->request->name;
  if (node->role == SpanRole::kServer) {
    requests_.emplace(node->number, node);
    engine_.request_started(process, node->number, op, at);
    return;
  }
  if (calling_.size() < kMostProcesses) calling_.insert(node->pid);
  if (!node->decided) calls_.emplace(node->number, node);
  engine_.call_started(process, node->number, peer_of(*node->exchange->conn), op, at);
}

void LiveInference::finished(const Node& node) {
  const std::int64_t at = in_order(node.exchange->ended);
  if (node.role == SpanRole::kClient) return engine_.call_ended(node.number, at);
  if (!requests_.contains(node.number)) return;
  engine_.request_ended(node.number, at);
  over_.emplace_back(at, node.number);
}

void LiveInference::advance(BootTime now) {
  const std::int64_t at = in_order(now);
  engine_.advance(at);
  while (over_from_ < over_.size() && at - over_[over_from_].first > 2 * window_ns_) {
    requests_.erase(over_[over_from_++].second);
  }
  if (over_from_ > 4096 && over_from_ * 2 > over_.size()) {
    over_.erase(over_.begin(), over_.begin() + static_cast<std::ptrdiff_t>(over_from_));
    over_from_ = 0;
  }
}

void LiveInference::finish() {
  engine_.finish();
  calls_.clear();
}

void LiveInference::decided(const inference::Decision& decision) {
  const auto it = calls_.find(decision.call);
  if (it == calls_.end()) return;  // it was certain
  const NodePtr call = std::move(it->second);
  calls_.erase(it);
  std::vector<Claim> claims;
  const auto claim = [&](std::uint64_t request, double probability) {
    const auto found = requests_.find(request);
    if (found != requests_.end()) claims.push_back({found->second, std::nullopt, "inferred", probability});
  };
  if (decision.parent != 0) claim(decision.parent, static_cast<double>(decision.confidence));
  for (const inference::Candidate& candidate : decision.candidates) {
    if (claims.size() >= kMostCandidates || candidate.probability < kLeastProbability) break;
    if (candidate.request != decision.parent) claim(candidate.request, static_cast<double>(candidate.probability));
  }
  answer_(call, std::move(claims), static_cast<double>(decision.runner_up_distance));
}

}  // namespace wirespan
