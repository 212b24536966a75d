// Python's tasks, by their contexts (contextvars.Context). Work that is begun on behalf of other work runs in a copy of
// that one's context: asyncio, trio and anyio do so for every task, to_thread and asgiref for every thread's job. The
// kernel side says who was copied from whom, and when.
//
// Vert.x's event loops name the context they work in, one for each request, when they send; the second rule is theirs.
//
// Two rules. The context that reads a request works for it, and so does what was born of it since (uvicorn makes a task
// for each request). And where another task serves the connection (aiohttp): whoever answers a request made the calls
// it made since its last answer for that request, and so did those that were born of it since the request came.
//
// Both keep a record for each process of how often they failed: answers given by a task that the first rule gives to
// another request; requests answered out of turn; calls older than the request they were made for.
//
// A client with a queue (Tornado's) begins the next call where another's has just ended: in a context born of that
// one's, and so of the request of that one. So a call in what was born of a context after that one had heard of a call
// of its own may be anybody's. Such calls are believed where no request of the process was ever answered before one of
// them was: where a queue begins them, that happens all the time.
#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"
#include "correlator/late_tasks.h"
#include "model/object_task.h"

namespace wirespan {
namespace {

// Of all processes, twice; past it those not used lately are forgotten. More where more requests are open at a time.
constexpr std::size_t kTasks = 8192;
constexpr std::size_t kMostTasks = 32'768;
constexpr std::size_t kTasksOfRequest = 4;
constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostPending = 4096;  // calls of a process that wait for an answer
constexpr std::size_t kMostWaiting = 1024;
constexpr std::size_t kGenerations = event::Lineage::kMost + 1;
constexpr float kProven = 16;
constexpr float kRare = 200;
constexpr float kRareObjects = 1000;
constexpr float kProvenHanded = 32;
constexpr float kRareHanded = 1000;

bool is_ours(std::uint64_t task) {
  return is_context(task) && !is_tokio(task);
}

struct Read {
  std::uint64_t node = 0;
  BootTime time{};
};

struct Task {
  std::uint64_t parent = 0;
  std::array<Read, 2> reads;  // requests, the newest first
  std::uint32_t requests = 0;
  bool shared = false;  // it reads requests while others it read are open
  BootTime answered{};
  std::array<Read, 2> answers;  // requests and when it answered them, the newest first
  // Since it began to work for what it works for now: when it first heard of a call that it made, and of one that
  // another did. 0: not.
  BootTime heard{};
  BootTime overheard{};
};

// Tasks by number; those not asked for since the table was last full are forgotten.
class Tasks {
 public:
  [[nodiscard]] Task* find(std::uint64_t key) {
    if (const auto it = young_.find(key); it != young_.end()) return &it->second;
    const auto it = old_.find(key);
    if (it == old_.end()) return nullptr;
    Task& task = young_[key] = it->second;
    old_.erase(it);
    return &task;
  }
  Task& get(std::uint64_t key) {
    Task* const task = find(key);
    return task != nullptr ? *task : young_[key];
  }
  // Where nobody holds one.
  void age(std::size_t open) {
    if (young_.size() < std::clamp(open * kTasksOfRequest, kTasks, kMostTasks)) return;
    old_ = std::move(young_);
    young_.clear();
  }

 private:
  std::unordered_map<std::uint64_t, Task> young_;
  std::unordered_map<std::uint64_t, Task> old_;
};

class ByTask : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "task"; }
  [[nodiscard]] int rank() const override { return 22; }

  void restart() override {
    for (auto& [pid, process] : processes_) {
      process.pending.clear();
      process.waiting.clear();
      process.waiting_doubtful.clear();
    }
  }

  void event(const Event& event, World& world) override {
    if (const auto* lineage = std::get_if<event::Lineage>(&event)) {
      tasks_.age(world.open.size());
      std::uint64_t child = lineage->task;
      for (std::uint32_t i = 0; i < lineage->count; ++i) {
        tasks_.get(key(lineage->pid, child)).parent = lineage->ancestors[i];
        child = lineage->ancestors[i];
      }
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    }
  }

  void opened(const NodePtr& node, World& world) override {
    const Message& request = *node->exchange->request;
    if (node->role == SpanRole::kServer) {
      if (!is_ours(request.last_byte.actor.task)) return;
      node->may_work_on = true;
      read(*node, request.last_byte.actor.task, world);
    } else if (is_ours(request.first_byte.actor.task)) {
      put_off(node, request.first_byte.actor);
    }
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (touched.kind != MessageKind::kResponse || !touched.first) return;
    if (node->role == SpanRole::kClient) return hear(*node, touched.touch.actor.task, touched.touch.time);
    if (is_ours(touched.touch.actor.task)) answer(node, touched.touch, world);
  }

  void finished(const NodePtr& node, World& /*world*/) override {
    // Of one that was never answered this is the end.
    if (node->role == SpanRole::kClient && !node->answering) hear(*node, 0, node->exchange->ended);
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    const Actor& actor = node.exchange->request->first_byte.actor;
    if (!is_ours(actor.task)) return std::nullopt;
    NodePtr request;
    if (!fails(process_of(node.pid).births) && certain(node.pid, actor)) request = request_of(node.pid, actor, world);
    // One whose answer has begun and goes on.
    if (!request) request = world.open.find(answered_in_line(node.pid, actor, true));
    if (!request) return std::nullopt;
    world.habits.explained(node.pid, true);
    return Claim{std::move(request), std::nullopt, "task", 0.99};
  }

  // Tasks that go on in the background once their request is answered. Vert.x's contexts may be taken for others.
  [[nodiscard]] std::optional<Claim> late(const Node& call, World& world) override {
    const Actor& actor = call.exchange->request->first_byte.actor;
    if (!is_ours(actor.task) || is_object(actor.task)) return std::nullopt;
    std::uint64_t number = 0;
    const Line line = line_of(call.pid, actor);
    std::size_t at = line.reader;
    if (!fails(process_of(call.pid).births) && certain(call.pid, actor)) number = number_of(call.pid, actor);
    if (number == 0) number = answered_in_line(call.pid, actor, false, &at);
    if (number == 0 || world.open.find(number)) return std::nullopt;
    // Whoever served the request was seen to go on with others, or not; what it began may be a worker.
    const std::uint64_t child = at == 0 || at >= kGenerations ? 0 : line.tasks[at - 1];
    if (child != 0 && !process_of(call.pid).late.call(child, call.opened)) return std::nullopt;
    NodePtr request = world.open.answered(number, call.opened);
    if (!request) return std::nullopt;
    return late_work(std::move(request), "task", 0.99);
  }

 private:
  // Who made a call, its parent, and so forth.
  struct Line {
    std::array<std::uint64_t, kGenerations> tasks{};
    std::size_t reader = kGenerations;   // the first that read a request
    std::size_t doubted = kGenerations;  // the first that had heard of another call before whoever made this one began
  };
  struct Pending {
    NodePtr call;
    Line line;
  };
  using Pairs = std::vector<std::pair<NodePtr, NodePtr>>;  // call and request
  struct Process {
    TrackRecord births;   // the first rule
    TrackRecord answers;  // the second
    TrackRecord once;     // who has answered a request answers no other
    LateTasks late;
    TrackRecord handed;  // calls in what was born of who had heard of another one
    std::vector<Pending> pending;
    Pairs waiting;           // found before the second rule was proven
    Pairs waiting_doubtful;  // and before `handed` was
  };

  // A link that answers may confirm, so that it need not be guessed at any more.
  static bool is_guess(const Node& call) { return call.link && call.link->method == "only_open"; }
  static std::uint64_t key(std::uint32_t pid, std::uint64_t task) { return combine64(mix64(pid), task); }
  Process& process_of(std::uint32_t pid) {
    if (processes_.size() >= kMostProcesses && !processes_.contains(pid)) processes_.clear();
    return processes_[pid];
  }

  void read(const Node& node, std::uint64_t number, World& world) {
    Task& task = tasks_.get(key(node.pid, number));
    const bool open = task.requests > 0 && world.open.find(task.reads[0].node);
    const bool both = task.requests > 1 && world.open.find(task.reads[1].node);
    task.shared = open || (task.shared && both);
    task.reads[1] = task.reads[0];
    task.reads[0] = {node.number, node.opened};
    ++task.requests;
    task.heard = task.overheard = {};
  }

  void hear(const Node& call, std::uint64_t by, BootTime time) {
    const std::uint64_t maker = call.exchange->request->first_byte.actor.task;
    if (is_ours(maker) && !is_object(maker)) hear(call.pid, maker, &Task::heard, time);
    if (by != maker && is_ours(by) && !is_object(by)) hear(call.pid, by, &Task::overheard, time);
  }
  // A task that is not known was born of none.
  void hear(std::uint32_t pid, std::uint64_t number, BootTime Task::* first, BootTime time) {
    Task* const task = tasks_.find(key(pid, number));
    if (task != nullptr && (task->*first).ns == 0) task->*first = time;
  }

  // Whether `task`, which `maker` is or was born of, had heard of a call before `maker` began.
  static bool had_heard(const Task& task, bool itself, std::uint64_t maker) {
    if (itself) return task.overheard.ns != 0;
    const auto before = [maker](BootTime time) { return time.ns != 0 && time < born(maker); };
    return before(task.heard) || before(task.overheard);
  }

  Line line_of(std::uint32_t pid, const Actor& actor) {
    Line line;
    std::uint64_t at = actor.task;
    for (std::size_t i = 0; i < kGenerations && at != 0; ++i) {
      line.tasks[i] = at;
      const Task* const task = tasks_.find(key(pid, at));
      if (task != nullptr) {
        if (task->requests > 0) line.reader = std::min(line.reader, i);
        if (had_heard(*task, i == 0, actor.task)) line.doubted = std::min(line.doubted, i);
      }
      at = task != nullptr && task->parent != 0 ? task->parent : i == 0 ? actor.parent_task : 0;
    }
    return line;
  }

  static bool fails(const TrackRecord& births) { return births.failed * kRare > births.held + kRare; }
  bool certain(std::uint32_t pid, const Actor& actor) {
    const Line line = line_of(pid, actor);
    return line.doubted > line.reader || process_of(pid).handed.trusted(kProvenHanded, kRareHanded);
  }

  NodePtr request_of(std::uint32_t pid, const Actor& actor, World& world) {
    return world.open.find(number_of(pid, actor));
  }
  // The request that whoever made a call, or by whom that one was born for it, has begun to answer since; 0: not
  // certain. answering: if it goes on with that.
  // at: where in the line that one is.
  std::uint64_t answered_in_line(std::uint32_t pid, const Actor& actor, bool answering, std::size_t* at = nullptr) {
    const bool once = process_of(pid).once.trusted(kProven, kRare);
    const Line line = line_of(pid, actor);
    for (std::size_t i = 0; i < kGenerations && line.tasks[i] != 0; ++i) {
      const Task* const task = tasks_.find(key(pid, line.tasks[i]));
      if (task == nullptr || task->answers[0].node == 0) continue;
      if (line.doubted <= i && !process_of(pid).handed.trusted(kProvenHanded, kRareHanded)) return 0;
      if (at != nullptr) *at = i;
      const auto& [newest, before] = task->answers;
      if (once) return newest.node;
      // It serves one request after the other: for the one that it answered first since the other was born.
      if (i == 0) return answering ? newest.node : 0;
      const BootTime since = born(line.tasks[i - 1]);
      return newest.time > since && before.time <= since ? newest.node : 0;
    }
    return 0;
  }

  // Up from who made a call to whoever read a request. 0: not certain. It may be answered.
  std::uint64_t number_of(std::uint32_t pid, const Actor& actor) {
    std::uint64_t at = actor.task;
    std::uint64_t child = 0;
    for (std::size_t generation = 0; generation < kGenerations; ++generation) {
      const Task* const task = tasks_.find(key(pid, at));
      if (task != nullptr && task->requests > 0) return request_read_by(*task, child);
      std::uint64_t parent = task != nullptr ? task->parent : 0;
      if (parent == 0 && child == 0) parent = actor.parent_task;
      if (parent == 0) return 0;
      child = at;
      at = parent;
    }
    return 0;
  }

  // child: of the reader, 0: itself.
  static std::uint64_t request_read_by(const Task& task, std::uint64_t child) {
    const Read& newest = task.reads[0];
    const Read& before = task.reads[1];
    if (child == 0) return task.shared ? 0 : newest.node;
    if (task.requests > 1 && newest.time == before.time) return 0;  // both came in one read
    if (born(child) > newest.time) return newest.node;
    // Of the one before. What is older than both is of neither.
    if (task.requests > 1 && born(child) > before.time) return before.node;
    return 0;
  }

  void put_off(const NodePtr& call, const Actor& actor) {
    Line line = line_of(call->pid, actor);
    const TrackRecord& handed = process_of(call->pid).handed;
    call->queued = line.doubted < kGenerations && line.doubted <= line.reader && handed.failed > 0 &&
                   !handed.trusted(kProvenHanded, kRareHanded);
    // What was decided is still looked at for what it says of others like it.
    if (call->decided && !is_guess(*call) && line.doubted == kGenerations) return;
    auto& pending = process_of(call->pid).pending;
    if (pending.size() >= kMostPending) {
      std::erase_if(pending, [](const Pending& p) { return p.call->decided && !is_guess(*p.call); });
      if (pending.size() >= kMostPending) pending.erase(pending.begin(), pending.begin() + kMostPending / 2);
    }
    pending.push_back({call, std::move(line)});
  }

  void answer(const NodePtr& request, const Touch& touch, World& world) {
    Process& process = process_of(request->pid);
    if (const NodePtr own = request_of(request->pid, touch.actor, world)) process.births.add(own == request);
    Task& task = tasks_.get(key(request->pid, touch.actor.task));
    const BootTime last = std::exchange(task.answered, touch.time);
    process.once.add(task.answers[0].node == 0);
    task.answers[1] = task.answers[0];
    task.answers[0] = {request->number, touch.time};
    task.heard = task.overheard = {};
    bool fits = last <= request->opened;  // else it answers several at a time: whose calls they are is not known
    const bool object = is_object(touch.actor.task);
    if (!fits && object) {
      process.answers.add(false);  // even where all calls there were went to another's answer
      process.waiting.clear();
    }
    if (process.pending.empty()) return;

    std::vector<NodePtr> calls;
    std::vector<NodePtr> doubtful;
    std::erase_if(process.pending, [&](const Pending& pending) {
      const Node& call = *pending.call;
      const Line& line = pending.line;
      const bool decided = call.decided && !is_guess(call);
      if (decided && line.doubted == kGenerations) return true;
      const auto at = std::find(line.tasks.begin(), line.tasks.end(), touch.actor.task);
      if (at == line.tasks.end()) return false;
      // Begun for an earlier request, and goes on.
      if (at != line.tasks.begin() && born(*(at - 1)) < request->opened) return false;
      const bool begun_since = call.opened >= request->opened;
      if (line.doubted <= static_cast<std::size_t>(at - line.tasks.begin())) {
        const bool held = begun_since && (call.answering || call.finished);
        if (!call.blind) process.handed.add(held);
        if (!held) process.waiting_doubtful.clear();
        if (held && !decided) doubtful.push_back(pending.call);
      } else if (!decided) {
        fits = fits && begun_since;
        calls.push_back(pending.call);
      }
      return true;
    });
    // Those of before a sampling window may be of requests that were not seen.
    for (auto* const some : {&calls, &doubtful}) std::erase_if(*some, [](const NodePtr& call) { return call->blind; });
    if (calls.empty() && doubtful.empty()) return;
    process.answers.add(fits);
    // A context of Vert.x's is of one request; of more only where requests wait for each other in Java, and then each
    // may go on in any other's.
    const float rare = object ? kRareObjects : kRare;
    if (!fits || process.answers.failed * rare > process.answers.held) {
      process.waiting.clear();
      process.waiting_doubtful.clear();
      return;
    }
    world.habits.explained(request->pid, true);
    // The first ones wait until the process has shown that it works like this.
    put_by(process.waiting, calls, request);
    put_by(process.waiting_doubtful, doubtful, request);
    if (process.answers.held < kProven) return;
    decide_all(process.waiting, world);
    if (process.handed.trusted(kProvenHanded, kRareHanded)) decide_all(process.waiting_doubtful, world);
  }

  static void put_by(Pairs& waiting, std::vector<NodePtr>& calls, const NodePtr& request) {
    if (waiting.size() >= kMostWaiting) waiting.clear();
    for (NodePtr& call : calls) waiting.emplace_back(std::move(call), request);
  }

  static void decide_all(Pairs& waiting, World& world) {
    for (auto& [call, of] : waiting) {
      if (!call->decided) world.found(call, Claim{of, std::nullopt, "task", 0.98});
    }
    waiting.clear();
  }

  Tasks tasks_;
  std::unordered_map<std::uint32_t, Process> processes_;
};

}  // namespace

std::unique_ptr<Evidence> make_task() {
  return std::make_unique<ByTask>();
}

}  // namespace wirespan
