// Java's pools: the thread that reads a call's response works on a future, and the thread that read the request holds
// that future while it waits, for this or for another one: in a list it goes through, or as what is to be done when
// several are (ADR 22). Told by addresses, which hold until the next collection of garbage.
//
// A thread of a pool may itself wait for what it gave to another pool: its own work is then what it is all for.
//
// What it works on, or what is to be done after that, may name the connection of its request (what a function has
// captured, ADR 17), or the thread that waits for it (a latch): that holds whatever is collected meanwhile. A task that
// was handed over without a future is taken for one.
//
// Where nobody waits, what the calls of a request lead to is the same: its last stages. Whose request it is shows when
// a pool's thread answers in one go with the last of these calls.
//
// Said when the request is answered: what two requests hold, as one that several share, is nobody's. A process in which
// that is found more than once in a while, or calls older than the request, is not believed.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostServing = 65'536;  // threads
constexpr std::size_t kMostFutures = 65'536;  // of a process, between two collections
constexpr std::size_t kMostMade = 65'536;
constexpr std::uint64_t kSeveral = 0;            // no node's number
constexpr std::size_t kMostOf = 64;              // calls of a future, and futures it goes with
constexpr std::int64_t kAtMost = 1'200'000'000;  // a call waits for its request's answer; inference is not later
constexpr float kProven = 8;
constexpr float kProvenAlone = 16;  // where nobody waits
constexpr float kRare = 100;
constexpr double kConfidence = 0.98;

class Future : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "future"; }
  [[nodiscard]] int rank() const override { return 25; }

  void restart() override {
    for (auto& [pid, process] : processes_) {
      process.futures.clear();
      process.unproven.clear();
      process.completions.unproven.clear();
      process.asked.clear();
    }
    last_read_.clear();
    serving_.clear();
    read_.clear();
    made_.clear();
    order_.clear();
    held_.clear();
  }
  void closing(World& world) override { settle({~std::uint64_t{0} >> 1U}, world); }

  void event(const Event& event, World& world) override {
    if (const auto* holds = std::get_if<event::Holds>(&event)) {
      holding(*holds, world);
    } else if (const auto* leads = std::get_if<event::Leads>(&event)) {
      if (leads->worker != 0) led(*leads, world);
    } else if (const auto* tick = std::get_if<event::Tick>(&event)) {
      settle(tick->time, world);
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    } else if (const auto* ended = std::get_if<event::ThreadExited>(&event)) {
      serving_.erase(ended->thread.tid);
      last_read_.erase(ended->thread.tid);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      serving_.erase(missed->thread.tid);
      last_read_.erase(missed->thread.tid);
    }
  }

  void opened(const NodePtr& node, World& world) override {
    if (node->role != SpanRole::kServer) return;
    const auto it = processes_.find(node->pid);
    if (it != processes_.end()) serves(it->second, *node, world);
  }

  void finished(const NodePtr& node, World& /*world*/) override {
    if (node->role != SpanRole::kServer) return;
    const auto it = processes_.find(node->pid);
    if (it == processes_.end()) return;
    const auto on = it->second.asked.find(node->exchange->conn->id);
    if (on != it->second.asked.end() && (on->second == node->number || on->second == kSeveral))
      it->second.asked.erase(on);
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (touched.kind != MessageKind::kResponse || !touched.first) return;
    const std::uint32_t tid = touched.touch.actor.thread.tid;
    if (node->role == SpanRole::kServer) {
      completed(node, tid, world);
      return answered(node->number, world);
    }
    const auto it = read_.find(node->exchange->conn->id);
    if (it == read_.end()) {
      last_read_.erase(tid);
      return;
    }
    if (const auto made = made_.find(it->second); made != made_.end()) {
      made->second.call = node;
      if (made->second.request) node->holder = made->second.request->number;
    }
    read_.erase(it);
  }

 private:
  struct Work {
    std::uint64_t request = 0;         // that holds it
    bool several = false;              // do
    std::vector<std::uint64_t> calls;  // by who works on it or on what leads to it, see made_
    std::uint32_t worker = 0;          // who works on it
    std::vector<std::uint64_t> its;    // calls by that one
    bool contested = false;
    std::vector<std::uint64_t> with;  // others of the same request
    std::uint64_t holder = 0;         // what the thread of a pool worked on that was first seen to hold it
  };
  // A call by one who works on a future.
  struct Made {
    std::uint32_t pid = 0;
    NodePtr call;
    NodePtr request;
    bool several = false;
    bool unsure = false;  // what it worked on may have been something else
    std::uint32_t collections = 0;
    std::vector<std::uint64_t> leads_to = {};  // futures
  };
  // What a thread of a pool last read.
  struct LastRead {
    std::uint64_t made = 0;
    bool answered = false;  // a request since
  };
  // Where nobody waits: whether who answers has completed the last call. Pools may be given the answers as well: then
  // some threads answer more than once after a call, and what others have called is of no request.
  struct Completions {
    TrackRecord fits;
    float again = 0;
    float of_none = 0;
    std::vector<Made> unproven = {};
    [[nodiscard]] bool believed(float proven) const {
      return fits.trusted(proven, kRare) && std::min(again, of_none) * kRare <= fits.held;
    }
    void count(float& what) {
      if (++what < 4096) return;
      again /= 2;
      of_none /= 2;
    }
  };
  struct Process {
    std::uint32_t collections = 0;
    std::unordered_map<std::uint64_t, Work> futures;  // by address
    std::unordered_map<ConnId, std::uint64_t> asked;  // requests, by the connection they came on, or kSeveral
    TrackRecord fits;
    std::vector<Made> unproven;
    Completions completions;
  };

  void serves(Process& process, const Node& request, const World& world) {
    if (process.asked.size() >= kMostServing) process.asked.clear();
    const auto [on, fresh] = process.asked.try_emplace(request.exchange->conn->id, request.number);
    // Several at a time on one connection: which of them is meant nobody tells.
    if (!fresh) on->second = on->second == kSeveral || world.open.find(on->second) ? kSeveral : request.number;
    if (serving_.size() >= kMostServing) serving_.clear();
    const Actor& actor = request.exchange->request->last_byte.actor;
    if (actor.task == 0) serving_[actor.thread.tid] = request.number;
  }

  NodePtr served_by(std::uint32_t tid, World& world) const {
    const auto it = serving_.find(tid);
    return it == serving_.end() || world.open.serving_by_thread(tid) != 1 ? nullptr : world.open.find(it->second);
  }

  void holding(const event::Holds& holds, World& world) {
    if (processes_.size() >= kMostProcesses && !processes_.contains(holds.thread.pid)) processes_.clear();
    const auto [it, fresh] = processes_.try_emplace(holds.thread.pid);
    Process& process = it->second;
    for (const NodePtr& request : world.open.serving(holds.thread.pid)) {
      if (!fresh) break;
      serves(process, *request, world);
    }
    if (std::exchange(process.collections, holds.collections) != holds.collections ||
        process.futures.size() >= kMostFutures)
      process.futures.clear();
    if (holds.call == ConnId{})
      waits(process, holds, served_by(holds.thread.tid, world), world);
    else
      works(process, holds, world);
  }

  void led(const event::Leads& leads, World& world) {
    const auto of = processes_.find(leads.pid);
    const auto call = read_.find(leads.call);
    if (of == processes_.end() || call == read_.end()) return;
    const auto made = made_.find(call->second);
    if (made == made_.end()) return;
    const auto on = of->second.asked.find(leads.request);
    const NodePtr request = leads.request == ConnId{}      ? served_by(leads.tid, world)
                            : on != of->second.asked.end() ? world.open.find(on->second)
                                                           : nullptr;
    if (!request || request->answering) return;
    is_of(call->second, made->second, request);
    // What it leads to was looked at as well: it leads to no other.
    if (made->second.collections != of->second.collections) return;
    for (const std::uint64_t future : made->second.leads_to) give(of->second, future, request);
  }

  void works(Process& process, const event::Holds& holds, World& world) {
    if (made_.size() >= kMostMade || read_.size() >= kMostMade) return;
    const std::uint64_t number = ++last_;
    Made& made = made_[number];
    made.pid = holds.thread.pid;
    made.collections = holds.collections;
    made.leads_to.assign(holds.futures.begin(), holds.futures.begin() + holds.count);
    if (last_read_.size() >= kMostServing) last_read_.clear();
    last_read_[holds.thread.tid] = {number};
    read_[holds.call] = number;
    order_.emplace_back(holds.time, number);
    for (std::uint16_t i = 0; i < holds.count; ++i) {
      Work& work = process.futures[holds.futures[i]];
      if (work.calls.size() < kMostOf) work.calls.push_back(number);
      if (work.request != 0) is_of(number, made, world.open.find(work.request));
    }
    for (std::uint16_t i = 0; i < holds.waiters; ++i) is_of(number, made, served_by(holds.waiting[i], world));
    contest(process.futures[holds.works_on], number, holds.thread.tid);
  }

  // One thread works on a future. What else names it on its stack is a word left from before, at the address of which
  // another object was made since: nobody knows who does.
  void contest(Work& work, std::uint64_t number, std::uint32_t tid) {
    if (work.worker == 0) work.worker = tid;
    work.contested = work.contested || work.worker != tid;
    if (work.its.size() < kMostOf) work.its.push_back(number);
    for (const std::uint64_t one : work.its) {
      if (!work.contested) break;
      if (const auto it = made_.find(one); it != made_.end()) it->second.unsure = true;
    }
    if (work.contested) work.its = {number};
  }

  void waits(Process& process, const event::Holds& holds, const NodePtr& request, World& world) {
    if (request && request->answering) return;
    // A thread of a pool that has nothing to do: what is left on its stack is of former work.
    if (!request && holds.works_on == 0) return;
    // Whatever a thread holds is of the same request as what it works on, if it was not there before.
    for (std::uint16_t i = 0; !request && i < holds.count; ++i) {
      if (holds.futures[i] == holds.works_on) continue;
      Work& held = process.futures[holds.futures[i]];
      if (held.holder == 0) held.holder = holds.works_on;
      if (held.holder != holds.works_on || held.worker == holds.thread.tid) continue;
      go_together(process, holds.futures[i], holds.works_on);
      go_together(process, holds.works_on, holds.futures[i]);
    }
    for (std::uint16_t i = 0; i < holds.count; ++i) {
      const std::uint64_t known = process.futures[holds.futures[i]].request;
      const NodePtr of = request ? request : known != 0 ? world.open.find(known) : nullptr;
      if (of) give(process, holds.futures[i], of);
    }
  }

  static void go_together(Process& process, std::uint64_t one, std::uint64_t other) {
    auto& with = process.futures[one].with;
    if (with.size() < kMostOf && std::ranges::find(with, other) == with.end()) with.push_back(other);
  }

  void give(Process& process, std::uint64_t future, const NodePtr& request) {
    std::vector<std::uint64_t> next{future};
    std::vector<std::uint64_t> met{future};
    while (!next.empty()) {
      Work& work = process.futures[next.back()];
      next.pop_back();
      work.several = work.several || (work.request != 0 && work.request != request->number);
      work.request = request->number;
      for (const std::uint64_t call : work.calls) {
        if (const auto it = made_.find(call); it != made_.end()) is_of(call, it->second, request);
      }
      for (const std::uint64_t other : work.with) {
        // One that is never done, say a loop that takes from a queue, goes with everything.
        if (work.several || met.size() >= kMostOf || std::ranges::find(met, other) != met.end()) continue;
        met.push_back(other);
        next.push_back(other);
      }
    }
  }

  void is_of(std::uint64_t number, Made& made, const NodePtr& request) {
    if (!request || made.request == request || request->pid != made.pid) return;
    made.several = made.request != nullptr;
    made.request = request;
    if (made.call) made.call->holder = request->number;
    if (!made.several) held_[request->number].push_back(number);
  }

  void answered(std::uint64_t request, World& world) {
    const auto held = held_.find(request);
    if (held == held_.end()) return;
    for (const std::uint64_t number : held->second) {
      const auto it = made_.find(number);
      if (it == made_.end()) continue;
      judge(it->second, world);
      made_.erase(it);
    }
    held_.erase(held);
  }

  // A thread answers that has just completed a call, it may be.
  void completed(const NodePtr& request, std::uint32_t tid, World& world) {
    const auto of = processes_.find(request->pid);
    const auto last = last_read_.find(tid);
    if (of == processes_.end() || last == last_read_.end()) return;
    Completions& record = of->second.completions;
    if (std::exchange(last->second.answered, true)) return record.count(record.again);
    const std::vector<std::uint64_t> calls = all_that_lead_there(of->second, last->second.made);
    const auto sure = [&](std::uint64_t one) {
      const Made& made = made_.at(one);
      const bool free = !made.request || (made.request == request && !made.several);
      return made.call && !made.call->blind && !made.unsure && free;
    };
    if (calls.empty() || !std::ranges::all_of(calls, sure)) return;
    const bool fits = std::ranges::all_of(calls, [&](std::uint64_t one) {
      const Node& call = *made_.at(one).call;
      return call.pid == request->pid && call.opened >= request->opened && (call.finished || call.answering);
    });
    record.fits.add(fits);
    if (!record.believed(0)) record.unproven.clear();
    for (const std::uint64_t one : calls) {
      if (made_.at(one).request) continue;  // known already
      auto made = made_.extract(one);
      made.mapped().request = request;
      if (fits && record.believed(0)) record.unproven.push_back(std::move(made.mapped()));
    }
    if (!record.believed(kProvenAlone)) return;
    link(record.unproven, world);
  }

  // Calls that lead to what this one leads to, by their numbers; none, if those are too many to be of one request.
  [[nodiscard]] std::vector<std::uint64_t> all_that_lead_there(const Process& process, std::uint64_t first) const {
    std::vector<std::uint64_t> calls{first};
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const auto made = made_.find(calls[i]);
      if (made == made_.end()) return {};
      if (made->second.collections != process.collections) continue;
      for (const std::uint64_t future : made->second.leads_to) {
        const auto work = process.futures.find(future);
        if (work == process.futures.end()) continue;
        if (work->second.calls.size() >= kMostOf) return {};
        for (const std::uint64_t call : work->second.calls) {
          if (!made_.contains(call) || std::ranges::find(calls, call) != calls.end()) continue;
          if (calls.size() >= kMostOf) return {};
          calls.push_back(call);
        }
      }
    }
    return calls;
  }

  static void link(std::vector<Made>& calls, World& world) {
    for (const Made& one : calls) {
      if (!one.call->decided) world.found(one.call, Claim{one.request, std::nullopt, "future", kConfidence});
    }
    calls.clear();
  }

  void judge(const Made& made, World& world) {
    const auto of = processes_.find(made.pid);
    if (!made.request || !made.call || made.unsure || made.call->blind || of == processes_.end()) return;
    Process& process = of->second;
    const bool fits = !made.several && made.call->opened >= made.request->opened;
    process.fits.add(fits);
    if (!process.fits.trusted(0, kRare)) return process.unproven.clear();
    if (fits) process.unproven.push_back(made);
    if (!process.fits.trusted(kProven, kRare)) return;
    link(process.unproven, world);
  }

  // Requests that take long.
  void settle(BootTime now, World& world) {
    for (; !order_.empty() && now - order_.front().first >= kAtMost; order_.pop_front()) {
      const auto it = made_.find(order_.front().second);
      if (it == made_.end()) continue;
      judge(it->second, world);
      of_nobody(it->second);
      made_.erase(it);
    }
    if (held_.size() >= kMostMade) held_.clear();
  }

  void of_nobody(const Made& made) {
    const auto of = processes_.find(made.pid);
    if (made.request || of == processes_.end() || made.collections != of->second.collections) return;
    of->second.completions.count(of->second.completions.of_none);
  }

  std::unordered_map<std::uint32_t, Process> processes_;
  std::unordered_map<std::uint32_t, LastRead> last_read_;     // by thread
  std::unordered_map<std::uint32_t, std::uint64_t> serving_;  // requests, by the thread that read them
  std::unordered_map<std::uint64_t, Made> made_;              // by a number of ours
  std::uint64_t last_ = 0;                                    // of these
  std::deque<std::pair<BootTime, std::uint64_t>> order_;
  std::unordered_map<ConnId, std::uint64_t> read_;                      // those whose response comes next, on this one
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> held_;  // by request
};

}  // namespace

std::unique_ptr<Evidence> make_future() {
  return std::make_unique<Future>();
}

}  // namespace wirespan
