// A thread of a pool that takes a piece of work out of a queue works for whoever put it there, until it comes back to
// the queue (Python's concurrent.futures: the object that goes through the queue joins both).
//
// A thread gives work for the request it has read and works for, or for which it does a piece of work itself. Nothing
// is said where it has an event loop (acceptors: their workers answer, evidence/worker), where it has read several
// requests, or once the answer began: what is still done then is not waited for.
//
// A task gives work as if its context had been copied at that moment, as asyncio.to_thread() does: Errands puts that into
// what the pool's thread does, and evidence/task knows the rest.
#include <unordered_map>
#include <utility>

#include "base/hash.h"
#include "correlator/evidence/evidence.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostGiven = 16'384;  // of all processes, twice; past it those given longest ago are forgotten
constexpr double kConfidence = 0.99;

class ByErrand : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "errand"; }
  // Before `thread`: what its thread heard last may have been of the errand before.
  [[nodiscard]] int rank() const override { return 28; }
  void restart() override {
    young_.clear();
    old_.clear();
  }

  void event(const Event& event, World& world) override {
    if (const auto* handover = std::get_if<event::Handover>(&event)) {
      if (handover->role == event::Handover::Role::kGives)
        give(*handover, world);
      else if (handover->role == event::Handover::Role::kTakes)
        take(*handover, world);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      world.errands.forget(missed->thread.tid);
    } else if (const auto* exited = std::get_if<event::ThreadExited>(&event)) {
      world.errands.forget(exited->thread.tid);
    }
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    const Actor& actor = node.exchange->request->first_byte.actor;
    const Errand* const errand = actor.task == 0 && actor.loop < 2 ? world.errands.find(actor.thread.tid) : nullptr;
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
  using Given = std::unordered_map<std::uint64_t, Errand>;

  static std::uint64_t key(const event::Handover& handover) {
    return combine64(mix64(handover.actor.thread.pid), handover.object);
  }

  // What is at an object's address since: a piece of work goes through one queue, once.
  void give(const event::Handover& handover, const World& world) {
    if (young_.size() >= kMostGiven) {
      old_ = std::move(young_);
      young_.clear();
    }
    young_[key(handover)] = work_of(handover, world);
  }

  static Errand work_of(const event::Handover& given, const World& world) {
    const Actor& giver = given.actor;
    if (is_context(giver.task)) return {.task = kContextTask | given.time.ns, .parent_task = giver.task};
    const std::uint32_t tid = giver.thread.tid;
    if (giver.task != 0 || giver.loop >= 2) return {};
    const std::uint32_t read = world.open.serving_by_thread(tid);
    if (read == 0) {
      const Errand* const own = world.errands.find(tid);
      return own != nullptr ? *own : Errand{};
    }
    const Activation* const activation = world.activations.find_thread(tid);
    if (read > 1 || activation == nullptr || activation->loop != giver.loop) return {};
    const NodePtr node = world.open.find(activation->node);
    // Not of one that it does not answer itself, for all that is seen.
    if (!node || node->home_tid != tid || node->answering) return {};
    return {.node = node->number};
  }

  void take(const event::Handover& handover, World& world) {
    const std::uint32_t tid = handover.actor.thread.tid;
    Errand errand;
    for (Given* const given : {&young_, &old_}) {
      const auto it = handover.object == 0 ? given->end() : given->find(key(handover));
      if (it == given->end()) continue;
      if (errand.taken.ns == 0) errand = it->second;
      errand.taken = handover.time;
      given->erase(it);
    }
    world.errands.set(tid, errand);
    // What it was heard to do before was for somebody else.
    if (world.open.serving_by_thread(tid) == 0) world.activations.forget_thread(tid);
  }

  Given young_;
  Given old_;
};

}  // namespace

std::unique_ptr<Evidence> make_errand() {
  return std::make_unique<ByErrand>();
}

}  // namespace wirespan
