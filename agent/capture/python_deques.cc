#include "agent/capture/python_deques.h"

#include <sys/stat.h>

#include <algorithm>

#include "agent/capture/python_probes.h"

namespace wirespan {
namespace {

// A process is tried for so long, if it serves so much meanwhile; else for at most so long.
constexpr std::int64_t kTryNs = 10'000'000'000;
constexpr std::uint32_t kTryServed = 128;
constexpr std::int64_t kLongestTryNs = 120'000'000'000;
// Again where so many calls were made by strangers, after a rest that doubles each time.
constexpr std::uint32_t kStrangers = 16;
constexpr std::int64_t kRestNs = 10'000'000'000;
constexpr std::int64_t kLongestRestNs = 3600'000'000'000;
// Operations on deques that are not followed which are told, of each sweep.
constexpr std::uint32_t kLooks = 512;
constexpr std::uint32_t kLooksOfStrangers = 64;
// Operations a second, past which a process is left alone for a while: a breakpoint each (docs/cost.md).
constexpr std::uint64_t kMostOperations = 100'000;
constexpr std::int64_t kBusyNs = 60'000'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kMostErrands = 8192;

// Work is handed from thread to thread only where there are several; or from task to task.
bool has_threads(std::uint32_t pid) {
  struct stat status{};
  return stat(("/proc/" + std::to_string(pid) + "/task").c_str(), &status) == 0 && status.st_nlink > 3;
}

// The file that holds the interpreter; an empty path: none does, or greenlets take turns on its threads, and what one
// took from a queue is its own.
MappedFile interpreter_of(std::uint32_t pid, const std::string& maps) {
  if (maps.find("python") == std::string::npos) return {};  // of most: lines need not be looked at
  const PythonMapping mapping = python_mapping(pid, maps);
  if (mapping.gevent) return {};
  return mapping;
}

}  // namespace

PythonDeques::PythonDeques(RuntimeKernel& kernel, Counters& counters)
    : kernel_(kernel),
      followed_(counters.get("capture.python.deques_followed")),
      tried_(counters.get("capture.python.deques_tried")),
      failed_(counters.get("capture.python.deques_failed")),
      too_busy_(counters.get("capture.python.deques_too_busy")) {}

// Most of what is mapped is there once it is used.
void PythonDeques::found(std::uint32_t pid, BootTime now, LazyMaps& maps) {
  exited(pid);
  processes_[pid].since = now;
  // Done before, so that it does not take time then.
  const MappedFile file = interpreter_of(pid, maps.text());
  if (!file.path.empty()) (void)deque_of(file);
}

const Result<PythonDeque>& PythonDeques::deque_of(const MappedFile& file) {
  return files_.get(file, "file", [&] { return read_python_deque(file.path); });
}

void PythonDeques::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  stop(pid, it->second);
  processes_.erase(it);
}

void PythonDeques::used(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end() || it->second.state != State::kUnused) return;
  Process& process = it->second;
  LazyMaps maps(pid);
  process.file = interpreter_of(pid, maps.text());
  if (process.file.path.empty()) {
    processes_.erase(it);
    return;
  }
  process.state = State::kIdle;
  if (wanted_ && has_threads(pid)) try_it(pid, process, std::max(process.since, swept_));
}

void PythonDeques::try_it(std::uint32_t pid, Process& process, BootTime now) {
  process.strangers = process.served = process.operations = 0;
  process.rest_ns = std::min(std::max(process.rest_ns * 2, kRestNs), kLongestRestNs);
  process.since = now;
  process.tried = true;
  const auto& deque = deque_of(process.file);
  process.refused = deque ? std::string() : deque.error().text();
  if (!deque) return;
  tried_.add();
  ws_python_deques looks{};
  looks.looks = kLooks;
  kernel_.set_python_deques(pid, looks);
  // Who takes is probed first: what is given is then seen to be taken.
  auto pops = kernel_.attach_uprobes(pid, "python_pops", process.file.path, {{(*deque).popleft}});
  if (pops) process.pops = *pops;
  auto appends =
      pops ? kernel_.attach_uprobes(pid, "python_appends", process.file.path, {{(*deque).append}}) : std::move(pops);
  if (!appends) {
    failed_.add();
    process.refused = appends.error().text();
    return leave(pid, process, now, kLongestRestNs);
  }
  process.appends = *appends;
  process.state = State::kTried;
}

void PythonDeques::stop(std::uint32_t pid, Process& process) {
  if (process.state == State::kFollows) followed_.set(followed_.value() - 1);
  for (int* const probes : {&process.appends, &process.pops}) {
    if (*probes >= 0) kernel_.detach_uprobes(std::exchange(*probes, -1));
  }
  kernel_.remove_python_deques(pid);
  process.work = {};
  process.on_errands.clear();
}

void PythonDeques::leave(std::uint32_t pid, Process& process, BootTime now, std::int64_t rest_ns) {
  if (process.state == State::kFollows) forget_given(pid, now);
  stop(pid, process);
  process.state = State::kIdle;
  process.since = now;
  process.rest_ns = rest_ns;
  process.strangers = 0;
}

void PythonDeques::tell(std::uint32_t pid, Process& process, std::uint32_t looks) {
  ws_python_deques deques = kernel_.python_deques(pid);
  std::ranges::fill(deques.followed, 0);
  std::ranges::copy(process.work.followed(), std::begin(deques.followed));
  deques.callbacks = process.work.callbacks();
  deques.looks = looks;
  deques.takes_all = process.work.takes_unknown() ? 1 : 0;
  kernel_.set_python_deques(pid, deques);
}

// What is in queues that are not told of any longer must not be waited for.
void PythonDeques::forget_given(std::uint32_t pid, BootTime now) {
  event::Handover told;
  told.time = now;
  told.actor.thread.pid = pid;
  told.role = event::Handover::Role::kWatched;
  watched_.push_back(told);
}

void PythonDeques::born(const event::Lineage& lineage) {
  const auto it = processes_.find(lineage.pid);
  if (it != processes_.end()) it->second.work.born(lineage);
}

void PythonDeques::moved(const event::Data& data) {
  if (processes_.empty()) return;
  const auto it = processes_.find(data.actor.thread.pid);
  if (it == processes_.end() || it->second.state == State::kUnused) return;
  Process& process = it->second;
  if (data.conn->side == TcpSide::kPassive) {
    process.work.serves(data.actor, data.direction == Direction::kSent);
    ++process.served;
    if (wanted_ && process.state == State::kIdle && !process.tried && data.actor.task != 0)
      try_it(it->first, process, std::max(process.since, data.time));
  } else if (data.conn->side == TcpSide::kActive && data.direction == Direction::kReceived) {
    process.work.receives(data.actor);
  } else if (data.conn->side == TcpSide::kActive && data.direction == Direction::kSent &&
             !process.work.serving(data.actor) && !process.on_errands.contains(WorkQueues::who(data.actor)) &&
             !process.on_errands.contains(data.actor.parent_task)) {
    ++process.strangers;
  }
}

void PythonDeques::handed_over(const event::Handover& handover) {
  using Role = event::Handover::Role;
  const bool gives = handover.role == Role::kGives || handover.role == Role::kMayGive;
  const bool takes = handover.role == Role::kTakes || handover.role == Role::kMayTake;
  if (!gives && !takes) return;
  const std::uint32_t pid = handover.actor.thread.pid;
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  Process& process = it->second;
  if (handover.role == Role::kTakes && handover.object != 0) {
    if (process.on_errands.size() >= kMostErrands) process.on_errands.clear();
    process.on_errands.insert(WorkQueues::who(handover.actor));
  }
  if (process.state < State::kTried || handover.object == 0) return;
  // Work of concurrent.futures is told of as well (capture/python_probes).
  if (handover.role == Role::kGives && !process.work.follows(handover.place)) return;
  if (gives) return process.work.gave(handover.place, handover.object, handover.actor);
  changed(process, process.work.took(handover.place, handover.object, handover.actor), pid, handover.time);
}

void PythonDeques::changed(Process& process, WorkQueues::Change change, std::uint32_t pid, BootTime now) {
  if (change == WorkQueues::Change::kNone) return;
  const bool follows = !process.work.followed().empty();
  if (follows != (process.state == State::kFollows))
    followed_.set(follows ? followed_.value() + 1 : followed_.value() - 1);
  process.state = follows ? State::kFollows : State::kTried;
  process.since = now;
  process.strangers = process.served = 0;
  if (follows) process.rest_ns = 0;
  tell(pid, process, kLooks);
  if (change != WorkQueues::Change::kLess) return;
  process.on_errands.clear();
  forget_given(pid, now);
}

void PythonDeques::judge(std::uint32_t pid, Process& process, BootTime now, std::int64_t elapsed) {
  if (process.state == State::kIdle) {
    if (wanted_ && process.strangers >= kStrangers && now - process.since >= process.rest_ns) try_it(pid, process, now);
    return;
  }
  const std::uint32_t operations = kernel_.python_deques(pid).operations;
  const std::uint64_t more = operations - std::exchange(process.operations, operations);
  if (more > kMostOperations * static_cast<std::uint64_t>(elapsed) / kSecond) {
    too_busy_.add();
    return leave(pid, process, now, kBusyNs);
  }
  if (!wanted_) return leave(pid, process, now, 0);
  if (process.state == State::kFollows) {
    if (std::exchange(process.strangers, 0) != 0) tell(pid, process, kLooksOfStrangers);
    if (std::exchange(process.served, 0) != 0) changed(process, process.work.drop_unused(), pid, now);
    return;
  }
  const std::int64_t tried = now - process.since;
  if (tried > kLongestTryNs || (tried > kTryNs && process.served >= kTryServed)) {
    return leave(pid, process, now, process.rest_ns);
  }
  tell(pid, process, kLooks);
}

void PythonDeques::sweep(BootTime now) {
  const std::int64_t elapsed = now - std::exchange(swept_, now);  // at first since the machine began
  for (auto& [pid, process] : processes_) {
    if (process.state != State::kUnused) judge(pid, process, now, elapsed);
  }
}

std::vector<std::string> PythonDeques::describe() const {
  std::vector<std::string> out;
  for (const auto& [pid, process] : processes_) {
    if (!process.refused.empty())
      out.push_back(std::to_string(pid) + " queues of Python are not followed: " + process.refused);
    else if (process.state == State::kFollows)
      out.push_back(std::to_string(pid) + " queues of Python are followed");
  }
  return out;
}

}  // namespace wirespan
