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
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/channels.h"
#include "correlator/elements.h"
#include "correlator/evidence/evidence.h"
#include "correlator/goroutine_children.h"
#include "correlator/goroutines.h"
#include "correlator/unknown_jobs.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostTasks =
    8192;  // of all processes, twice; past it those that did nothing lately are forgotten
constexpr std::size_t kMostCallers = 65'536;
constexpr std::size_t kMostWaiting = 4096;  // reads that may have begun a request, of a process

using Task = GoroutineTask;
using Lineage = GoroutineLineage;

struct Caller {
  std::uint64_t task = 0;
  std::uint64_t parent = 0;
  BootTime time{};         // when it asked
  std::uint64_t call = 0;  // the one it asked for, once that was seen; who asks for the next may be lost
};

struct Process {
  GoroutineTasks tasks;
  std::unordered_map<std::uint64_t, Caller> callers;  // by client connection
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>>
      births;  // by goroutine, until its request is understood
  Channels channels;
  Elements elements;
  UnknownJobs unknown;
  bool watched = true;  // what is done with channels is told
  GoroutineChildren children;
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

  void closing(World& world) override {
    for (auto& [pid, process] : processes_) process.children.closing(process.tasks, world);
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
        process.children.advance(tick->time, process.tasks, world);
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
    node->may_work_on = true;
    Process& process = this->process(node->pid);
    const Message& request = *node->exchange->request;
    const bool first = !process.forgot && request.position == 0 && !request.conn->adopted;
    const auto of_parent = process.births.find(actor.parent_task);
    const bool begun_for_it = !process.births.contains(actor.task) && of_parent != process.births.end() &&
                              born_after(actor.task, of_parent->second);
    // A goroutine begun for the request reads the rest of it (its body: net/http's TimeoutHandler).
    if (begun_for_it) read(process, meet(process, actor.parent_task), actor.parent_task, *node, first);
    read(process, meet(actor), actor.task, *node, first || begun_for_it);
  }

  void finished(const NodePtr& node, World& world) override {
    if (node->role != SpanRole::kServer) return;
    const auto of = processes_.find(node->pid);
    if (of != processes_.end()) of->second.children.finished(node, world);
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    const Actor& actor = node.exchange->request->first_byte.actor;
    if (actor.task == 0 || is_context(actor.task)) return std::nullopt;
    Process& of = process(node.pid);
    if (!asked_for(of, actor.task, node)) return std::nullopt;
    Found found = request_of(of, actor, world);
    using Belief = GoroutineChildren::Belief;
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

  // Goroutines that go on once the request is answered that they were begun for, and the one that read it. More than
  // two calls make it a worker (GoroutineChildren).
  [[nodiscard]] std::optional<Claim> late(const Node& call, World& world) override {
    const Actor& actor = call.exchange->request->first_byte.actor;
    if (actor.task == 0 || is_context(actor.task)) return std::nullopt;
    const Process& of = process(call.pid);
    const Found found = request_of(of, actor, world);
    if (found.request == 0 || found.node || std::ranges::any_of(found.lineage.all(), [&of](std::uint64_t task) {
          const Task* const known = of.tasks.peek(task);
          return known != nullptr && known->outlives;
        }))
      return std::nullopt;
    NodePtr request = world.open.answered(found.request, call.opened);
    if (!request) return std::nullopt;
    return late_work(std::move(request), "goroutine", 0.9);
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
    const std::size_t before = process.tasks.young();
    Task& task = process.tasks.use(number);
    tasks_ += process.tasks.young() - before;
    return task;
  }
  Task& meet(const Actor& actor) {
    Task& task = meet(process(actor.thread.pid), actor.task);
    task.parent = actor.parent_task;
    return task;
  }

  // first: one that had read none before has done nothing else either.
  static void read(Process& process, Task& task, std::uint64_t number, const Node& request, bool first) {
    std::swap(task.reads[0], task.reads[1]);  // keeps the room for their ids
    GoroutineRead& read = task.reads[0];
    read.node = request.number;
    read.first = task.requests == 0 && first;
    read.births.clear();
    const auto it = process.births.find(number);
    read.shared = task.requests > 0 && it == process.births.end();
    if (it != process.births.end()) {
      read.births.swap(it->second);
      process.births.erase(it);
    }
    ++task.requests;
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
        if (found.lineage.of_child() &&
            !process.children.believed(found.lineage, handover.actor.thread.pid, handover.time, process.tasks, world)) {
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
    const Task* const receiver = process.tasks.peek(send.other);
    if (receiver == nullptr || receiver->requests == 0) return;
    const NodePtr request = world.open.find(request_read_by(*receiver, 0, world));
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
    // Nor is one a worker that waits for what it asked for: results of goroutines that it began itself.
    if (task.channel == 0 && descends(process, given.sender, given.task)) return;
    if (task.channel == 0 && given.waits && request_of(process, Actor{{}, 0, given.task, task.parent}, world).node)
      return;
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

  static bool descends(const Process& process, std::uint64_t task, std::uint64_t from) {
    for (int generation = 0; generation < Lineage::kMost && task != 0; ++generation) {
      const Task* const known = process.tasks.peek(task);
      task = known == nullptr ? 0 : known->parent;
      if (task == from) return true;
    }
    return false;
  }

  // Whether it is known who asked for a call that the connection's own goroutine writes. False: who did was lost, or
  // the call is told so late that another has asked since.
  static bool asked_for(Process& process, std::uint64_t writer, const Node& call) {
    const Task* const task = process.tasks.peek(writer);
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
    Lineage lineage = {};       // of a child of the one that read it
    std::uint64_t draw = 0;     // on which it depends
    std::uint64_t worker = 0;   // who makes the call, where that one is fed through channels
    std::uint64_t request = 0;  // open or answered, by lineage
  };

  GoroutineChildren::Belief call_of_child(Process& process, const Found& found, const Node& node, World& world) {
    const std::size_t before = process.tasks.young();
    const auto belief = process.children.call(found.lineage, found.node, node, process.tasks, world);
    tasks_ += process.tasks.young() - before;
    return belief;
  }

  // The request a goroutine works for.
  static Found request_of(const Process& process, const Actor& writer, World& world) {
    Caller at{writer.task, writer.parent_task, {}, 0};
    if (const Task* const task = process.tasks.peek(writer.task); task != nullptr && task->writes_for != 0) {
      const auto caller = process.callers.find(task->writes_for);
      if (caller == process.callers.end()) return {};
      at = caller->second;
    }
    std::uint64_t child = 0;
    Lineage lineage;
    for (int generation = 0; generation < Lineage::kMost; ++generation) {
      if (const Task* const task = process.tasks.peek(at.task); task != nullptr) {
        if (task->requests > 0) {
          const std::uint64_t request = request_read_by(*task, child, world);
          return {world.open.find(request), false, lineage, 0, 0, request};
        }
        // Workers outlive what they were started for.
        if (task->channel != 0) {
          return {world.open.find(task->work), true, {}, task->draw, task->work == 0 ? at.task : 0, 0};
        }
      }
      // A goroutine never heard of may be anything's child, but not if its child told who it is.
      if (at.parent == 0) return {};
      child = lineage.tasks[lineage.count++] = at.task;
      const Task* const parent = process.tasks.peek(at.parent);
      at = {at.parent, parent == nullptr ? 0 : parent->parent, {}, 0};
    }
    return {};
  }

  std::unordered_map<std::uint32_t, Process> processes_;
  std::size_t tasks_ = 0;
};

}  // namespace

std::unique_ptr<Evidence> make_goroutine() {
  return std::make_unique<Goroutine>();
}

}  // namespace wirespan
