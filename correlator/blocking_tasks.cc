#include "correlator/blocking_tasks.h"

#include <algorithm>
#include <utility>

namespace wirespan {
namespace {

constexpr std::size_t kMostTasks = 16'384;  // twice
constexpr std::size_t kMostWaiting = 4096;
constexpr std::size_t kMostCalls = 256;  // of a task
constexpr double kConfidence = 0.99;
// As of children (evidence/tokio): a loop would have made a call in that time, or where others made so many.
constexpr std::int64_t kAfterwards = 500'000'000;
constexpr std::int64_t kSoonAfterwards = 100'000'000;
constexpr std::uint64_t kCallsOfOthers = 256;
constexpr std::int64_t kSlow = 1'000'000'000;  // for a response
constexpr float kProven = 16;
constexpr float kWellProven = 64;
constexpr float kRare = 400;

bool fails(const TrackRecord& record) {
  return record.failed * kRare > record.held + kRare;
}

}  // namespace

void BlockingTasks::began(std::uint64_t task, std::uint64_t request, std::uint64_t by) {
  if (by != 0 && request == 0) {
    if (makers_.size() >= kMostTasks) makers_.clear();
    makers_.insert(by);
  }
  if (request == 0) return;
  tasks_.use(task, kMostTasks) = {request, by};
}

bool BlockingTasks::works_for_one(std::uint64_t task) {
  const Task* const found = tasks_.peek(task);
  return found != nullptr && !found->goes_on && !found->shared && !makers_.contains(found->by);
}

bool BlockingTasks::believed_at_once() const {
  return ends_.held >= kWellProven && serves_one_.held >= kWellProven && !fails(ends_) && !fails(serves_one_);
}

void BlockingTasks::calls(const NodePtr& call, std::uint64_t number, World& world) {
  ++made_;
  Task* const task = tasks_.peek(number);
  if (task == nullptr) return;
  task->calls = true;
  // A permit is let go at the end.
  if (task->wakes) shares(*task);
  const NodePtr request = world.open.find(task->request);
  if (!request || request->answering) {
    if (!std::exchange(task->goes_on, true)) ends_.add(false);
    return;
  }
  if (slow_.size() >= kMostWaiting) slow_.pop_front();
  slow_.push_back({call, number});
}

void BlockingTasks::responds(const NodePtr& call, std::uint64_t number, World& world) {
  const Task* const task = tasks_.peek(number);
  if (task == nullptr || task->goes_on || task->shared) return;
  const NodePtr request = world.open.find(task->request);
  if (!request || request->answering) return;
  if (waiting_.size() >= kMostWaiting) waiting_.clear();
  std::vector<Work>& works = waiting_[task->request];
  auto work = std::ranges::find(works, number, &Work::task);
  if (work == works.end()) work = works.insert(works.end(), Work{number, request, {}, 0, {}});
  if (work->calls.size() < kMostCalls) work->calls.push_back(call);
}

void BlockingTasks::shares(Task& task) {
  if (!std::exchange(task.shared, true)) serves_one_.add(false);
}

void BlockingTasks::wakes(std::uint64_t number, std::uint64_t request, bool by_reference) {
  Task* const task = tasks_.peek(number);
  // Where none makes calls, it may be one that the runtime works in itself (block_in_place begins such).
  if (task == nullptr || !task->calls) return;
  if (task->request == request) {
    replies_by_value_ = replies_by_value_ || !by_reference;
    return;
  }
  if (by_reference || replies_by_value_ || task->wakes) return shares(*task);
  task->wakes = true;
}

void BlockingTasks::answers(const NodePtr& request, BootTime now, World& world) {
  const auto it = waiting_.find(request->number);
  if (it == waiting_.end()) return;
  for (Work& work : it->second) {
    work.answered = now;
    work.made_then = made_;
    if (believed_at_once() && works_for_one(work.task)) {
      for (const NodePtr& call : work.calls) found(call, request, world);
    }
    if (watched_.size() >= kMostWaiting) watched_.pop_front();
    watched_.push_back(std::move(work));
  }
  waiting_.erase(it);
}

void BlockingTasks::advance(BootTime now, World& world) {
  while (!watched_.empty()) {
    const Work& first = watched_.front();
    const std::int64_t since = now - first.answered;
    const bool soon = since >= kSoonAfterwards && made_ - first.made_then >= kCallsOfOthers;
    if (since < kAfterwards && !soon) break;
    judge(std::move(watched_.front()));
    watched_.pop_front();
  }
  if (serves_one_.held >= kProven) take(world);
  take_slow(now, world);
}

void BlockingTasks::judge(Work work) {
  if (!works_for_one(work.task)) return;
  ends_.add(true);
  serves_one_.add(true);
  if (unproven_.size() < kMostWaiting) unproven_.push_back(std::move(work));
}

void BlockingTasks::take(World& world) {
  for (const Work& work : std::exchange(unproven_, {})) {
    if (fails(serves_one_) || !works_for_one(work.task)) continue;
    for (const NodePtr& call : work.calls) found(call, work.request, world);
  }
}

// Before it would be inferred whose they are.
void BlockingTasks::take_slow(BootTime now, World& world) {
  for (; !slow_.empty(); slow_.pop_front()) {
    const auto& [call, number] = slow_.front();
    if (call->decided) continue;
    if (now - call->opened < kSlow) return;
    const Task* const task = tasks_.peek(number);
    const NodePtr request = task != nullptr ? world.open.find(task->request) : nullptr;
    if (request && !request->answering && believed_at_once() && works_for_one(number)) found(call, request, world);
  }
}

void BlockingTasks::close(World& world) {
  for (Work& work : std::exchange(watched_, {})) judge(std::move(work));
  if (serves_one_.held >= kProven) take(world);
}

void BlockingTasks::clear() {
  tasks_.clear();
  waiting_.clear();
  watched_.clear();
  unproven_.clear();
  slow_.clear();
}

void BlockingTasks::found(const NodePtr& call, const NodePtr& request, World& world) {
  world.habits.tells_contexts(call->pid);  // no loop's turn says as much
  if (!call->decided) world.found(call, Claim{request, std::nullopt, "tokio", kConfidence});
}

}  // namespace wirespan
