#include "agent/capture/tokio_wakes.h"

#include <algorithm>
#include <utility>

namespace wirespan {
namespace {

constexpr std::size_t kMostTasks = 8192;
// Who asked before the probe was there is not known.
constexpr std::int64_t kNotBefore = 100'000'000;
constexpr std::uint64_t kAnswersAtFirst = 256;
constexpr std::uint64_t kAnswersAgain = 64;
constexpr std::int64_t kLongestAgain = 2'000'000'000;
constexpr std::int64_t kAgainAfter = 30'000'000'000;
constexpr std::uint64_t kRare = 200;
// Without a response for so long a call's parent is who asked for it: a little before the correlator needs to know.
constexpr std::int64_t kSlow = 700'000'000;
constexpr std::int64_t kForgotten = 5'000'000'000;  // what is not answered by then is no call
constexpr std::int64_t kStaysSlow = 60'000'000'000;

constexpr std::uint64_t kConsumed = 8;
constexpr std::uint32_t kAwaitedBefore = 8;  // more than a task awaits as a rule that was begun for one request
// Of so many blocking tasks one may not be known as such: its beginning was lost, or before the probe was there.
constexpr std::uint64_t kFewOthers = 32;

void remember(std::unordered_set<std::uint64_t>& set, std::uint64_t task) {
  if (set.size() >= kMostTasks) set.clear();
  set.insert(task);
}

}  // namespace

void TokioWakes::began_blocking(const event::Handover& begin) {
  if (blocking_[0].size() >= kMostTasks) blocking_[1] = std::exchange(blocking_[0], {});
  blocking_[0].insert(begin.object);
}

bool TokioWakes::blocks(std::uint64_t task) const {
  return std::ranges::any_of(blocking_, [task](const auto& tasks) { return tasks.contains(task); });
}

void TokioWakes::moved(const event::Data& data) {
  if (data.conn->side == TcpSide::kPassive) {
    if (data.direction == Direction::kReceived) remember(readers_, data.actor.task);
    if (const auto it = tasks_.find(data.actor.task); it != tasks_.end()) it->second.serves = true;
    return;
  }
  if (data.conn->side != TcpSide::kActive) return;
  if (data.direction == Direction::kSent) {
    if (tasks_.size() >= kMostTasks) tasks_.clear();
    const auto [it, first] = tasks_.try_emplace(data.actor.task);
    Task& task = it->second;
    if (task.sent != BootTime{}) return;
    if (blocks(data.actor.task))
      unasked_ += first ? 1 : 0;
    else if (!readers_.contains(data.actor.task))
      ++others_;
    task.sent = data.time;
    task.responds = false;
    task.judged = !first && data.time > since_ + kNotBefore;
    task.asked = task.wakers;
    task.askers = task.woken;
    task.woken = 0;
  } else if (const auto it = tasks_.find(data.actor.task); it != tasks_.end()) {
    it->second.responds = it->second.responds || it->second.sent != BootTime{};
    it->second.sent = {};
  }
}

void TokioWakes::woke(const event::Handover& wake) {
  if (state_ == State::kAnswersOnly || state_ == State::kAll) return;
  if (readers_.contains(wake.actor.task) && !readers_.contains(wake.object)) remember(fed_, wake.object);
  const bool by_reference = (wake.place & event::Handover::kByReference) != 0;
  // A loop's reply, maybe: who makes calls for one request only has that request's task await its end.
  if (!by_reference && readers_.contains(wake.object) && tasks_.contains(wake.actor.task) && blocks(wake.actor.task))
    ++replies_;
  if (const auto it = tasks_.find(wake.object); it != tasks_.end() && it->second.woken < kMostAskers)
    it->second.wakers[it->second.woken++] = wake.actor.task;
  const auto it = tasks_.find(wake.actor.task);
  if (it == tasks_.end() || !it->second.responds || it->second.serves) return;
  Task& task = it->second;
  const auto end = task.asked.begin() + task.askers;
  const bool asked = std::find(task.asked.begin(), end, wake.object) != end;
  if (!by_reference && !asked) return;
  task.responds = false;
  if (!task.judged) return;
  ++(by_reference && asked ? held_ : failed_);
  if (!readers_.contains(wake.object)) {
    if (awaited_.size() >= kMostTasks) awaited_.clear();
    Awaited& awaited = awaited_[wake.object];
    awaited.since = true;
    if (++awaited.responses > kAwaitedBefore) ++again_;
  }
  if (fed_.contains(wake.object) && !readers_.contains(wake.object)) ++consumed_;
}

void TokioWakes::replied(std::uint64_t task) {
  if (state_ != State::kWatches) return;
  if (tasks_.contains(task)) {
    if (blocks(task)) ++sent_;
    return;
  }
  const auto it = awaited_.find(task);
  if (it != awaited_.end() && std::exchange(it->second.since, false)) ++replied_;
}

bool TokioWakes::asked() const {
  return others_ * kFewOthers > unasked_;
}

std::uint64_t TokioWakes::seen() const {
  return held_ + failed_ + (asked() ? 0 : unasked_);
}

void TokioWakes::watch(BootTime now) {
  state_ = State::kWatches;
  since_ = now;
  seen_before_ = seen();
}

bool TokioWakes::slow(BootTime now) {
  bool found = false;
  for (auto& [number, task] : tasks_) {
    if (task.sent == BootTime{} || now - task.sent < kSlow || blocks(number)) continue;
    found = true;
    if (now - task.sent >= kForgotten) task.sent = {};
  }
  return found;
}

bool TokioWakes::all(BootTime now) {
  switch (state_) {
    case State::kWatches: {
      const std::uint64_t seen = this->seen() - std::min(seen_before_, this->seen());
      if (seen < (watched_before_ ? kAnswersAgain : kAnswersAtFirst) &&
          (!watched_before_ || now - since_ < kLongestAgain))
        return true;
      watched_before_ = true;
      presumed_ = held_ + failed_ < kAnswersAtFirst;
      state_ = failed_ * kRare > held_ || consumed_ * kConsumed > held_ || replies_ * kRare > unasked_
                   ? State::kAll
                   : State::kAnswersOnly;
      jobs_ = (consumed_ + again_ + replied_) * kConsumed > held_ + failed_ || sent_ * kConsumed > unasked_;
      next_ = now + kAgainAfter;
      break;
    }
    case State::kAnswersOnly:
      if (slow(now)) {
        state_ = State::kSlow;
        since_ = now;
      } else if (presumed_ && asked()) {
        watched_before_ = false;
        watch(now);
      } else if (now >= next_) {
        watch(now);
      }
      break;
    case State::kSlow:
      if (slow(now)) {
        since_ = now;
      } else if (now - since_ >= kStaysSlow) {
        watch(now);
      }
      break;
    case State::kAll:
      break;
  }
  return state_ != State::kAnswersOnly;
}

}  // namespace wirespan
