#include "correlator/task_consumers.h"

#include <algorithm>

namespace wirespan {
namespace {

constexpr std::size_t kMostTasks = 1024;       // twice: they hold calls, and end unseen
constexpr std::size_t kMostSent = 1024;        // replies, twice
constexpr std::size_t kMostWaiting = 4096;     // calls
constexpr std::size_t kMostOfAJob = 64;        // calls
constexpr std::int64_t kReplied = 20'000'000;  // who wakes another within this time may have replied to that
constexpr double kConfidence = 0.98;
constexpr float kProven = 16;
constexpr float kWellProven = 64;
constexpr float kRare = 400;

bool proven(const TrackRecord& record, float enough = kProven) {
  return record.held >= enough && record.failed * kRare <= record.held;
}

}  // namespace

bool TaskConsumers::too_old(const NodePtr& call, const NodePtr& request) {
  return !request || call->opened < request->opened;
}

bool TaskConsumers::whole(const Consumer& consumer) const {
  return consumer.began || proven(whole_, kWellProven);
}

TaskConsumers::Consumer& TaskConsumers::of(std::uint64_t task) {
  if (Consumer* const known = find(task); known != nullptr) return *known;
  Consumer& consumer = consumers_.use(task, kMostTasks);
  consumer.began = let_go_.peek(task) != nullptr;
  return consumer;
}

void TaskConsumers::keep(std::vector<NodePtr>& calls, const Consumer& consumer, const NodePtr& call) {
  if (call->opened < consumer.replied) return replies_.add(false);
  if (calls.size() >= kMostOfAJob) calls.clear();
  calls.push_back(call);
}

void TaskConsumers::awaits(std::uint64_t task, const NodePtr& call, World& world) {
  Consumer& consumer = of(task);
  take(consumer, world);
  keep(consumer.calls, consumer, call);
}

void TaskConsumers::made(std::uint64_t task, const NodePtr& call) {
  if (!oneshots_told_) return;
  Consumer& consumer = of(task);
  keep(consumer.own, consumer, call);
}

void TaskConsumers::passes_on(std::uint64_t task, const NodePtr& call) {
  Consumer* const consumer = find(task);
  if (consumer == nullptr) return;
  std::erase(consumer->own, call);
  if (Reply* const reply = sent_.peek(consumer->sent); reply != nullptr) std::erase(reply->calls, call);
}

void TaskConsumers::asked(std::uint64_t task, std::uint64_t by) {
  Consumer* const known = find(task);
  if (known == nullptr) return;
  Consumer& consumer = *known;
  // It waited for more to do: what it did before was for another, who did not wait for the reply.
  if (!consumer.calls.empty()) whole_.add(false);
  consumer.calls.clear();
  consumer.asked_by = by;
}

void TaskConsumers::lets_go(std::uint64_t task) {
  if (proven(whole_, kWellProven)) return;
  Consumer* const consumer = find(task);
  if (consumer == nullptr) {
    let_go_.use(task, kMostSent) = true;
    return;
  }
  consumer->calls.clear();
  consumer->own.clear();
  consumer->began = true;
}

void TaskConsumers::wakes(std::uint64_t task, std::uint64_t wakee, const NodePtr& request, BootTime now, World& world) {
  Consumer* const known = find(task);
  if (known == nullptr || known->oneshots) return;
  Consumer& consumer = *known;
  if (consumer.calls.empty()) {
    if (consumer.taken.empty() || consumer.request == request) return;
    // Which of the two it worked for is not known: one may have waited for something else.
    consumer.taken.clear();
    return replies_.add(false);
  }
  take(consumer, world);
  if (consumer.asked_by != 0) whole_.add(consumer.asked_by == wakee);
  auto calls = std::exchange(consumer.calls, {});
  consumer.asked_by = 0;
  consumer.replied = now;
  const bool all = whole(consumer);
  consumer.began = false;
  const bool fits = !too_old(calls.back(), request);
  replies_.add(fits);
  if (!fits) return;
  consumer.request = request;
  if (all && std::ranges::none_of(calls, [&](const NodePtr& call) { return too_old(call, request); }))
    consumer.taken = std::move(calls);
  else
    consumer.taken = {calls.back()};
}

void TaskConsumers::replies(std::uint64_t task, std::uint64_t oneshot, BootTime now, World& world) {
  oneshots_told_ = true;
  Consumer* const known = find(task);
  if (known == nullptr) return;
  Consumer& consumer = *known;
  consumer.oneshots = true;
  take(consumer, world);
  Reply& reply = sent_.use(oneshot, kMostSent);
  reply.whole = whole(consumer);
  reply.asked_by = std::exchange(consumer.asked_by, 0);
  reply.calls = std::exchange(consumer.calls, {});
  reply.calls.insert(reply.calls.end(), consumer.own.begin(), consumer.own.end());
  consumer.own.clear();
  consumer.sent = oneshot;
  consumer.replied = now;
  consumer.began = false;
}

std::vector<NodePtr> TaskConsumers::gets(std::uint64_t task, std::uint64_t oneshot) {
  Reply* const found = sent_.peek(oneshot);
  if (found == nullptr || found->calls.empty()) return {};
  Reply reply = std::exchange(*found, {});
  if (reply.asked_by != 0) whole_.add(reply.asked_by == task);
  if (!reply.whole) reply.calls = {reply.calls.back()};
  return std::move(reply.calls);
}

void TaskConsumers::found(std::vector<NodePtr> calls, const NodePtr& request, World& world) {
  const bool fits = std::ranges::none_of(calls, [&](const NodePtr& call) { return too_old(call, request); });
  replies_.add(fits);
  if (!fits) return;
  for (NodePtr& call : calls) replied_.emplace_back(std::move(call), request);
  tell(world);
}

// It has gone on without replying to another.
void TaskConsumers::take(Consumer& consumer, World& world) {
  for (NodePtr& call : consumer.taken) replied_.emplace_back(std::move(call), consumer.request);
  consumer.taken.clear();
  consumer.request.reset();
  tell(world);
}

void TaskConsumers::tell(World& world) {
  if (!proven(replies_) || !believed_) {
    if (replied_.size() >= kMostWaiting) replied_.clear();
    return;
  }
  for (const auto& [call, request] : std::exchange(replied_, {})) {
    if (!call->decided) world.found(call, Claim{request, std::nullopt, "tokio", kConfidence});
  }
}

void TaskConsumers::advance(BootTime now, World& world) {
  consumers_.each([&](Consumer& consumer) {
    if (!consumer.taken.empty() && now - consumer.replied >= kReplied) take(consumer, world);
  });
}

void TaskConsumers::close(World& world) {
  consumers_.each([&](Consumer& consumer) { take(consumer, world); });
}

void TaskConsumers::clear() {
  consumers_.clear();
  let_go_.clear();
  sent_.clear();
  replied_.clear();
}

}  // namespace wirespan
