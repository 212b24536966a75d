// A thread that is begun for a request: by the thread that works for it, to make calls beside others, and it ends with
// it. What else is begun while a request is served (a pool's first workers) goes on after the answer, so a thread shows
// by its end that it was begun for that request alone; until then its calls wait.
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/evidence/evidence.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 16'384;
constexpr std::size_t kMostCalls = 64;  // of a thread
// Whoever waits for a thread's end may be told of it before the kernel is.
constexpr std::int64_t kAfterwards = 250'000'000;
constexpr double kConfidence = 0.99;

class Begun : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "begun"; }
  [[nodiscard]] int rank() const override { return 51; }
  void restart() override {
    threads_.clear();
    order_.clear();
  }

  void event(const Event& event, World& world) override {
    if (const auto* forked = std::get_if<event::Forked>(&event)) {
      if (forked->child.pid == forked->parent.pid) began(*forked, world);
    } else if (const auto* exited = std::get_if<event::ThreadExited>(&event)) {
      ended(exited->thread.tid, exited->time, world);
    } else if (const auto* tick = std::get_if<event::Tick>(&event)) {
      forget(tick->time);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      threads_.erase(missed->thread.tid);
    }
  }

  void opened(const NodePtr& node, World& /*world*/) override {
    const auto it = threads_.find(node->exchange->request->first_byte.actor.thread.tid);
    if (it == threads_.end()) return;
    // One that serves requests was begun for those; one that makes calls after the answer, for others as well.
    const bool goes_on = it->second.request->finished || it->second.calls.size() >= kMostCalls;
    if (node->role == SpanRole::kServer || goes_on) {
      threads_.erase(it);
    } else {
      it->second.calls.push_back(node);
    }
  }

 private:
  struct Thread {
    NodePtr request;
    std::vector<NodePtr> calls;
    BootTime over{};  // when the request was first seen to be
  };

  void began(const event::Forked& forked, World& world) {
    const std::uint32_t parent = forked.parent.tid;
    NodePtr request;
    if (const auto own = threads_.find(parent); own != threads_.end()) {
      request = own->second.request;
    } else if (world.open.serving_by_thread(parent) == 1) {
      const Activation* const activation = world.activations.find_thread(parent);
      request = activation != nullptr ? world.open.find(activation->node) : nullptr;
      if (request && request->home_tid != parent) request = nullptr;
    }
    threads_.erase(forked.child.tid);  // the number of one that is long gone
    if (!request || request->answering) return;
    if (threads_.size() >= kMostThreads) restart();
    threads_[forked.child.tid].request = request;
    order_.emplace_back(forked.child.tid, std::move(request));
  }

  void ended(std::uint32_t tid, BootTime when, World& world) {
    const auto it = threads_.find(tid);
    if (it == threads_.end()) return;
    const Thread thread = std::move(it->second);
    threads_.erase(it);
    if ((thread.over.ns != 0 && when - thread.over >= kAfterwards) ||
        world.habits.of(thread.request->pid) == ThreadHabits::Verdict::kMoves)
      return;
    for (const NodePtr& call : thread.calls) {
      if (!call->decided && !call->blind && call->pid == thread.request->pid)
        world.found(call, Claim{thread.request, std::nullopt, "begun", kConfidence});
    }
  }

  // Those that go on when their request is over.
  void forget(BootTime now) {
    for (std::size_t n = order_.size(); n > 0; --n) {
      auto [tid, request] = std::move(order_.front());
      order_.pop_front();
      const auto it = threads_.find(tid);
      if (it == threads_.end() || it->second.request != request) continue;
      Thread& thread = it->second;
      if (request->finished && thread.over.ns == 0) thread.over = now;
      if (thread.over.ns != 0 && now - thread.over >= kAfterwards)
        threads_.erase(it);
      else
        order_.emplace_back(tid, std::move(request));
    }
  }

  std::unordered_map<std::uint32_t, Thread> threads_;    // alive, by tid
  std::deque<std::pair<std::uint32_t, NodePtr>> order_;  // of these, and of some that ended
};

}  // namespace

std::unique_ptr<Evidence> make_begun() {
  return std::make_unique<Begun>();
}

}  // namespace wirespan
