// Threads that read a request, have others make its calls and wait for them: who reads a call's response wakes, itself
// or by others, the thread that waits for it. So a response is followed from its reader through those it wakes, up to
// the first thread that serves a request: pools that make calls one by one (no step between), clients with threads of
// their own (java.net.http: one), both (two).
//
// A lock that is let go wakes threads as well. So only what came the way in this process that responses come again and
// again, by as many steps, is believed; and only where one request alone was woken until whoever woke it went on to
// something else. What is woken by accident is often a request that is younger than the call: where that happens more
// than once in a while nothing is said.
//
// A thread may make several calls before it wakes who waits for all of them. Those before the last are that request's
// as well where, in this process, requests have one thread work for them, and those who woke a thread that went on to
// make several calls were the ones it woke in the end. (Where only the last of several threads wakes who waits for all,
// it is not so.)
#include <algorithm>
#include <array>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;
constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostPending = 65'536;
constexpr std::size_t kMostWaiting = 1024;
constexpr std::size_t kMostBefore = 32;
constexpr std::size_t kMostSteps = 4;
// Who was woken by accident was woken before the one that waits for the response, and not long before.
constexpr std::int64_t kSettled = 20'000'000;
constexpr std::int64_t kAtMost = 1'500'000'000;     // a call waits for its request's answer; inference is not later
constexpr std::int64_t kForgotten = 1'000'000'000;  // who worked for a request, after its answer
constexpr float kProven = 32;
constexpr float kBegan = 12;
constexpr float kRare = 100;
// Of the requests open, answers go to one in so many of those longest woken. By accident as often.
constexpr std::size_t kPromptly = 4;
constexpr float kRareLate = 2;
constexpr float kRareLocks = 10;
constexpr float kLately = 256;
// Locks, and workers that come too late for what they were woken for.
constexpr float kRareSeveral = 4;
constexpr float kRareOther = 3;
constexpr float kFirst = 64;  // requests
constexpr float kRareMixed = 4;
constexpr float kUsual = 8;  // one in so many comes by as many steps
constexpr double kConfidence = 0.98;

class Awaited : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "awaited"; }
  [[nodiscard]] int rank() const override { return 37; }

  void restart() override {
    threads_.clear();
    pending_.clear();
    order_.clear();
    workers_.clear();
    ended_.clear();
    for (auto& [pid, process] : processes_) process.waiting.clear();
  }
  void closing(World& world) override { settle({~std::uint64_t{0} >> 1U}, world); }

  void event(const Event& event, World& world) override {
    if (const auto* wake = std::get_if<event::Wake>(&event)) {
      if (wake->waker.thread.pid == wake->wakee.pid) woken(*wake, world);
    } else if (const auto* tick = std::get_if<event::Tick>(&event)) {
      settle(tick->time, world);
    } else if (const auto* forked = std::get_if<event::Forked>(&event)) {
      if (!follows(forked->parent.pid)) return;
      const auto parent = threads_.find(forked->parent.tid);
      if (forked->child.pid == forked->parent.pid && parent != threads_.end() && parent->second.serves != 0) {
        const std::uint64_t serves = parent->second.serves;
        thread_of(forked->child.tid).began_for = serves;
      }
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    } else if (const auto* ended = std::get_if<event::ThreadExited>(&event)) {
      threads_.erase(ended->thread.tid);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      threads_.erase(missed->thread.tid);
    }
  }

  void opened(const NodePtr& node, World& /*world*/) override {
    if (!follows(node->pid)) return;
    const Message& request = *node->exchange->request;
    if (node->role == SpanRole::kServer) {
      const Actor& actor = request.last_byte.actor;
      Thread& thread = thread_of(actor.thread.tid);
      thread = {};
      if (actor.task == 0) thread.serves = node->number;
    } else if (const auto it = threads_.find(request.first_byte.actor.thread.tid); it != threads_.end()) {
      it->second.go_on();
    }
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (touched.kind != MessageKind::kResponse || !touched.first || !follows(node->pid)) return;
    const std::uint32_t tid = touched.touch.actor.thread.tid;
    if (node->role == SpanRole::kServer) answered(*node, world);
    if (node->role == SpanRole::kClient) {
      ++process_of(node->pid).responses;
      thread_of(tid).take({node, 0});
    } else if (const auto it = threads_.find(tid); it != threads_.end()) {
      it->second = {};
    }
  }

  void finished(const NodePtr& node, World& /*world*/) override {
    if (node->role != SpanRole::kServer) return;
    const auto it = workers_.find(node->number);
    if (it == workers_.end()) return;
    process_of(node->pid).one_worker.add(!it->second.several);
    ended_.emplace_back(node->exchange->ended, node->number);
  }

 private:
  // A response on its way.
  struct Carried {
    NodePtr call;
    std::uint8_t steps = 0;
    bool awaited = false;  // somebody was woken who serves a request
    // Who has it was woken for something else: to go on, when it waited for a lock, or to begin something new.
    bool interrupted = false;
  };
  struct Thread {
    std::uint64_t serves = 0;     // a request, by its number
    std::uint64_t began_for = 0;  // the request whose thread woke or began it when it had nothing to do
    // The last request whose thread woke it at all, and how many it had of `before` then.
    std::uint64_t last_waker = 0;
    std::size_t before_it = 0;
    Carried carried;
    std::vector<Carried> before;  // whose responses it had, and told nobody of

    // Not one that is in the middle of something, and waited for a lock.
    void begin(std::uint64_t request) {
      last_waker = request;
      before_it = before.size() + (carried.call && !carried.awaited ? 1 : 0);
      if (before.empty() && (!carried.call || carried.awaited)) began_for = request;
    }
    // It waited for a lock that whoever brings the other had.
    [[nodiscard]] bool is_nearer(const Carried& other) const {
      return carried.call && !carried.awaited && carried.steps < other.steps;
    }
    void take(Carried next) {
      go_on();
      carried = std::move(next);
    }
    void go_on() {
      if (before.size() >= kMostBefore) before.clear();  // it works for many
      if (carried.call && !carried.awaited) before.push_back(std::move(carried));
      carried = {};
    }
  };
  // A call, and the request that was woken with its response.
  struct Pending {
    NodePtr call;
    NodePtr request;  // null: only some that cannot be
    std::uint8_t steps = 0;
    bool interrupted = false;
    bool several = false;
    std::uint32_t worker = 0;  // who woke it
    std::vector<Carried> before;
  };
  struct Worker {
    std::uint32_t tid = 0;
    bool several = false;
    std::uint64_t responses = 0;  // read by its process then
  };
  struct Process {
    std::array<std::array<TrackRecord, kMostSteps>, 2> by_steps;  // without interruption, and with one
    std::uint64_t responses = 0;
    TrackRecord alone;       // of late: one request was woken, and not several
    TrackRecord prompt;      // woken, it answered
    TrackRecord one_worker;  // a request's calls were all made by one thread
    TrackRecord began;       // what it was begun for was done in the end
    std::vector<Pending> waiting;
  };

  // Of most processes no wake-ups are told: nothing is kept of those.
  [[nodiscard]] bool follows(std::uint32_t pid) const { return processes_.contains(pid); }
  Thread& thread_of(std::uint32_t tid) {
    if (threads_.size() >= kMostThreads && !threads_.contains(tid)) threads_.clear();
    return threads_[tid];
  }
  Process& process_of(std::uint32_t pid) {
    if (processes_.size() >= kMostProcesses && !processes_.contains(pid)) processes_.clear();
    return processes_[pid];
  }

  static NodePtr served_by(const Thread& thread, std::uint32_t tid, World& world) {
    if (thread.serves == 0 || world.open.serving_by_thread(tid) != 1) return nullptr;
    return world.open.find(thread.serves);
  }

  void woken(const event::Wake& wake, World& world) {
    process_of(wake.wakee.pid);  // followed from now on
    const auto waker = threads_.find(wake.waker.thread.tid);
    const auto wakee = threads_.find(wake.wakee.tid);
    const bool serves = wakee != threads_.end() && wakee->second.serves != 0;
    if (waker == threads_.end()) return;
    if (waker->second.serves != 0 && !serves) return thread_of(wake.wakee.tid).begin(waker->second.serves);
    if (!waker->second.carried.call) {
      if (!serves && wakee != threads_.end()) wakee->second.carried.interrupted = true;
      return;
    }
    const Carried next{waker->second.carried.call, static_cast<std::uint8_t>(waker->second.carried.steps + 1)};
    if (serves) {
      waker->second.carried.awaited = true;
      if (const NodePtr request = served_by(wakee->second, wake.wakee.tid, world); request)
        await(wake, waker->second, request);
    } else if (next.steps < kMostSteps && (wakee == threads_.end() || !wakee->second.is_nearer(next))) {
      thread_of(wake.wakee.tid).take(next);
    }
  }

  void await(const event::Wake& wake, Thread& waker, const NodePtr& request) {
    const Carried& carried = waker.carried;
    if (carried.call->pid != request->pid || pending_.size() >= kMostPending) return;
    const auto [it, fresh] = pending_.try_emplace(carried.call->number);
    Pending& pending = it->second;
    if (fresh) {
      pending.call = carried.call;
      pending.steps = carried.steps;
      pending.interrupted = carried.interrupted;
      order_.emplace_back(wake.time, carried.call->number);
    }
    if (request->opened > carried.call->opened || pending.request == request) return;
    pending.several = pending.request != nullptr;
    pending.request = request;
    pending.steps = carried.steps;
    pending.interrupted = carried.interrupted;
    pending.worker = wake.waker.thread.tid;
    pending.before = std::exchange(waker.before, {});
    // What it had done when it was begun is another's.
    if (std::exchange(waker.last_waker, 0) == request->number && waker.before_it <= pending.before.size())
      pending.before.erase(pending.before.begin(),
                           pending.before.begin() + static_cast<std::ptrdiff_t>(waker.before_it));
    const std::uint64_t began_for = std::exchange(waker.began_for, 0);
    if (began_for != 0 && !pending.before.empty()) process_of(request->pid).began.add(began_for == request->number);
    works_for(pending.worker, *request);
  }

  void settle(BootTime now, World& world) {
    while (!order_.empty() && now - order_.front().first >= kSettled) {
      const auto it = pending_.find(order_.front().second);
      order_.pop_front();
      if (it == pending_.end()) continue;
      if (!over(it->second, now)) {
        order_.emplace_back(now, it->first);
        continue;
      }
      Pending pending = std::move(it->second);
      pending_.erase(it);
      decide(std::move(pending), world);
    }
    for (; !ended_.empty() && now - ended_.front().first >= kForgotten; ended_.pop_front())
      workers_.erase(ended_.front().second);
  }

  // Where one thread works for a request, who wakes it last is who did: that is known once it is answered.
  bool over(const Pending& pending, BootTime now) {
    if (!pending.request || pending.request->finished || now - pending.call->opened >= kAtMost) return true;
    return !process_of(pending.call->pid).one_worker.trusted(kProven, kRareMixed);
  }

  void decide(Pending pending, World& world) {
    Process& process = process_of(pending.call->pid);
    TrackRecord& record = process.by_steps[pending.interrupted ? 1 : 0][pending.steps];
    process.alone.add(!pending.several, 1, kLately);
    if (!process.alone.trusted(0, kRareLocks)) process.waiting.clear();
    if (pending.several || pending.call->blind || !process.alone.trusted(0, kRareLocks)) return;
    record.add(pending.request != nullptr);
    if (!pending.request || !usual(process, pending.steps)) return;
    if (pending.call->holder != 0 && pending.call->holder != pending.request->number) return;
    const auto worker = workers_.find(pending.request->number);
    if (process.one_worker.trusted(kProven, kRareMixed) && worker != workers_.end() &&
        worker->second.tid != pending.worker)
      return;
    if (!process.prompt.trusted(0, kRareLate) && process.prompt.failed > kProven) return process.waiting.clear();
    if (world.habits.of(pending.call->pid) == ThreadHabits::Verdict::kMoves) return process.waiting.clear();
    if (process.waiting.size() >= kMostWaiting) process.waiting.clear();
    process.waiting.push_back(std::move(pending));
    std::erase_if(process.waiting, [&](Pending& one) {
      const TrackRecord& its = process.by_steps[one.interrupted ? 1 : 0][one.steps];
      if (its.failed > kProven && !its.trusted(0, kRare)) return true;
      const float requests = process.one_worker.held + process.one_worker.failed;
      if (one.steps == 0 && requests < kFirst) {
        // Who begins takes many locks.
        return process.one_worker.failed * kRareMixed > process.one_worker.held + kRareMixed;
      }
      if (!process.prompt.trusted(kProven / 2, kRareLate)) return false;
      return its.trusted(kProven, kRare) && (!usual(process, one.steps) || told(one, process, world));
    });
  }

  static bool usual(const Process& process, std::uint8_t steps) {
    float held = 0;
    for (const TrackRecord& record : process.by_steps[0]) held += record.held;
    return process.by_steps[0][steps].held * kUsual >= held;
  }

  void works_for(std::uint32_t tid, const Node& request) {
    if (workers_.size() >= kMostPending) workers_.clear();
    Worker& worker = workers_[request.number];
    worker.several = worker.several || (worker.tid != 0 && worker.tid != tid);
    worker.tid = tid;
    worker.responses = process_of(request.pid).responses;
  }

  // Who was woken because what it waited for is there answers next, not after whatever others wait for.
  void answered(const Node& request, World& world) {
    const auto it = workers_.find(request.number);
    if (it == workers_.end()) return;
    Process& process = process_of(request.pid);
    const std::uint64_t since = process.responses - it->second.responses;
    process.prompt.add(since * kPromptly <= world.open.serving(request.pid).size() + kPromptly);
  }

  // False: of its calls before the last it is not known yet.
  static bool told(Pending& pending, const Process& process, World& world) {
    const auto give = [&](const NodePtr& call) {
      if (!call->decided) world.found(call, Claim{pending.request, std::nullopt, "awaited", kConfidence});
    };
    give(pending.call);
    const bool may_be = process.one_worker.trusted(0, kRareSeveral) && process.began.trusted(0, kRareOther);
    if (pending.before.empty() || !may_be) return true;
    if (!process.one_worker.trusted(kProven, kRareSeveral) || !process.began.trusted(kBegan, kRareOther)) return false;
    // Back to the first that was another's.
    for (auto it = pending.before.rbegin(); it != pending.before.rend(); ++it) {
      const NodePtr& call = it->call;
      if (it->steps != pending.steps) continue;  // another's, whose lock it waited for
      if (call->pid != pending.request->pid || call->blind || call->opened < pending.request->opened) break;
      give(call);
    }
    return true;
  }

  std::unordered_map<std::uint32_t, Thread> threads_;
  std::unordered_map<std::uint64_t, Pending> pending_;    // by call
  std::deque<std::pair<BootTime, std::uint64_t>> order_;  // of these
  std::unordered_map<std::uint64_t, Worker> workers_;     // by request
  std::deque<std::pair<BootTime, std::uint64_t>> ended_;  // of these
  std::unordered_map<std::uint32_t, Process> processes_;
};

}  // namespace

std::unique_ptr<Evidence> make_awaited() {
  return std::make_unique<Awaited>();
}

}  // namespace wirespan
