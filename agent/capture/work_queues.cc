#include "agent/capture/work_queues.h"

#include <algorithm>
#include <iterator>

namespace wirespan {
namespace {

constexpr std::size_t kMostQueues = 256;
constexpr std::size_t kMostInside = 256;  // of a queue
constexpr std::size_t kMostTakers = 64;   // of a queue
constexpr std::size_t kMostThreads = 8192;
constexpr std::uint32_t kRemembered = 256;
// So many pieces of work make a queue one that carries work, where of as many as this at most one was anything else.
constexpr std::uint32_t kHanded = 4;
constexpr std::uint32_t kOthers = 8;
// One in so many of those who take from it may serve (a request's thread that helps out), and of what goes into it one
// in so many may come from who takes from it (a piece that is to be tried again). More, and it is a pool of things.
constexpr std::uint32_t kTakersServe = 4;
constexpr std::uint32_t kComesBack = 4;

void remember(std::unordered_set<std::uint32_t>& set, std::uint32_t tid) {
  if (set.size() >= kMostThreads && !set.contains(tid)) set.clear();
  set.insert(tid);
}

}  // namespace

void WorkQueues::serves(std::uint32_t tid) {
  remember(servers_, tid);
}

void WorkQueues::gave(std::uint64_t queue, std::uint64_t object, std::uint32_t tid) {
  if (queues_.size() >= kMostQueues && !queues_.contains(queue)) {
    std::erase_if(queues_, [this](const auto& one) { return !follows(one.first); });
  }
  Queue& of = queues_[queue];
  if (of.inside.size() >= kMostInside) of.inside.clear();
  of.inside[object] = tid;
  ++of.given;
  if (std::ranges::find(of.takers, tid) != of.takers.end()) ++of.given_by_takers;
  if (of.given < kRemembered) return;
  of.given /= 2;
  of.given_by_takers /= 2;
}

WorkQueues::Change WorkQueues::took(std::uint64_t queue, std::uint64_t object, std::uint32_t tid) {
  const bool unknown = queue == 0;
  if (unknown) queue = holder_of(object);
  const auto it = queues_.find(queue);
  if (it == queues_.end()) return Change::kNone;
  Queue& of = it->second;
  of.unknown = unknown;
  if (std::ranges::find(of.takers, tid) == of.takers.end()) {
    if (of.takers.size() < kMostTakers)
      of.takers.push_back(tid);
    else
      of.takers[of.next_taker++ % kMostTakers] = tid;
  }
  const auto giver = of.inside.find(object);
  if (giver == of.inside.end()) return Change::kNone;
  const std::uint32_t from = giver->second;
  of.inside.erase(giver);
  ++(from != tid && (servers_.contains(from) || workers_.contains(from)) ? of.handed : of.other);
  if (of.handed + of.other >= kRemembered) {
    of.handed /= 2;
    of.other /= 2;
  }
  return follow(queue, of);
}

std::uint64_t WorkQueues::holder_of(std::uint64_t object) const {
  const auto it = std::ranges::find_if(queues_, [&](const auto& one) { return one.second.inside.contains(object); });
  return it == queues_.end() ? 0 : it->first;
}

bool WorkQueues::follows(std::uint64_t queue) const {
  return std::ranges::find(followed_, queue) != followed_.end();
}

bool WorkQueues::takes_unknown() const {
  return std::ranges::any_of(followed_, [this](std::uint64_t one) {
    const auto it = queues_.find(one);
    return it != queues_.end() && it->second.unknown;
  });
}

bool WorkQueues::carries_work(const Queue& queue) const {
  const auto serve = std::ranges::count_if(queue.takers, [this](std::uint32_t tid) { return serving(tid); });
  return queue.handed >= kHanded && queue.other * kOthers <= queue.handed &&
         static_cast<std::size_t>(serve) * kTakersServe <= queue.takers.size() &&
         queue.given_by_takers * kComesBack <= queue.given;
}

WorkQueues::Change WorkQueues::follow(std::uint64_t address, const Queue& queue) {
  const bool carries = carries_work(queue);
  const auto known = std::ranges::find(followed_, address);
  if (carries) {
    for (const std::uint32_t tid : queue.takers) {
      if (!serving(tid)) remember(workers_, tid);
    }
  }
  if (carries == (known != followed_.end())) return Change::kNone;
  if (!carries) {
    followed_.erase(known);
    return Change::kLess;
  }
  const bool full = followed_.size() >= kMostFollowed;
  if (full) followed_.erase(followed_.begin());
  followed_.push_back(address);
  return full ? Change::kLess : Change::kMore;
}

}  // namespace wirespan
