// A thread of a pool that takes a piece of work out of a queue works for whoever put it there, until it comes back to
// the queue (Python's concurrent.futures, and queues that were found to carry work: the object that goes through the
// queue joins both).
//
// A thread gives work for the request it has read and works for, or for which it does a piece of work itself. Nothing
// is said where it has read several, has been back in an event loop since, or is not who answers (acceptors: their
// workers do, evidence/worker), nor once the answer began: what is still done then is not waited for.
//
// A task gives work as if its context had been copied at that moment, as asyncio.to_thread() does: Errands puts that
// into what the pool's thread does, or the task that took it (asyncio.Queue), and evidence/task knows the rest.
//
// Addresses are used again, so what was given and is not seen to be taken must not stay: what comes out of a queue
// shows that all that went into it before has come out as well. An object may be in a queue twice, and be older there
// than what is told: queues are lines, of which it is told how long they are.
#include <algorithm>
#include <deque>
#include <iterator>
#include <unordered_map>
#include <utility>

#include "base/hash.h"
#include "correlator/evidence/evidence.h"
#include "model/turn.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostGiven = 32'768;  // and not taken, of all processes; past it all are forgotten
constexpr std::size_t kMostInLine = 8192;   // of one queue; past it its oldest
constexpr std::size_t kMostProcesses = 65'536;
constexpr double kConfidence = 0.99;

class ByErrand : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "errand"; }
  // Before `thread`: what its thread heard last may have been of the errand before.
  [[nodiscard]] int rank() const override { return 28; }
  void restart() override {
    given_.clear();
    queues_.clear();
    waiting_ = 0;
  }

  void event(const Event& event, World& world) override {
    if (const auto* handover = std::get_if<event::Handover>(&event)) {
      handed_over(*handover, world);
    } else if (const auto* lineage = std::get_if<event::Lineage>(&event)) {
      world.errands.born(*lineage);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      missed_by(missed->thread, world);
    } else if (const auto* exited = std::get_if<event::ThreadExited>(&event)) {
      world.errands.forget(exited->thread.tid);
    } else if (const auto* ended = std::get_if<event::ProcessExited>(&event)) {
      forget(ended->pid, world);
      unwatched_.erase(ended->pid);
    }
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    const Actor& actor = node.exchange->request->first_byte.actor;
    const Errand* const errand = actor.task == 0 ? world.errands.find(actor.thread.tid) : nullptr;
    if (errand == nullptr || errand->node == 0 || node.opened < errand->taken) return std::nullopt;
    // It may be for one that it has read itself.
    if (world.open.serving_by_thread(actor.thread.tid) > 0) return std::nullopt;
    NodePtr parent = world.open.find(errand->node);
    if (!parent || parent->pid != node.pid || parent->answering) return std::nullopt;
    const auto verdict = world.habits.of(node.pid);
    if (verdict == ThreadHabits::Verdict::kMoves) return std::nullopt;
    return Claim{std::move(parent), std::nullopt, "errand", kConfidence, verdict == ThreadHabits::Verdict::kUnknown};
  }

 private:
  struct Given {
    std::uint64_t number = 0;
    std::uint64_t what = 0;
    Errand errand;
  };
  using Order = std::deque<Given>;
  struct Queue {  // never empty
    std::uint32_t pid = 0;
    Order order;
  };
  struct Place {
    std::uint64_t queue = 0;
    std::uint64_t number = 0;  // the last time it was given
  };

  static std::uint64_t key(std::uint32_t pid, std::uint64_t address) { return combine64(mix64(pid), address); }

  void handed_over(const event::Handover& handover, World& world) {
    using Role = event::Handover::Role;
    const std::uint32_t pid = handover.actor.thread.pid;
    if (handover.role == Role::kUnwatched || handover.role == Role::kWatched) {
      forget(pid, world);
      if (unwatched_.size() >= kMostProcesses) unwatched_.clear();
      unwatched_[pid] = handover.time;
    } else if (const auto since = unwatched_.find(pid); since != unwatched_.end() && handover.time <= since->second) {
      return;  // from before that
    } else if (handover.role == Role::kGives) {
      give(handover, world);
    } else if (handover.role == Role::kTakes) {
      take(handover, world);
    }
  }

  void forget(std::uint32_t pid, World& world) {
    world.errands.forget_process(pid);
    for (auto it = queues_.begin(); it != queues_.end();) {
      while (it->second.pid == pid && !it->second.order.empty()) drop_first(it->second.order);
      it = it->second.order.empty() ? queues_.erase(it) : std::next(it);
    }
  }

  void give(const event::Handover& handover, const World& world) {
    if (waiting_ >= kMostGiven) restart();
    const std::uint32_t pid = handover.actor.thread.pid;
    const std::uint64_t what = key(pid, handover.object);
    const std::uint64_t where = key(pid, handover.place);
    given_[what] = {where, ++numbers_};
    Queue& queue = queues_[where];
    queue.pid = pid;
    queue.order.push_back({numbers_, what, work_of(handover, world)});
    ++waiting_;
    if (queue.order.size() > kMostInLine) drop_first(queue.order);
  }

  static Errand work_of(const event::Handover& given, const World& world) {
    const Actor& giver = given.actor;
    if (is_context(giver.task)) {
      const Errand* const own = world.errands.find_task(giver.thread.pid, giver.task);
      if (own != nullptr) return *own;
      return {.task = kContextTask | given.time.ns, .parent_task = giver.task};
    }
    const std::uint32_t tid = giver.thread.tid;
    if (giver.task != 0) return {};
    const std::uint32_t read = world.open.serving_by_thread(tid);
    if (read == 0) {
      const Errand* const own = world.errands.find(tid);
      return own != nullptr ? *own : Errand{};
    }
    const Activation* const activation = world.activations.find_thread(tid);
    if (read > 1 || activation == nullptr || !in_turn(giver, *activation, world)) return {};
    const NodePtr node = world.open.find(activation->node);
    // Not of one that it does not answer itself, for all that is seen.
    if (!node || node->home_tid != tid || node->answering) return {};
    return {.node = node->number};
  }

  // Whether it has not been back in epoll_wait since. Where threads stay with their requests it does not matter that
  // that wait would be over by now: there are no timers.
  static bool in_turn(const Actor& giver, const Activation& since, const World& world) {
    if (!turn_known(giver) || since.loop == giver.loop) return turn_known(giver);
    const bool stays = world.habits.of(giver.thread.pid) == ThreadHabits::Verdict::kStays;
    return stays && (since.loop | 1U) == (giver.loop | 1U);
  }

  void take(const event::Handover& handover, World& world) {
    const std::uint32_t tid = handover.actor.thread.tid;
    Errand errand;
    if (handover.object != 0) {
      errand = taken(handover);
      errand.taken = handover.time;
    }
    errand.pid = handover.actor.thread.pid;
    if (is_context(handover.actor.task)) return world.errands.set_task(handover.actor.task, errand);
    world.errands.set(tid, errand);
    // What it was heard to do before was for somebody else.
    if (world.open.serving_by_thread(tid) == 0) world.activations.forget_thread(tid);
  }

  // Nothing where it was not seen to be given, or that has come out already, by what has come out behind it.
  Errand taken(const event::Handover& handover) {
    const std::uint32_t pid = handover.actor.thread.pid;
    const std::uint64_t what = key(pid, handover.object);
    std::uint64_t where = handover.place != 0 ? key(pid, handover.place) : 0;
    if (where == 0) {
      const auto given = given_.find(what);
      if (given == given_.end()) return {};
      where = given->second.queue;
    }
    const auto queue = queues_.find(where);
    if (queue == queues_.end()) return {};
    Order& order = queue->second.order;
    auto first = order.begin();
    if (handover.queued != 0) {
      // As many are in it: what is behind is what was given last. Of those before that it was not seen.
      if (order.size() < handover.queued) return {};
      while (order.size() > handover.queued) drop_first(order);
      first = order.begin();
      // Something else was done with it.
      if (first->what != what) first = order.end();
    } else {
      first = std::ranges::find(order, what, &Given::what);
      if (first == order.end()) return {};
    }
    const Errand errand = first == order.end() ? Errand{} : first->errand;
    const auto last = first == order.end() ? static_cast<std::ptrdiff_t>(order.size()) - 1 : first - order.begin();
    for (auto left = last; left >= 0; --left) drop_first(order);
    if (order.empty()) queues_.erase(queue);
    return errand;
  }

  void drop_first(Order& order) {
    const auto it = given_.find(order.front().what);
    if (it != given_.end() && it->second.number == order.front().number) given_.erase(it);
    order.pop_front();
    --waiting_;
  }

  // It may have taken something: then that was the first in its queue.
  void missed_by(const ThreadRef& thread, World& world) {
    world.errands.forget(thread.tid);
    world.errands.forget_tasks(thread.pid);
    if (world.open.serving_by_thread(thread.tid) > 0) return;
    for (auto it = queues_.begin(); it != queues_.end();) {
      if (it->second.pid == thread.pid) drop_first(it->second.order);
      it = it->second.order.empty() ? queues_.erase(it) : std::next(it);
    }
  }

  std::unordered_map<std::uint64_t, Place> given_;
  std::unordered_map<std::uint64_t, Queue> queues_;
  std::unordered_map<std::uint32_t, BootTime> unwatched_;  // since when some of a process is told no longer, or anew
  std::uint64_t numbers_ = 0;
  std::size_t waiting_ = 0;  // in all queues
};

}  // namespace

std::unique_ptr<Evidence> make_errand() {
  return std::make_unique<ByErrand>();
}

}  // namespace wirespan
