// The goroutine that reads a request works for it; so does one that it starts while the request is open, and what those
// start. net/http's client writes requests from a goroutine of the connection: who asked it to is told by a hand-over.
//
// Goroutines outlive requests (a connection's own, workers, what is fired and forgotten), and a keep-alive connection's
// goroutine reads one request after the other: so a child is believed only for the request during which it was born.
// That is known exactly from the ids the runtime was about to give out when each request was read (event::Births).
//
// Nor does a child work only for the request during which it was born: pools begin their workers when a handler first
// needs one, and those take what others hand in, while that request is open as well. They give themselves away by going
// on once it is answered. So a child that does is nobody's, and at first no child is believed at once: its calls wait
// until the request was answered after them and the process's children have been seen, over and over, to make none in
// the time after that, while others of the process made theirs. From then on they are believed when they are made.
// Where children are found out to be workers all that waits is let go, and it takes many more to believe them again.
#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/channels.h"
#include "correlator/evidence/evidence.h"
#include "correlator/unknown_jobs.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostTasks =
    16'384;  // of all processes, twice; past it those that did nothing lately are forgotten
constexpr std::size_t kMostCallers = 65'536;
constexpr std::size_t kMostWaiting = 4096;  // reads that may have begun a request, of a process
constexpr int kMostGenerations = 8;
// Of children that made calls for a request: who has made none for so long after the answer, in which others of the
// process have made so many, is taken to have ended. A worker may be idle for as long as there is nothing to do.
constexpr std::int64_t kAfterwards = 500'000'000;
constexpr std::uint64_t kCallsOfOthers = 8;
constexpr std::uint32_t kProven = 32;
constexpr std::uint32_t kProvenAgain = 400;  // once there have been workers
constexpr std::uint32_t kStillGoingOn = 3;   // calls after the answer: more than the rest of what a request began
constexpr std::size_t kMostWatched = 8192;   // of a process
constexpr std::uint64_t kRun = 16;           // ids a processor takes at once (_GoidCacheBatch)
constexpr unsigned kIdBits = 56;
constexpr std::uint64_t kIdMask = (1ULL << kIdBits) - 1;

enum class Born : std::uint8_t { kBefore, kAfter, kUnknown };

// Whether a goroutine was created after the moment at which those were the next ids (event::Births). Only for children
// of the goroutine that was reading then: it created none meanwhile.
Born born(std::uint64_t task, const std::vector<std::uint64_t>& then) {
  if (then.empty()) return Born::kUnknown;
  std::uint64_t newest = 0;
  for (const std::uint64_t processor : then) {
    const std::uint64_t next = processor & kIdMask;
    const std::uint64_t end = next + (processor >> kIdBits);
    if (end <= kRun) continue;  // this processor has created none yet
    if (task >= end - kRun && task < end) return task >= next ? Born::kAfter : Born::kBefore;
    newest = std::max(newest, end);
  }
  // No processor's current run: one that was used up, or one that nobody had taken yet. Runs are taken in order.
  return task >= newest ? Born::kAfter : Born::kBefore;
}

// A request that a goroutine read, and what was known then.
struct Read {
  std::uint64_t node = 0;
  std::vector<std::uint64_t> births;
  bool first = false;   // of a goroutine that had read none before
  bool shared = false;  // came with the one before in one read, as far as is known: a child may be of either
};

struct Task {
  std::uint64_t parent = 0;
  std::uint64_t writes_for = 0;  // client connection, 0: none
  std::array<Read, 2> reads;     // the newest first
  std::uint32_t requests = 0;
  // A worker: what came with the last element it received, and from which channel. 0: not known.
  std::uint64_t work = 0;
  std::uint64_t channel = 0;
  std::uint64_t site = 0;  // where in the program it received it
  std::uint64_t draw = 0;  // it received one of several, and which is not known yet
  // A child: the request it was seen to work for, and what it did once that was answered.
  std::uint64_t own = 0;
  BootTime afterwards{};  // its first call
  std::uint32_t calls_after = 0;
  bool outlives = false;
};

// Goroutines by number. They end unseen, so those that have done nothing since the table was last full are forgotten.
class Tasks {
 public:
  [[nodiscard]] const Task* find(std::uint64_t number) const {
    for (const auto* const half : {&young_, &old_}) {
      if (const auto it = half->find(number); it != half->end()) return &it->second;
    }
    return nullptr;
  }
  // As one that does something. Whether it is among the young from now on.
  std::pair<Task&, bool> get(std::uint64_t number) {
    const auto [it, fresh] = young_.try_emplace(number);
    if (!fresh) return {it->second, false};
    if (const auto before = old_.find(number); before != old_.end()) {
      it->second = std::move(before->second);
      old_.erase(before);
    }
    return {it->second, true};
  }
  // Whether any were forgotten. Where nobody holds one.
  bool age() {
    const bool some = !old_.empty();
    old_ = std::move(young_);
    young_.clear();
    return some;
  }
  template <class Do>
  void each(Do todo) {
    for (auto* const half : {&young_, &old_}) {
      for (auto& [number, task] : *half) todo(task);
    }
  }
  [[nodiscard]] std::size_t young() const { return young_.size(); }

 private:
  std::unordered_map<std::uint64_t, Task> young_;
  std::unordered_map<std::uint64_t, Task> old_;
};

// The goroutines from one that makes a call up to the child of one that reads requests.
struct Lineage {
  std::array<std::uint64_t, kMostGenerations> tasks{};
  std::uint8_t count = 0;
  [[nodiscard]] bool of_child() const { return count > 0; }
  [[nodiscard]] std::span<const std::uint64_t> all() const { return {tasks.data(), count}; }
};

struct Caller {
  std::uint64_t task = 0;
  std::uint64_t parent = 0;
  BootTime time{};         // when it asked
  std::uint64_t call = 0;  // the one it asked for, once that was seen; who asks for the next may be lost
};

// What the children of requests are like in a process, as far as that is known, and whose calls wait for it.
struct Children {
  struct Watched {
    NodePtr call;  // null: it is only watched
    NodePtr request;
    Lineage lineage;
    bool counts = false;  // the first of its child
    BootTime answered{};
    std::uint64_t calls_then = 0;
  };
  std::uint32_t held = 0;    // ended with their requests, since one did not
  std::uint32_t failed = 0;  // workers
  BootTime doubted{};        // until then: one has gone on, which may turn out to be a worker
  std::uint64_t calls = 0;   // of all children
  std::unordered_map<std::uint64_t, std::vector<Watched>> open;  // by request
  std::deque<Watched> answered;                                  // in this order
  std::vector<Watched> ended;                                    // until the process is believed
  std::size_t watched = 0;

  [[nodiscard]] bool believed() const { return held >= (failed == 0 ? kProven : kProvenAgain); }
  void clear() {
    open.clear();
    answered.clear();
    ended.clear();
    watched = 0;
  }
};

// What elements under way were first sent for. Who only passes them on need not be known to work for anybody:
// dispatchers, which have another in hand by then, and whom they begin for each. Two generations; past them the oldest
// are forgotten.
class Elements {
 public:
  // What it is sent for; `work` is what its sender works for as far as is known, 0: nothing. `own`: and not by way of a
  // channel.
  std::uint64_t sent(std::uint64_t element, std::uint64_t work, bool own, const World& world) {
    if (element == 0) return work;
    if (young_.size() >= kMostElements) {
      old_ = std::move(young_);
      young_.clear();
    }
    const auto before = old_.find(element);
    First& first = young_.try_emplace(element, before == old_.end() ? First{} : before->second).first->second;
    if (first.shared) return work;
    if (world.open.find(first.work) == nullptr || (own && !first.own)) {
      first = {work, own, false};
      return work;
    }
    // Connections, buffers: what several requests send while they are open is no work of any.
    first.shared = own && work != first.work;
    return first.shared ? work : first.work;
  }
  void clear() {
    young_.clear();
    old_.clear();
  }

 private:
  static constexpr std::size_t kMostElements = 8192;
  struct First {
    std::uint64_t work = 0;
    bool own = false;
    bool shared = false;
  };
  std::unordered_map<std::uint64_t, First> young_;
  std::unordered_map<std::uint64_t, First> old_;
};

struct Process {
  Tasks tasks;
  std::unordered_map<std::uint64_t, Caller> callers;  // by client connection
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>>
      births;  // by goroutine, until its request is understood
  Channels channels;
  Elements elements;
  UnknownJobs unknown;
  bool watched = true;  // what is done with channels is told
  Children children;
  bool forgot = false;  // goroutines that are met for the first time may have been met before
};

class Goroutine : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "goroutine"; }
  [[nodiscard]] int rank() const override { return 20; }
  // Who started whom and who writes for which connection still holds; what they work for does not.
  void restart() override {
    for (auto& [pid, process] : processes_) {
      process.callers.clear();
      process.births.clear();
      process.channels = Channels();
      process.elements.clear();
      process.unknown.clear();
      process.children.clear();
      process.forgot = true;
      process.tasks.each([](Task& task) {
        task.reads = {};
        task.work = task.own = task.draw = 0;
      });
    }
  }

  // What is seen of the last ones will never be more. Where there was a worker, it is not enough.
  void closing(World& world) override {
    for (auto& [pid, process] : processes_) {
      Children& children = process.children;
      if (children.believed() || children.failed == 0) {
        for (const Children::Watched& one : children.answered) settle(process, one, world);
        for (const Children::Watched& one : children.ended) settle(process, one, world);
      }
      children.clear();
    }
  }

  [[nodiscard]] bool watches_data() const override { return true; }
  void event(const Event& event, World& world) override {
    if (tasks_ >= kMostTasks) age();  // here, where nobody holds one
    if (const auto* data = std::get_if<event::Data>(&event)) {
      if (data->actor.task != 0 && !is_context(data->actor.task)) meet(data->actor);
    } else if (const auto* handover = std::get_if<event::Handover>(&event)) {
      if (!is_context(handover->actor.task)) handed_over(*handover, world);
    } else if (const auto* births = std::get_if<event::Births>(&event)) {
      auto& waiting = process(births->pid).births;
      if (waiting.size() >= kMostWaiting && !waiting.contains(births->task)) waiting.clear();
      waiting[births->task].assign(births->next.begin(), births->next.begin() + births->count);
    } else if (const auto* tick = std::get_if<event::Tick>(&event)) {
      for (auto& [pid, process] : processes_) {
        take_ended(process, tick->time, world);
        process.unknown.advance(tick->time, world);
      }
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      forget(exited->pid);
    }
  }

  void opened(const NodePtr& node, World& /*world*/) override {
    if (node->role != SpanRole::kServer) return;
    // Not of the first byte: net/http waits for that in another goroutine, to notice a client that hangs up.
    const Actor& actor = node->exchange->request->last_byte.actor;
    if (actor.task == 0 || is_context(actor.task)) return;
    Process& process = this->process(node->pid);
    Task& task = meet(actor);
    const Message& request = *node->exchange->request;
    std::swap(task.reads[0], task.reads[1]);  // keeps the room for their ids
    Read& read = task.reads[0];
    read.node = node->number;
    read.first = task.requests == 0 && !process.forgot && request.position == 0 && !request.conn->adopted;
    read.births.clear();
    const auto it = process.births.find(actor.task);
    read.shared = task.requests > 0 && it == process.births.end();
    if (it != process.births.end()) {
      read.births.swap(it->second);
      process.births.erase(it);
    }
    ++task.requests;
  }

  void finished(const NodePtr& node, World& world) override {
    if (node->role != SpanRole::kServer) return;
    const auto of = processes_.find(node->pid);
    if (of == processes_.end()) return;
    Children& children = of->second.children;
    const auto it = children.open.find(node->number);
    if (it == children.open.end()) return;
    std::vector<Children::Watched> watched = std::move(it->second);
    children.open.erase(it);
    for (Children::Watched& one : watched) {
      // Who does not wait for it works for another, or goes on after the answer.
      const bool in_time = !one.call || one.call->answering || one.call->finished;
      if (node->answer_lost || !in_time) {
        --children.watched;
        if (one.call) world.refuted(one.call);
        continue;
      }
      one.answered = node->exchange->ended;
      one.calls_then = children.calls;
      children.answered.push_back(std::move(one));
    }
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    const Actor& actor = node.exchange->request->first_byte.actor;
    if (actor.task == 0 || is_context(actor.task)) return std::nullopt;
    Process& of = process(node.pid);
    if (!asked_for(of, actor.task, node)) return std::nullopt;
    Found found = request_of(of, actor, world);
    const Belief belief = found.lineage.of_child() ? call_of_child(of, found, node, world) : Belief::kAtOnce;
    if (belief == Belief::kNone) found.node.reset();
    world.habits.explained(node.pid, found.node != nullptr);
    if (!found.node && found.draw != 0) return of.unknown.call_of_draw(found.draw, node, world);
    if (!found.node && found.worker != 0) return of.unknown.call_of(found.worker, node, world);
    if (!found.node) return std::nullopt;
    if (found.through_channel) return Claim{std::move(found.node), std::nullopt, "channel", UnknownJobs::kConfidence};
    Claim claim{std::move(found.node), std::nullopt, "goroutine", 1.0};
    claim.unproven = belief == Belief::kOnceProven;
    return claim;
  }

 private:
  Process& process(std::uint32_t pid) {
    if (processes_.size() >= kMostProcesses && !processes_.contains(pid)) {
      processes_.clear();
      tasks_ = 0;
    }
    return processes_[pid];
  }
  void forget(std::uint32_t pid) {
    const auto it = processes_.find(pid);
    if (it == processes_.end()) return;
    tasks_ -= it->second.tasks.young();
    processes_.erase(it);
  }
  void age() {
    for (auto& [pid, process] : processes_) process.forgot = process.tasks.age() || process.forgot;
    tasks_ = 0;
  }

  Task& meet(Process& process, std::uint64_t number) {
    const auto [task, fresh] = process.tasks.get(number);
    tasks_ += fresh ? 1 : 0;
    return task;
  }
  Task& meet(const Actor& actor) {
    Task& task = meet(process(actor.thread.pid), actor.task);
    task.parent = actor.parent_task;
    return task;
  }

  void handed_over(const event::Handover& handover, World& world) {
    using Role = event::Handover::Role;
    if (handover.role == Role::kGives || handover.role == Role::kTakes) return;  // evidence/errand
    Process& process = this->process(handover.actor.thread.pid);
    if (handover.role == event::Handover::Role::kWatched || handover.role == event::Handover::Role::kUnwatched) {
      watched(process, handover.role == event::Handover::Role::kWatched, world);
      return;
    }
    Task& task = meet(handover.actor);
    switch (handover.role) {
      case event::Handover::Role::kWrites:
        task.writes_for = handover.object;
        return;
      case event::Handover::Role::kCalls:
        if (process.callers.size() >= kMostCallers) process.callers.clear();
        process.callers[handover.object] = {handover.actor.task, handover.actor.parent_task, handover.time, 0};
        return;
      case event::Handover::Role::kSends: {
        if (!process.watched) return;
        replied(process, task, handover, world);
        Found found = request_of(process, handover.actor, world);
        if (found.lineage.of_child() && !believed(process, found, handover.actor, handover.time, world)) {
          found.node.reset();
        }
        const std::uint64_t work = process.elements.sent(handover.element, found.node ? found.node->number : 0,
                                                         found.node && !found.through_channel, world);
        for (const auto& given : process.channels.sends(handover, work)) {
          give(process, given, handover, world);
        }
        return;
      }
      case event::Handover::Role::kReceives:
        if (!process.watched) return;
        asks(process, task, handover, world);
        for (const auto& given : process.channels.receives(handover)) give(process, given, handover, world);
        return;
      case event::Handover::Role::kAsks:
        process.channels.asks(handover.actor.task);
        asks(process, task, handover, world);
        return;
      default:  // not of goroutines
        return;
    }
  }

  // Who was fed through a channel is a worker still; what it works for is known only while it is seen to receive.
  static void watched(Process& process, bool now, World& world) {
    process.watched = now;
    process.channels = Channels();
    process.elements.clear();
    process.unknown.let_all_go(world);
    process.tasks.each([](Task& task) { task.work = task.draw = 0; });
  }

  // It is back where it got its work, for more: what came there before is done.
  static void asks(Process& process, Task& task, const event::Handover& handover, World& world) {
    const bool same_site = task.site == handover.site && handover.site != 0;
    const bool same_channel = task.channel == handover.object && handover.role == event::Handover::Role::kReceives;
    if (!same_site && !same_channel) return;
    task.work = task.draw = 0;
    process.unknown.asks(handover.actor.task, world);
  }

  // A worker hands its result to a goroutine that waits for it. Where that has always been the one of the request it
  // was known to work for, it tells of jobs for which that is not known (two were handed over at once) whose they were.
  static void replied(Process& process, Task& worker, const event::Handover& send, World& world) {
    if (worker.channel == 0 || worker.requests > 0 || send.other == 0 || send.drawn()) return;
    const Task* const receiver = process.tasks.find(send.other);
    if (receiver == nullptr || receiver->requests == 0) return;
    const NodePtr request = request_read_by(*receiver, 0, world);
    if (!request) return;
    if (worker.work != 0) return process.unknown.replied(worker.work == request->number);
    if (!process.unknown.replied(send.actor.task, worker.draw, request, world)) return;
    worker.draw = 0;
    worker.work = request->number;
  }

  // One of several pieces of work: which shows later.
  static void drawn(Process& process, Task& task, const Channels::Given& given, BootTime now, World& world) {
    task.draw = given.draw;
    task.work = 0;
    NodePtr request = world.open.find(given.work);
    if (!request) return;
    process.unknown.may_be(given.draw, std::move(request), now, world);
  }

  static void settled(Process& process, Task& task, const Channels::Given& given, World& world) {
    if (task.draw == given.draw) {
      task.draw = 0;
      task.work = given.work;
    }
    process.unknown.was(given.draw, given.work, world);
  }

  void give(Process& process, const Channels::Given& given, const event::Handover& handover, World& world) {
    const std::uint64_t channel = handover.object;
    const BootTime now = handover.time;
    if (given.comes_back) return;
    Task& task = meet(process, given.task);
    if (given.settled) return settled(process, task, given, world);
    // Selects are where goroutines wait for what they asked for, too. Of one that is nothing known to be fed, only what
    // tells something new makes it a worker: not a result for a child of the same request.
    if (given.selects && task.channel == 0) {
      if (given.work == 0) return;
      const Actor actor{{}, 0, given.task, task.parent};
      const NodePtr own = request_of(process, actor, world).node;
      if (own && own->number == given.work) return;
      task.work = own ? own->number : 0;
    }
    const bool elsewhere = task.channel != channel && (task.site != given.site || given.site == 0);
    // In the middle of one request it is handed something of another: a token, a result, or work. Not known which.
    const bool other = elsewhere && task.work != 0;
    if (given.draw != 0 && !other) {
      task.channel = channel;
      task.site = given.site;
      return drawn(process, task, given, now, world);
    }
    if (other && (given.work == 0 || given.work == task.work)) return;
    task.work = other && world.open.find(task.work) ? 0 : given.work;
    task.draw = 0;
    task.channel = channel;
    task.site = given.site;
  }

  // Whether it is known who asked for a call that the connection's own goroutine writes. False: who did was lost, or
  // the call is told so late that another has asked since.
  static bool asked_for(Process& process, std::uint64_t writer, const Node& call) {
    const Task* const task = process.tasks.find(writer);
    if (task == nullptr || task->writes_for == 0) return true;
    const auto caller = process.callers.find(task->writes_for);
    if (caller == process.callers.end() || caller->second.time > call.opened) return false;
    if (caller->second.call != 0 && caller->second.call != call.number) return false;
    caller->second.call = call.number;
    return true;
  }

  struct Found {
    NodePtr node;  // null when that is not certain
    bool through_channel = false;
    Lineage lineage = {};      // of a child of the one that read it
    std::uint64_t draw = 0;    // on which it depends
    std::uint64_t worker = 0;  // who makes the call, where that one is fed through channels
  };

  enum class Belief : std::uint8_t { kNone, kOnceProven, kAtOnce };

  static bool outlives(const Process& process, const Lineage& lineage) {
    return std::ranges::any_of(lineage.all(), [&](std::uint64_t number) {
      const Task* const task = process.tasks.find(number);
      return task != nullptr && task->outlives;
    });
  }
  // With one request open there is no other to work for, as far as is known.
  static bool believed(const Process& process, const Found& found, const Actor& actor, BootTime now,
                       const World& world) {
    const Children& children = process.children;
    const bool alone = children.failed == 0 && world.open.serving(actor.thread.pid).size() == 1;
    return (alone || (children.believed() && now - children.doubted >= 0)) && !outlives(process, found.lineage);
  }

  Belief call_of_child(Process& process, const Found& found, const Node& node, World& world) {
    Children& children = process.children;
    ++children.calls;
    bool first = false;
    bool worker = false;
    for (const std::uint64_t number : found.lineage.all()) {
      Task& task = meet(process, number);
      if (task.own == 0) {
        if (found.node) first = (task.own = found.node->number) != 0;
      } else if (!world.open.find(task.own)) {
        if (task.calls_after++ == 0) {
          task.afterwards = node.opened;
          children.doubted = node.opened + kAfterwards;
        }
        task.outlives = true;
        worker = worker || task.calls_after == kStillGoingOn ||
                 (task.calls_after < kStillGoingOn && node.opened - task.afterwards >= kAfterwards);
      }
    }
    if (worker) found_worker(children, world);
    if (!found.node || outlives(process, found.lineage)) return Belief::kNone;
    const bool at_once = believed(process, found, node.exchange->request->first_byte.actor, node.opened, world);
    if (at_once && (children.believed() || !first)) return Belief::kAtOnce;
    NodePtr call = at_once ? nullptr : world.open.find(node.number);
    if (children.watched >= kMostWatched || (!at_once && !call)) {
      return at_once || children.believed() ? Belief::kAtOnce : Belief::kNone;
    }
    ++children.watched;
    children.open[found.node->number].push_back({std::move(call), found.node, found.lineage, first, {}, 0});
    return at_once ? Belief::kAtOnce : Belief::kOnceProven;
  }

  static void found_worker(Children& children, World& world) {
    ++children.failed;
    children.held = 0;
    const auto let_go = [&](const auto& all) {
      for (const Children::Watched& one : all) {
        if (one.call) world.refuted(one.call);
      }
    };
    for (const auto& [request, watched] : children.open) let_go(watched);
    let_go(children.answered);
    let_go(children.ended);
    children.clear();
  }

  static void take_ended(Process& process, BootTime now, World& world) {
    Children& children = process.children;
    while (!children.answered.empty()) {
      Children::Watched& one = children.answered.front();
      if (now - one.answered < kAfterwards || children.calls - one.calls_then < kCallsOfOthers) break;
      --children.watched;
      const bool known = process.tasks.find(one.lineage.tasks[one.lineage.count - 1U]) != nullptr;
      if (!known || outlives(process, one.lineage)) {
        if (one.call) world.refuted(one.call);
      } else {
        children.held += one.counts ? 1 : 0;
        if (one.call && !one.call->decided) {
          ++children.watched;
          children.ended.push_back(std::move(one));
        }
      }
      children.answered.pop_front();
    }
    if (!children.believed() || children.ended.empty()) return;
    children.watched -= children.ended.size();
    for (const Children::Watched& one : std::exchange(children.ended, {})) settle(process, one, world);
  }

  static void settle(const Process& process, const Children::Watched& one, World& world) {
    if (!one.call || one.call->decided) return;
    if (outlives(process, one.lineage)) return world.refuted(one.call);
    world.found(one.call, Claim{one.request, std::nullopt, "goroutine", 1.0});
  }

  // The request a goroutine works for.
  static Found request_of(const Process& process, const Actor& writer, World& world) {
    Caller at{writer.task, writer.parent_task, {}, 0};
    if (const Task* const task = process.tasks.find(writer.task); task != nullptr && task->writes_for != 0) {
      const auto caller = process.callers.find(task->writes_for);
      if (caller == process.callers.end()) return {};
      at = caller->second;
    }
    std::uint64_t child = 0;
    Lineage lineage;
    for (int generation = 0; generation < kMostGenerations; ++generation) {
      if (const Task* const task = process.tasks.find(at.task); task != nullptr) {
        if (task->requests > 0) return {request_read_by(*task, child, world), false, lineage};
        // Workers outlive what they were started for.
        if (task->channel != 0) {
          return {world.open.find(task->work), true, {}, task->draw, task->work == 0 ? at.task : 0};
        }
      }
      // A goroutine never heard of may be anything's child, but not if its child told who it is.
      if (at.parent == 0) return {};
      child = lineage.tasks[lineage.count++] = at.task;
      const Task* const parent = process.tasks.find(at.parent);
      at = {at.parent, parent == nullptr ? 0 : parent->parent, {}, 0};
    }
    return {};
  }

  // child: of the reading goroutine, 0: itself.
  static NodePtr request_read_by(const Task& task, std::uint64_t child, World& world) {
    const Read& newest = task.reads[0];
    if (child == 0) {
      // Two at once: pipelined, or it reads for others.
      if (task.requests > 1 && world.open.find(task.reads[1].node)) return nullptr;
      return world.open.find(newest.node);
    }
    if (newest.shared) return nullptr;
    switch (born(child, newest.births)) {
      case Born::kAfter:
        return world.open.find(newest.node);
      case Born::kUnknown:
        return newest.first ? world.open.find(newest.node) : nullptr;
      case Born::kBefore:
        break;
    }
    // A child of the request before, when that is still open (a goroutine that reads for others).
    const Read& before = task.reads[1];
    if (task.requests < 2 || before.shared || born(child, before.births) != Born::kAfter) return nullptr;
    return world.open.find(before.node);
  }

  std::unordered_map<std::uint32_t, Process> processes_;
  std::size_t tasks_ = 0;
};

}  // namespace

std::unique_ptr<Evidence> make_goroutine() {
  return std::make_unique<Goroutine>();
}

}  // namespace wirespan
