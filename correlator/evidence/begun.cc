// A thread that is begun for a request: by the thread that works for it, to make calls beside others, and it ends with
// it. What else is begun while a request is served (a pool's first workers) goes on after the answer, so a thread shows
// by its end that it was begun for that request alone; until then its calls wait. So do those of threads that it
// begins: a pool's that ends early may have been begun by one that goes on.
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/evidence/evidence.h"
#include "correlator/evidence/served_alone.h"

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
    } else if (const auto* wake = std::get_if<event::Wake>(&event)) {
      // It is kept for the next, and begins anew (`resumed`).
      if (!wake->alone) return;
      if (const auto it = threads_.find(wake->wakee.tid); it != threads_.end()) erase(it, Fate::kWentOn);
    } else if (const auto* tick = std::get_if<event::Tick>(&event)) {
      forget(tick->time);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      if (const auto it = threads_.find(missed->thread.tid); it != threads_.end()) erase(it, Fate::kWentOn);
    }
  }

  void opened(const NodePtr& node, World& /*world*/) override {
    const auto it = threads_.find(node->exchange->request->first_byte.actor.thread.tid);
    if (it == threads_.end()) return;
    // One that serves requests was begun for those; one that makes calls after the answer, for others as well.
    const bool goes_on = it->second.request->finished || it->second.calls.size() >= kMostCalls;
    if (node->role == SpanRole::kServer || goes_on) {
      erase(it, Fate::kWentOn);
    } else {
      it->second.calls.push_back(node);
    }
  }

 private:
  enum class Fate : std::uint8_t { kAlive, kEnded, kWentOn };
  struct Thread {
    NodePtr request;
    std::shared_ptr<Fate> fate = std::make_shared<Fate>(Fate::kAlive);
    std::uint32_t by = 0;  // who began it: another such thread, 0: the request's own
    std::shared_ptr<Fate> by_fate;
    std::vector<NodePtr> calls;
    BootTime over{};  // when the request was first seen to be
  };

  using Threads = std::unordered_map<std::uint32_t, Thread>;
  void erase(Threads::iterator it, Fate fate) {
    *it->second.fate = fate;
    threads_.erase(it);
  }

  void began(const event::Forked& forked, World& world) {
    const std::uint32_t parent = forked.parent.tid;
    NodePtr request;
    std::shared_ptr<Fate> by_fate;
    if (const auto own = threads_.find(parent); own != threads_.end()) {
      request = own->second.request;
      by_fate = own->second.fate;
    } else {
      request = served_alone(parent, world);
    }
    // The number of one that is long gone.
    if (const auto old = threads_.find(forked.child.tid); old != threads_.end()) erase(old, Fate::kWentOn);
    if (!request || request->answering) return;
    if (threads_.size() >= kMostThreads) restart();
    Thread& thread = threads_[forked.child.tid];
    thread.request = request;
    thread.by = parent;
    thread.by_fate = std::move(by_fate);
    order_.emplace_back(forked.child.tid, std::move(request));
  }

  void ended(std::uint32_t tid, BootTime when, World& world) {
    const auto it = threads_.find(tid);
    if (it == threads_.end()) return;
    const Thread thread = std::move(it->second);
    threads_.erase(it);
    const Fate by = thread.by_fate ? *thread.by_fate : Fate::kEnded;
    if (const auto parent = threads_.find(thread.by); by == Fate::kAlive && parent != threads_.end()) {
      *thread.fate = Fate::kEnded;
      auto& calls = parent->second.calls;
      if (calls.size() + thread.calls.size() <= kMostCalls)
        calls.insert(calls.end(), thread.calls.begin(), thread.calls.end());
      return;
    }
    *thread.fate = by == Fate::kEnded ? Fate::kEnded : Fate::kWentOn;
    if (by != Fate::kEnded) return;
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
        erase(it, Fate::kWentOn);
      else
        order_.emplace_back(tid, std::move(request));
    }
  }

  Threads threads_;                                      // alive, by tid
  std::deque<std::pair<std::uint32_t, NodePtr>> order_;  // of these, and of some that ended
};

}  // namespace

std::unique_ptr<Evidence> make_begun() {
  return std::make_unique<Begun>();
}

}  // namespace wirespan
