#include "correlator/goroutine_children.h"

#include <algorithm>
#include <utility>

namespace wirespan {
namespace {

// Who has made no call for so long after the answer, in which others of the process have made so many, is taken to have
// ended. A worker may be idle for as long as there is nothing to do.
constexpr std::int64_t kAfterwards = 500'000'000;
constexpr std::uint64_t kCallsOfOthers = 8;
constexpr std::uint32_t kProven = 32;
constexpr std::uint32_t kProvenAgain = 400;  // once there have been workers
constexpr std::uint32_t kStillGoingOn = 3;   // calls after the answer: more than the rest of what a request began
constexpr std::size_t kMostWatched = 8192;

bool outlives(const GoroutineLineage& lineage, const GoroutineTasks& tasks) {
  return std::ranges::any_of(lineage.all(), [&](std::uint64_t number) {
    const GoroutineTask* const task = tasks.peek(number);
    return task != nullptr && task->outlives;
  });
}

void settle(const NodePtr& call, const NodePtr& request, const GoroutineLineage& lineage, const GoroutineTasks& tasks,
            World& world) {
  if (!call || call->decided) return;
  if (outlives(lineage, tasks)) return world.refuted(call);
  world.found(call, Claim{request, std::nullopt, "goroutine", 1.0});
}

}  // namespace

bool GoroutineChildren::proven() const {
  return held_ >= (failed_ == 0 ? kProven : kProvenAgain);
}

// With one request open there is no other to work for, as far as is known.
bool GoroutineChildren::believed(const GoroutineLineage& lineage, std::uint32_t pid, BootTime now,
                                 const GoroutineTasks& tasks, const World& world) const {
  const bool alone = failed_ == 0 && world.open.serving(pid).size() == 1;
  return (alone || (proven() && now - doubted_ >= 0)) && !outlives(lineage, tasks);
}

GoroutineChildren::Belief GoroutineChildren::call(const GoroutineLineage& lineage, const NodePtr& request,
                                                  const Node& call, GoroutineTasks& tasks, World& world) {
  ++calls_;
  bool first = false;
  bool worker = false;
  for (const std::uint64_t number : lineage.all()) {
    GoroutineTask& task = tasks.use(number);
    if (task.own == 0) {
      if (request) first = (task.own = request->number) != 0;
    } else if (!world.open.find(task.own)) {
      if (task.calls_after++ == 0) {
        task.afterwards = call.opened;
        doubted_ = call.opened + kAfterwards;
      }
      task.outlives = true;
      worker = worker || task.calls_after == kStillGoingOn ||
               (task.calls_after < kStillGoingOn && call.opened - task.afterwards >= kAfterwards);
    }
  }
  if (worker) found_worker(world);
  if (!request || outlives(lineage, tasks)) return Belief::kNone;
  const bool at_once = believed(lineage, call.pid, call.opened, tasks, world);
  if (at_once && (proven() || !first)) return Belief::kAtOnce;
  NodePtr waits = at_once ? nullptr : world.open.find(call.number);
  if (watched_ >= kMostWatched || (!at_once && !waits)) {
    return at_once || proven() ? Belief::kAtOnce : Belief::kNone;
  }
  ++watched_;
  open_[request->number].push_back({std::move(waits), request, lineage, first, {}, 0});
  return at_once ? Belief::kAtOnce : Belief::kOnceProven;
}

void GoroutineChildren::found_worker(World& world) {
  ++failed_;
  held_ = 0;
  const auto let_go = [&](const auto& all) {
    for (const Watched& one : all) {
      if (one.call) world.refuted(one.call);
    }
  };
  for (const auto& [request, watched] : open_) let_go(watched);
  let_go(answered_);
  let_go(ended_);
  clear();
}

void GoroutineChildren::finished(const NodePtr& request, World& world) {
  const auto it = open_.find(request->number);
  if (it == open_.end()) return;
  std::vector<Watched> watched = std::move(it->second);
  open_.erase(it);
  for (Watched& one : watched) {
    // Who does not wait for it works for another, or goes on after the answer.
    const bool in_time = !one.call || one.call->answering || one.call->finished;
    if (request->answer_lost || !in_time) {
      --watched_;
      if (one.call) world.refuted(one.call);
      continue;
    }
    one.answered = request->exchange->ended;
    one.calls_then = calls_;
    answered_.push_back(std::move(one));
  }
}

void GoroutineChildren::advance(BootTime now, const GoroutineTasks& tasks, World& world) {
  while (!answered_.empty()) {
    Watched& one = answered_.front();
    if (now - one.answered < kAfterwards || calls_ - one.calls_then < kCallsOfOthers) break;
    --watched_;
    const bool known = tasks.peek(one.lineage.tasks[one.lineage.count - 1U]) != nullptr;
    if (!known || outlives(one.lineage, tasks)) {
      if (one.call) world.refuted(one.call);
    } else {
      held_ += one.counts ? 1 : 0;
      if (one.call && !one.call->decided) {
        ++watched_;
        ended_.push_back(std::move(one));
      }
    }
    answered_.pop_front();
  }
  if (!proven() || ended_.empty()) return;
  watched_ -= ended_.size();
  for (const Watched& one : std::exchange(ended_, {})) settle(one.call, one.request, one.lineage, tasks, world);
}

void GoroutineChildren::closing(const GoroutineTasks& tasks, World& world) {
  if (proven() || failed_ == 0) {
    for (const Watched& one : answered_) settle(one.call, one.request, one.lineage, tasks, world);
    for (const Watched& one : ended_) settle(one.call, one.request, one.lineage, tasks, world);
  }
  clear();
}

void GoroutineChildren::clear() {
  open_.clear();
  answered_.clear();
  ended_.clear();
  watched_ = 0;
}

}  // namespace wirespan
