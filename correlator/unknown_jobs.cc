#include "correlator/unknown_jobs.h"

#include <utility>

namespace wirespan {
namespace {

constexpr std::size_t kMostJobs = 4096;
constexpr std::size_t kMostCalls = 64;  // of a job
constexpr float kProven = 32;
constexpr float kRare = 200;
// Calls wait no longer to be told which it was (as long as CorrelatorOptions::provisional_ns).
constexpr std::int64_t kLongest = 30'000'000'000;

void found(const std::vector<NodePtr>& calls, const NodePtr& request, World& world) {
  for (const NodePtr& call : calls) {
    if (!call->decided && call->opened >= request->opened)
      world.found(call, Claim{request, std::nullopt, "channel", UnknownJobs::kConfidence});
  }
}

void let_go(const std::vector<NodePtr>& calls, World& world) {
  for (const NodePtr& call : calls) world.refuted(call);
}

Claim waits(const NodePtr& request) {
  Claim claim{request, std::nullopt, "channel", UnknownJobs::kConfidence};
  claim.unproven = true;
  return claim;
}

}  // namespace

void UnknownJobs::may_be(std::uint64_t draw, NodePtr request, BootTime now, World& world) {
  if (drawings_.size() >= kMostJobs) give_up(drawings_.begin(), world);
  Drawing& drawing = drawings_[draw];
  drawing.since = now;
  drawing.requests.push_back(std::move(request));
}

void UnknownJobs::was(std::uint64_t draw, std::uint64_t request, World& world) {
  const auto drawing = drawings_.find(draw);
  if (drawing == drawings_.end()) return;
  for (const NodePtr& one : drawing->second.requests) {
    if (one->number == request) found(drawing->second.calls, one, world);
  }
  drawings_.erase(drawing);
}

std::optional<Claim> UnknownJobs::call_of_draw(std::uint64_t draw, const Node& call, World& world) {
  const auto drawing = drawings_.find(draw);
  NodePtr node = world.open.find(call.number);
  if (!node || drawing == drawings_.end() || drawing->second.calls.size() >= kMostCalls) return std::nullopt;
  drawing->second.calls.push_back(std::move(node));
  return waits(drawing->second.requests.front());
}

std::optional<Claim> UnknownJobs::call_of(std::uint64_t worker, const Node& call, World& world) {
  NodePtr node = world.open.find(call.number);
  const auto& serving = world.open.serving(call.pid);
  if (!node || serving.empty() || !replies_tell()) return std::nullopt;
  if (calls_.size() >= kMostJobs && !calls_.contains(worker)) asks(calls_.begin()->first, world);
  auto& calls = calls_[worker];
  if (calls.size() >= kMostCalls) return std::nullopt;
  calls.push_back(std::move(node));
  // Any request stands for the one that the reply will tell. While events are lost its answer's loss would decide.
  if (call.opened < world.lossy_until) return std::nullopt;
  return waits(serving.front());
}

bool UnknownJobs::replies_tell() const {
  return replies_.trusted(kProven, kRare);
}

bool UnknownJobs::replied(std::uint64_t worker, std::uint64_t draw, const NodePtr& request, World& world) {
  if (!replies_tell()) return false;
  if (const auto calls = calls_.extract(worker)) found(calls.mapped(), request, world);
  if (const auto drawing = drawings_.extract(draw)) found(drawing.mapped().calls, request, world);
  return true;
}

void UnknownJobs::asks(std::uint64_t worker, World& world) {
  if (const auto calls = calls_.extract(worker)) let_go(calls.mapped(), world);
}

void UnknownJobs::advance(BootTime now, World& world) {
  while (!drawings_.empty() && now - drawings_.begin()->second.since >= kLongest) give_up(drawings_.begin(), world);
}

void UnknownJobs::give_up(Drawings::iterator drawing, World& world) {
  const auto given_up = drawings_.extract(drawing);
  let_go(given_up.mapped().calls, world);
}

void UnknownJobs::let_all_go(World& world) {
  while (!drawings_.empty()) give_up(drawings_.begin(), world);
  while (!calls_.empty()) asks(calls_.begin()->first, world);
}

void UnknownJobs::clear() {
  drawings_.clear();
  calls_.clear();
}

}  // namespace wirespan
