#include "agent/capture/work_queues.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace wirespan {
namespace {

constexpr std::size_t kMostQueues = 256;
constexpr std::size_t kMostInside = 256;   // of a queue
constexpr std::size_t kMostTakers = 64;    // of a queue
constexpr std::size_t kMostActors = 1024;  // of a queue, of either sort
constexpr std::size_t kMostKnown = 8192;   // threads and contexts
constexpr std::uint32_t kRemembered = 256;
// So many pieces of work make a queue one that carries work, where of as many as this at most one was anything else.
constexpr std::uint32_t kHanded = 4;
constexpr std::uint32_t kHandedByTasks = 16;  // of which it shows later what they are
constexpr std::uint32_t kOthers = 8;
constexpr std::uint32_t kCallbacks = 16;
constexpr std::size_t kMostUndecided = 256;  // of a queue
constexpr std::size_t kDecideShare = 4;      // looked through again when a quarter as many were taken
constexpr std::uint32_t kUnused = 600;       // sweeps: a minute
// One in so many of those who take from it may serve (a request's thread that helps out), and of what goes into it one
// in so many may come from who takes from it (a piece that is to be tried again). More, and it is a pool of things.
constexpr std::uint32_t kTakersServe = 4;
constexpr std::uint32_t kComesBack = 4;

void remember(std::unordered_set<std::uint64_t>& set, std::uint64_t one) {
  if (set.size() >= kMostKnown && !set.contains(one)) set.clear();
  set.insert(one);
}

}  // namespace

WorkQueues::Known& WorkQueues::known(Who who) {
  return known_.use(who, kMostKnown);
}

const WorkQueues::Known* WorkQueues::find(Who who) const {
  return known_.peek(who);
}

void WorkQueues::born(const event::Lineage& lineage) {
  Who child = lineage.task;
  for (std::uint32_t i = 0; i < lineage.count; ++i) child = known(child).parent = lineage.ancestors[i];
}

bool WorkQueues::serving(Who who) const {
  const Known* known = find(who);
  if (known != nullptr && known->child_answers) return true;
  for (std::size_t generation = 0; generation <= event::Lineage::kMost && known != nullptr; ++generation) {
    if (known->serves) return true;
    known = find(known->parent);
  }
  return false;
}

bool WorkQueues::gives_for_a_request(Who who) const {
  if (const Known* const giver = find(who); giver != nullptr && giver->receives) return false;
  if (serving(who) || workers_.contains(who)) return true;
  const Known* const known = find(who);
  const Known* const parent = known != nullptr ? find(known->parent) : nullptr;
  return parent != nullptr && parent->child_answers;
}

void WorkQueues::acts(const Actor& actor) {
  if (actor.task != 0) remember(loops_, actor.thread.tid);
}

void WorkQueues::serves(const Actor& actor, bool answers) {
  acts(actor);
  known(who(actor)).serves = true;
  known(actor.thread.tid).serves = true;
  if (answers && actor.parent_task != 0) known(actor.parent_task).child_answers = true;
}

void WorkQueues::receives(const Actor& actor) {
  if (actor.task != 0) known(actor.task).receives = true;
}

void WorkQueues::gave(std::uint64_t queue, std::uint64_t object, const Actor& actor) {
  acts(actor);
  if (queues_.size() >= kMostQueues && !queues_.contains(queue)) {
    std::erase_if(queues_, [this](const auto& one) { return !follows(one.first); });
  }
  Queue& of = queues_[queue];
  if (of.inside.size() >= kMostInside) of.inside.clear();
  of.inside[object] = {who(actor), actor.thread.tid, actor.task != 0};
  ++of.given;
  if (of.took.contains(who(actor))) ++of.given_by_takers;
  if (of.gave.size() >= kMostActors) of.gave.clear();
  of.gave.insert(who(actor));
  if (of.given < kRemembered) return;
  of.given /= 2;
  of.given_by_takers /= 2;
}

WorkQueues::Change WorkQueues::took(std::uint64_t queue, std::uint64_t object, const Actor& actor) {
  const Who taker = who(actor);
  acts(actor);
  const bool unknown = queue == 0;
  if (unknown) queue = holder_of(object);
  const auto it = queues_.find(queue);
  if (it == queues_.end()) return Change::kNone;
  Queue& of = it->second;
  of.unknown = unknown;
  of.unused = 0;
  if (std::ranges::find(of.takers, taker) == of.takers.end()) {
    if (of.takers.size() < kMostTakers)
      of.takers.push_back(taker);
    else
      of.takers[of.next_taker++ % kMostTakers] = taker;
  }
  if (of.took.size() >= kMostActors) of.took.clear();
  of.took.insert(taker);
  const auto giver = of.inside.find(object);
  if (giver == of.inside.end()) return Change::kNone;
  const Giver from = giver->second;
  of.inside.erase(giver);
  const bool by_the_loop = actor.task == 0 && loops_.contains(taker);
  // To another thread all is given by its tasks that serves requests with whichever.
  const bool elsewhere = actor.task == 0 && taker != from.thread && serving(from.thread);
  const bool of_a_server = from.who != taker && (elsewhere || hands_over(queue, from.who, taker));
  // A loop takes callbacks on the thread of who gave them, outside of any context, also while it is not known to be
  // one.
  const bool perhaps_the_loop = actor.task == 0 && taker == from.thread;
  const Known* const giver_known = find(from.who);
  const bool receives = giver_known != nullptr && giver_known->receives;
  if (from.context && from.who != taker && !of_a_server && !perhaps_the_loop && !receives) {
    of.undecided.push_back({from.who, taker});
  } else {
    ++(of_a_server && !by_the_loop ? of.handed : of.other);
  }
  of.of_tasks = of.of_tasks || from.context;
  if (++of.looked_at * kDecideShare > of.undecided.size()) decide(queue, of);
  if (by_the_loop && ++of.by_loop >= kCallbacks && of.handed == 0 && std::exchange(callbacks_, queue) != queue)
    return Change::kMore;  // what is told, if nothing that is followed
  if (of.handed + of.other >= kRemembered) {
    of.handed /= 2;
    of.other /= 2;
  }
  return follow(queue, of);
}

// A worker that takes what another one gave is that one's next in line; one with work in hand takes something else
// (connections).
bool WorkQueues::hands_over(std::uint64_t queue, Who giver, Who taker) const {
  if (!gives_for_a_request(giver)) return false;
  return !workers_.contains(giver) || serving(giver) || !workers_.contains(taker) || follows(queue);
}

bool WorkQueues::gives_work(Who who, const Queue& queue) const {
  return !workers_.contains(who) && std::ranges::any_of(followed_, [&](std::uint64_t address) {
    const auto it = queues_.find(address);
    return it != queues_.end() && &it->second != &queue && it->second.gave.contains(who);
  });
}

void WorkQueues::decide(std::uint64_t address, Queue& queue) const {
  queue.looked_at = 0;
  const auto known = [&](const Undecided& one) {
    if (!gives_for_a_request(one.giver)) return false;
    ++(hands_over(address, one.giver, one.taker) ? queue.handed : queue.other);
    return true;
  };
  std::erase_if(queue.undecided, known);
  if (queue.undecided.size() < kMostUndecided) return;
  // They had time enough.
  const auto half = queue.undecided.begin() + kMostUndecided / 2;
  queue.other += kMostUndecided / 2;
  queue.undecided.erase(queue.undecided.begin(), half);
}

WorkQueues::Change WorkQueues::drop_unused() {
  const auto gone = std::erase_if(followed_, [this](std::uint64_t address) {
    const auto it = queues_.find(address);
    if (it != queues_.end() && ++it->second.unused < kUnused) return false;
    queues_.erase(address);
    return true;
  });
  return gone != 0 ? Change::kLess : Change::kNone;
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
  const auto serve =
      std::ranges::count_if(queue.takers, [&](Who taker) { return serving(taker) || gives_work(taker, queue); });
  return queue.handed >= (queue.of_tasks ? kHandedByTasks : kHanded) && queue.other * kOthers <= queue.handed &&
         static_cast<std::size_t>(serve) * kTakersServe <= queue.takers.size() &&
         queue.given_by_takers * kComesBack <= queue.given;
}

WorkQueues::Change WorkQueues::follow(std::uint64_t address, const Queue& queue) {
  const auto known = std::ranges::find(followed_, address);
  // Once it is followed, those of whom nothing is known yet change nothing.
  const bool sure = known != followed_.end() || queue.undecided.size() * kOthers <= queue.handed;
  const bool carries = sure && carries_work(queue);
  if (carries) {
    for (const Who taker : queue.takers) {
      if (!serving(taker)) remember(workers_, taker);
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
