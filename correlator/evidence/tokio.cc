// Tasks of Rust's tokio, by their Ids; who wakes and who begins whom is told by the runtime's own calls.
//
// The task that reads a request works for it. A client's connection is often a task of its own (hyper), fed through a
// channel: whoever woke it before it wrote asked for the call, and whoever it wakes once it has read the response's
// beginning awaits that. A task that did both is the one. (Who awaited the response before may still wake it when the
// next has asked already.) In a process where that has always been so, who asks is not told to save the service its
// cost (capture/tokio_wakes), and who awaits is the one. A call that gets no response in time is of who asked for it,
// if only one can have, and if the process has shown that such a one has always been the one who awaits.
//
// Tasks begun by one that works for a request work for it too, as far as is shown afterwards: a call of theirs is the
// request's if it was answered before the request was, and the task makes none in the time after that. That is waited
// for until the process has shown it over and over. A consumer of a queue, begun by the first request that needed it,
// goes on to serve others; where there are such, no child is believed.
//
// Of those begun to block a thread more is known, as it is theirs alone until they end (correlator/blocking_tasks).
//
// Of consumers of queues it is known by their replies (correlator/task_consumers).
#include <algorithm>
#include <array>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/generations.h"
#include "base/hash.h"
#include "correlator/blocking_tasks.h"
#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"
#include "correlator/task_consumers.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostTasks = 16'384;  // of all processes, twice; past it those not used lately are forgotten
constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostWaiting = 4096;  // calls of a process that wait for their request's answer
constexpr int kMostGenerations = 8;
constexpr std::size_t kMostWakers = 4;
constexpr double kBoth = 0.99;
constexpr double kOne = 0.98;
constexpr std::int64_t kLate = 1'000'000'000;      // for a response
constexpr std::int64_t kAfterwards = 500'000'000;  // who has made no call for so long after the answer has ended
// Or for so long, where others have made so many: a consumer would have made some of them.
constexpr std::int64_t kSoonAfterwards = 100'000'000;
constexpr std::uint64_t kCallsOfOthers = 256;
constexpr float kProven = 16;
constexpr float kWellProven = 64;
constexpr float kRare = 400;

struct Read {
  std::uint64_t node = 0;
  BootTime time{};
};

struct Task {
  std::uint64_t parent = 0;
  BootTime born{};
  std::array<Read, 2> reads;  // requests, the newest first
  std::uint32_t requests = 0;
  bool shared = false;    // it reads requests while others it read are open
  bool outlives = false;  // it works for others than the request it was begun for
  // As one that writes calls: who has woken it since it wrote the last one, each once.
  std::array<std::uint64_t, kMostWakers> wakers{};
  std::uint8_t woken = 0;                          // how many; more than there is room for: not known
  std::array<std::uint64_t, kMostWakers> asked{};  // those of the call in flight
  std::uint8_t askers = 0;
  bool asks_told = true;      // when the call in flight was made
  std::uint64_t only = 0;     // the request of the only one who can have asked; 0: none, or several
  std::uint64_t awaited = 0;  // the task that the last response woke
  NodePtr call;               // until somebody was woken by its response
  std::uint64_t own = 0;      // the request it was begun for, where nobody asked for the call
  bool responds = false;
  bool calls = false;  // it has made calls or asked for some
};

class ByTokio : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "tokio"; }
  [[nodiscard]] int rank() const override { return 21; }

  // Where children were watched for long enough before, those of the last requests are believed without.
  void closing(World& world) override {
    for (auto& [pid, process] : processes_) {
      process.consumers.close(world);
      if (process.children.held >= kProven) {
        for (Process::Waiting& one : process.children_calls) {
          if (ended(pid, one)) process.unproven.push_back(std::move(one));
        }
        take_unproven(process, world);
      }
      process.children_calls.clear();
      process.blocking.close(world);
    }
  }

  // Who began whom, and how the processes work, still holds.
  void restart() override {
    tasks_.each([](Task& task) {
      task.reads = {};
      task.woken = task.askers = 0;
      task.call.reset();
    });
    for (auto& [pid, process] : processes_) {
      process.waiting.clear();
      process.children_calls.clear();
      process.unproven.clear();
      process.late.clear();
      process.consumers.clear();
      process.blocking.clear();
    }
  }

  void event(const Event& event, World& world) override {
    if (const auto* handover = std::get_if<event::Handover>(&event)) {
      if (!is_tokio(handover->actor.task)) return;
      age();
      if (handover->role == event::Handover::Role::kWakes)
        woke(*handover, world);
      else if (handover->role == event::Handover::Role::kSpawns)
        began(*handover, world);
      else
        did_for_another(*handover, world);
    } else if (const auto* tick = std::get_if<event::Tick>(&event)) {
      for (auto& [pid, process] : processes_) {
        process.consumers.advance(tick->time, world);
        take_late(process, tick->time, world);
        take_children(pid, process, tick->time, world);
        if (!fails(process.answers)) process.blocking.advance(tick->time, world);
      }
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    }
  }

  void opened(const NodePtr& node, World& world) override {
    const Message& request = *node->exchange->request;
    const Actor& actor = node->role == SpanRole::kServer ? request.last_byte.actor : request.first_byte.actor;
    if (!is_tokio(actor.task)) return;
    age();
    node->role == SpanRole::kServer ? read(*node, actor.task, world) : write(node, actor.task, world);
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (touched.kind != MessageKind::kResponse || !touched.first || !is_tokio(touched.touch.actor.task)) return;
    if (node->role == SpanRole::kServer) return answers(node, touched.touch, world);
    Task* const task = find(key(node->pid, touched.touch.actor.task));
    if (task == nullptr || task->call != node) return;
    process_of(node->pid).blocking.responds(node, touched.touch.actor.task, world);
    task->responds = true;
    if (task->requests == 0) process_of(node->pid).consumers.made(touched.touch.actor.task, node);
    if (task->own == 0) return;
    if (const NodePtr request = world.open.find(task->own); request)
      wait(process_of(node->pid), node, {request, true, touched.touch.actor.task});
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    const Touch& touch = node.exchange->request->first_byte;
    if (!is_tokio(touch.actor.task)) return std::nullopt;
    const Process& process = process_of(node.pid);
    Task* const writer = find(key(node.pid, touch.actor.task));
    if (writer == nullptr || fails(process.answers)) return std::nullopt;
    if (writer->requests == 0) return std::nullopt;
    NodePtr request = request_read_by(*writer, BootTime{}, world);
    if (!request) return std::nullopt;
    world.habits.explained(node.pid, true);
    return Claim{std::move(request), std::nullopt, "tokio", kBoth};
  }

 private:
  struct Process {
    TaskConsumers consumers;
    BlockingTasks blocking;
    TrackRecord answers;   // requests are answered by the task that read them
    TrackRecord children;  // who was begun for a request makes no calls once that is answered
    TrackRecord handed;    // the only one who can have asked for a call awaits its response
    bool asks_told = true;
    struct Waiting {
      NodePtr call;
      std::uint64_t request = 0;
      std::uint64_t task = 0;  // the child that made or asked for it
      NodePtr parent;          // that request, once it is answered
      BootTime answered{};
      std::uint64_t calls_then = 0;
    };
    std::uint64_t calls = 0;
    std::vector<Waiting> waiting;
    std::deque<Waiting> children_calls;  // of answered requests, in the order of the answers
    std::vector<Waiting> unproven;       // until the process has shown that its children work like this
    std::deque<Waiting> late;  // calls in the order in which they were made, and who alone can have asked for them
  };
  struct Found {
    NodePtr node;            // null: not certain
    bool child = false;      // by who was begun by the one that read it, or by such
    std::uint64_t task = 0;  // that child
  };

  // Where nobody holds one.
  void age() {
    if (tasks_.young() >= kMostTasks) tasks_.age();
  }
  // Who is asked for is not forgotten. nullptr: it is not known.
  [[nodiscard]] Task* find(std::uint64_t number) {
    return tasks_.peek(number) != nullptr ? &tasks_.use(number) : nullptr;
  }
  static std::uint64_t key(std::uint32_t pid, std::uint64_t task) { return combine64(mix64(pid), task); }
  static bool fails(const TrackRecord& record) { return record.failed * kRare > record.held + kRare; }
  static bool proven(const TrackRecord& record, float enough = kProven) {
    return record.held >= enough && record.failed * kRare <= record.held;
  }
  Process& process_of(std::uint32_t pid) {
    if (processes_.size() >= kMostProcesses && !processes_.contains(pid)) processes_.clear();
    return processes_[pid];
  }

  void read(const Node& node, std::uint64_t number, World& world) {
    Task& task = tasks_.use(key(node.pid, number));
    const bool open = task.requests > 0 && world.open.find(task.reads[0].node);
    const bool both = task.requests > 1 && world.open.find(task.reads[1].node);
    task.shared = open || (task.shared && both);
    task.reads[1] = task.reads[0];
    task.reads[0] = {node.number, node.opened};
    ++task.requests;
  }

  void began(const event::Handover& handover, World& world) {
    const std::uint32_t pid = handover.actor.thread.pid;
    if ((handover.place & event::Handover::kBlocking) != 0) {
      const Found found = request_of(pid, handover.actor.task, world);
      return process_of(pid).blocking.began(handover.object, found.node ? found.node->number : 0, found.task);
    }
    Task& task = tasks_.use(key(pid, handover.object));
    task.parent = handover.actor.task;
    task.born = handover.time;
  }

  // The request a task works for. Up from a task to whoever read one.
  Found request_of(std::uint32_t pid, std::uint64_t number, World& world) {
    Found out;
    BootTime born{};
    for (int generation = 0; generation < kMostGenerations && number != 0; ++generation) {
      const Task* const task = find(key(pid, number));
      if (task == nullptr) return out;
      if (task->requests > 0) {
        out.node = request_read_by(*task, born, world);
        return out;
      }
      if (task->outlives) return out;
      if (!out.child) out.task = number;
      out.child = true;
      born = task->born;
      number = task->parent;
    }
    return out;
  }

  // born: when the one in question was begun by it; zero: it is that itself.
  static NodePtr request_read_by(const Task& task, BootTime born, World& world) {
    const Read& newest = task.reads[0];
    const Read& before = task.reads[1];
    if (task.shared) return nullptr;
    if (born == BootTime{} || born > newest.time) return world.open.find(newest.node);
    // Of the one before, when that is still open. What is older than both is of neither.
    if (task.requests > 1 && born > before.time) return world.open.find(before.node);
    return nullptr;
  }

  void write(const NodePtr& node, std::uint64_t number, World& world) {
    Task& task = tasks_.use(key(node->pid, number));
    ++process_of(node->pid).calls;
    if (task.requests > 0) return;
    process_of(node->pid).blocking.calls(node, number, world);
    task.call = node;
    task.responds = false;
    task.asks_told = process_of(node->pid).asks_told;
    task.asked = task.wakers;
    task.askers = std::exchange(task.woken, std::uint8_t{0});
    task.only = task.own = 0;
    if (task.askers == 0) {
      const Found born_for = request_of(node->pid, number, world);
      task.own = born_for.child && born_for.node ? born_for.node->number : 0;
      task.calls = true;
    }
    if (task.askers > kMostWakers) return;
    // Who awaited the response before had to wake it for that.
    std::uint64_t only = 0;
    int others = 0;
    for (std::uint8_t i = 0; i < task.askers; ++i) {
      if (task.asked[i] == task.awaited && task.askers > 1) continue;
      only = task.asked[i];
      ++others;
    }
    if (others != 1) return;
    const Found asked = request_of(node->pid, only, world);
    if (!asked.node || asked.child) return;
    task.only = asked.node->number;
    auto& late = process_of(node->pid).late;
    if (late.size() >= kMostWaiting) late.pop_front();
    late.push_back({node, task.only, only, nullptr, {}});
  }

  static TaskConsumers& consumers_of(Process& process) {
    process.consumers.believe(!fails(process.answers));
    return process.consumers;
  }

  void did_for_another(const event::Handover& handover, World& world) {
    const std::uint32_t pid = handover.actor.thread.pid;
    const std::uint64_t task = handover.actor.task;
    Process& process = process_of(pid);
    TaskConsumers& consumers = consumers_of(process);
    if (handover.role == event::Handover::Role::kLetsGo) return consumers.lets_go(task);
    if (handover.role == event::Handover::Role::kReplies)
      return consumers.replies(task, handover.object, handover.time, world);
    if (handover.role != event::Handover::Role::kGets) return;
    auto calls = consumers.gets(task, handover.object);
    if (calls.empty()) return;
    const Found found = request_of(pid, task, world);
    if (found.node && !found.child) return consumers.found(std::move(calls), found.node, world);
    const Task* const known = find(key(pid, task));
    for (const NodePtr& call : calls) {
      if (found.node)
        wait(process, call, found);
      else if (known == nullptr || known->requests == 0)
        consumers.awaits(task, call, world);
    }
  }

  void woke(const event::Handover& handover, World& world) {
    const std::uint32_t pid = handover.actor.thread.pid;
    const bool asks_told = (handover.place & event::Handover::kAnswersOnly) == 0;
    process_of(pid).asks_told = asks_told;
    // A worker thread is a task itself, begun before all others: what wakes in its name is the driver, which found a
    // socket ready. Nobody wakes it, and it reads nothing.
    const bool driver = find(key(pid, handover.actor.task)) == nullptr;
    Task& wakee = tasks_.use(key(pid, handover.object));
    if (driver) return;
    const auto end = wakee.wakers.begin() + std::min<std::size_t>(wakee.woken, kMostWakers);
    if (std::find(wakee.wakers.begin(), end, handover.actor.task) == end) {
      if (wakee.woken < kMostWakers) wakee.wakers[wakee.woken] = handover.actor.task;
      if (wakee.woken <= kMostWakers) ++wakee.woken;
    }
    Task* const waker = find(key(pid, handover.actor.task));
    if (waker == nullptr) return;
    TaskConsumers& consumers = consumers_of(process_of(pid));
    if (waker->requests > 0 && wakee.requests == 0) consumers.asked(handover.object, handover.actor.task);
    if (waker->requests == 0 && wakee.requests > 0) {
      consumers.wakes(handover.actor.task, handover.object, request_read_by(wakee, BootTime{}, world), handover.time,
                      world);
    }
    if (const Found other = waker->requests == 0 ? request_of(pid, handover.object, world) : Found{}; other.node) {
      const bool by_reference = (handover.place & event::Handover::kByReference) != 0;
      process_of(pid).blocking.wakes(handover.actor.task, other.node->number, by_reference);
    }
    if (waker->calls && !waker->outlives) {
      // It delivers to another request than the one it was begun for.
      const NodePtr other = wakee.requests > 0 ? request_read_by(wakee, BootTime{}, world) : nullptr;
      const Found born_for = other ? request_of(pid, handover.actor.task, world) : Found{};
      waker->outlives = born_for.child && born_for.node != other;
    }
    if (!waker->call || !waker->responds) return;
    const NodePtr call = std::exchange(waker->call, nullptr);
    consumers.passes_on(handover.actor.task, call);
    waker->awaited = handover.object;
    const Found awaits = request_of(pid, handover.object, world);
    Process& process = process_of(pid);
    const bool other_awaits = awaits.node ? awaits.node->number != waker->own : !asks_told;
    if (waker->own != 0 && other_awaits)
      std::erase_if(process.waiting, [&](const Process::Waiting& one) { return one.call == call; });
    if (awaits.child) {
      Task& child = tasks_.use(key(pid, awaits.task));
      child.calls = true;
      child.outlives = child.outlives || !awaits.node;
    }
    if (!awaits.node) return consumers.awaits(handover.object, call, world);
    if (waker->only != 0) process.handed.add(awaits.node->number == waker->only);
    const auto askers = waker->asked.begin() + std::min<std::size_t>(waker->askers, kMostWakers);
    const bool asked = std::find(waker->asked.begin(), askers, handover.object) != askers;
    if ((asks_told && waker->asks_told && !asked) || fails(process.answers)) return;
    if (awaits.child) return wait(process, call, awaits);
    world.habits.tells_contexts(pid);  // no loop's turn says as much
    if (!call->decided) world.found(call, Claim{awaits.node, std::nullopt, "tokio", kBoth});
  }

  // Before what is left of a call would be inferred.
  static void take_late(Process& process, BootTime now, World& world) {
    while (!process.late.empty()) {
      const Process::Waiting& first = process.late.front();
      if (!first.call->decided) {
        if (now - first.call->opened < kLate) return;
        const NodePtr request = world.open.find(first.request);
        if (request && proven(process.handed) && !fails(process.answers))
          world.found(first.call, Claim{request, std::nullopt, "tokio", kOne});
      }
      process.late.pop_front();
    }
  }

  void wait(Process& process, const NodePtr& call, const Found& found) {
    if (process.waiting.size() >= kMostWaiting) process.waiting.clear();
    process.waiting.push_back({call, found.node->number, found.task, nullptr, {}});
  }

  void answers(const NodePtr& request, const Touch& touch, World& world) {
    Process& process = process_of(request->pid);
    // Those read before it was learned where tasks are named are nobody's.
    if (const std::uint64_t reader = request->exchange->request->last_byte.actor.task; is_tokio(reader)) {
      const Task* const task = find(key(request->pid, reader));
      const bool own = task != nullptr && request_read_by(*task, BootTime{}, world) == request;
      process.answers.add(own && reader == touch.actor.task);
    }
    if (!fails(process.answers)) process.blocking.answers(request, touch.time, world);
    std::erase_if(process.waiting, [&](Process::Waiting& one) {
      if (one.call->decided) return true;
      if (one.request != request->number) return false;
      one.parent = request;
      one.answered = touch.time;
      one.calls_then = process.calls;
      // Where that has been so all the time, it need not be waited for; it is watched none the less.
      const bool known = process.children.held >= kWellProven && !fails(process.children) && !fails(process.answers);
      const Task* const child = known ? find(key(request->pid, one.task)) : nullptr;
      if (known && (child == nullptr || !child->outlives))
        world.found(one.call, Claim{request, std::nullopt, "tokio", kBoth});
      if (process.children_calls.size() < kMostWaiting) process.children_calls.push_back(std::move(one));
      return true;
    });
  }

  void take_children(std::uint32_t pid, Process& process, BootTime now, World& world) {
    while (!process.children_calls.empty()) {
      Process::Waiting& first = process.children_calls.front();
      const std::int64_t since = now - first.answered;
      const bool soon = since >= kSoonAfterwards && process.calls - first.calls_then >= kCallsOfOthers;
      if (since < kAfterwards && !soon) break;
      const bool held = ended(pid, first);
      process.children.add(held);
      if (held && !first.call->decided && process.unproven.size() < kMostWaiting)
        process.unproven.push_back(std::move(first));
      process.children_calls.pop_front();
    }
    if (process.children.held >= kProven) take_unproven(process, world);
  }

  // Whether the child that made the call is not known to have worked for others since.
  bool ended(std::uint32_t pid, const Process::Waiting& one) {
    const Task* const child = find(key(pid, one.task));
    return child == nullptr || !child->outlives;
  }

  static void take_unproven(Process& process, World& world) {
    if (!fails(process.children) && !fails(process.answers)) {
      for (Process::Waiting& one : process.unproven) {
        if (!one.call->decided) world.found(one.call, Claim{one.parent, std::nullopt, "tokio", kBoth});
      }
    }
    process.unproven.clear();
  }

  Generations<std::uint64_t, Task> tasks_;
  std::unordered_map<std::uint32_t, Process> processes_;
};

}  // namespace

std::unique_ptr<Evidence> make_tokio() {
  return std::make_unique<ByTokio>();
}

}  // namespace wirespan
