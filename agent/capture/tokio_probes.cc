#include "agent/capture/tokio_probes.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

#include "agent/capture/proc_maps.h"
#include "agent/capture/process_memory.h"

namespace wirespan {
namespace {

// When a process is looked at after it was found: its tables are relocated in its first moments.
constexpr std::array<std::int64_t, 4> kLooks{0, 50'000'000, 300'000'000, 2'000'000'000};
constexpr std::uint64_t kMostSamples = 100'000;  // wake-ups; what has not shown by then does not

constexpr std::uint32_t kWakesToJudge = 4096;
constexpr std::size_t kMostKnown = 8192;  // tasks, until then
constexpr std::uint32_t kFewestOfDriver = 64;
constexpr std::uint64_t kMostWorkers = 1024;

}  // namespace

TokioProbes::TokioProbes(RuntimeKernel& kernel, Counters& counters)
    : kernel_(kernel),
      known_(counters.get("capture.tokio.processes")),
      refused_(counters.get("capture.tokio.processes_refused")),
      probes_(counters.get("capture.tokio.probes_attached")),
      failed_(counters.get("capture.tokio.probes_failed")) {}

void TokioProbes::found(std::uint32_t pid, BootTime now, LazyMaps& maps) {
  Process& process = processes_[pid];
  process.since = now;
  process.looks = 0;
  due_ = now;
  if (wanted_) look(pid, process, maps);
}

void TokioProbes::follow(bool wanted) {
  if (std::exchange(wanted_, wanted) == wanted) return;
  due_ = {};
  for (auto& [pid, process] : processes_) {
    if (process.state == State::kRefused) continue;
    process.looks = 0;
    if (wanted) continue;
    process.paused = process.watched;
    forget(pid, process);
  }
}

void TokioProbes::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  forget(pid, it->second);
  processes_.erase(it);
  due_ = {};
}

void TokioProbes::detach(std::vector<int>& probes) {
  for (const int probe : probes) kernel_.detach_uprobes(probe);
  probes.clear();
}

void TokioProbes::forget(std::uint32_t pid, Process& process) {
  detach(process.probes);
  detach(process.by_value);
  detach(process.of_jobs);
  detach(process.learning);
  if (process.state == State::kLearns) kernel_.end_tokio_guess(pid);
  if (process.state == State::kLearns || process.state == State::kKnown) kernel_.remove_tokio_process(pid);
  process.watched = false;
  process.state = State::kNothing;
  process.wakes_seen = 0;
  process.known = {};
  process.unknown = {};
  process.needed = {};
}

void TokioProbes::refuse(std::uint32_t pid, Process& process, std::string why) {
  forget(pid, process);
  process.state = State::kRefused;
  process.why = std::move(why);
}

bool TokioProbes::attach(std::uint32_t pid, Process& process, const char* program,
                         const std::vector<std::uint64_t>& offsets, std::vector<int>& probes) {
  if (offsets.empty()) return true;
  auto attached = kernel_.attach_uprobes(pid, program, process.mapping.path, offsets);
  if (!attached) {
    failed_.add();
    refuse(pid, process, attached.error().text());
    return false;
  }
  probes.push_back(*attached);
  probes_.add(offsets.size());
  return true;
}

void TokioProbes::look(std::uint32_t pid, Process& process, LazyMaps& maps) {
  ++process.looks;
  const MappedFile mapping = executable_mapping(pid, maps.text());
  const bool same = mapping.start == process.mapping.start && mapping.inode == process.mapping.inode;
  if (same && process.state != State::kNothing) return;
  forget(pid, process);  // it runs something else now
  process.mapping = mapping;
  process.why.clear();
  if (!mapping.path.empty()) understand(pid, process);
}

void TokioProbes::understand(std::uint32_t pid, Process& process) {
  const auto& executable =
      executables_.get(process.mapping, "executable", [&] { return read_tokio_executable(process.mapping.path); });
  if (!executable) {
    process.looks = kLooks.size();  // what is in a file does not change
    if (executable.error().code != ENOENT) refuse(pid, process, executable.error().what);
    return;
  }
  process.version = (*executable).version;
  const auto where = read_tokio_process(ProcessMemory(pid), process.mapping.start, *executable);
  if (!where) {
    if (process.looks >= kLooks.size()) refuse(pid, process, where.error().what);
    return;
  }
  process.told = *where;
  process.wakes_by_value = (*executable).wakes_by_value;
  process.wakes_by_reference = (*executable).wakes_by_reference;
  process.spawns = (*executable).spawns;
  process.spawns_blocking = (*executable).spawns_blocking;
  process.replies = (*executable).replies;
  process.gets = (*executable).gets;
  process.lets_go = (*executable).lets_go;
  kernel_.set_tokio_process(pid, process.told);
  kernel_.begin_tokio_guess(pid);
  process.state = State::kLearns;
  std::vector<std::uint64_t> all = process.wakes_by_value;
  all.insert(all.end(), process.wakes_by_reference.begin(), process.wakes_by_reference.end());
  if (attach(pid, process, "tokio_learns", all, process.learning) && process.told.current != 0) watch(pid, process);
}

void TokioProbes::watch(std::uint32_t pid, Process& process) {
  if (!attach(pid, process, "tokio_wakes", process.wakes_by_value, process.by_value)) return;
  if (!attach(pid, process, "tokio_wakes_by_ref", process.wakes_by_reference, process.probes)) return;
  if (!attach(pid, process, "tokio_spawns", process.spawns, process.probes)) return;
  if (!attach(pid, process, "tokio_spawns_blocking", process.spawns_blocking, process.probes)) return;
  process.watched = true;
  tell_jobs(pid, process, true);
}

void TokioProbes::learn(std::uint32_t pid, Process& process) {
  ws_tokio_guess guess{};
  if (!kernel_.read_tokio_guess(pid, guess)) return;
  ws_tokio_process learned = process.told;
  if (!learn_current(guess, learned)) {
    if (guess.samples > kMostSamples) refuse(pid, process, "where it names the running task could not be learned");
    return;
  }
  if (process.told.current != 0 && process.told.current != learned.current)
    return refuse(pid, process, "its code says otherwise than its wake-ups where it names the running task");
  detach(process.learning);
  kernel_.end_tokio_guess(pid);
  process.state = State::kKnown;
  if (process.watched) return;
  process.told = learned;
  kernel_.set_tokio_process(pid, process.told);
  watch(pid, process);
}

void TokioProbes::handed_over(const event::Handover& handover) {
  using Role = event::Handover::Role;
  if (handover.role != Role::kWakes && handover.role != Role::kSpawns && handover.role != Role::kReplies) return;
  const auto it = processes_.find(handover.actor.thread.pid);
  if (it == processes_.end()) return;
  Process& process = it->second;
  if (handover.role == Role::kReplies) return process.needed.replied(handover.actor.task);
  if ((handover.place & event::Handover::kBlocking) != 0) process.needed.began_blocking(handover);
  if (process.wakes_seen > kWakesToJudge) {
    if (handover.role == Role::kWakes) process.needed.woke(handover);
    // An ordinary one after all: nobody's wake-ups may be left out.
    if (handover.object < process.told.driver_first || handover.object > process.told.driver_last) return;
    process.told.driver_first = process.told.driver_last = 0;
    return kernel_.set_tokio_process(it->first, process.told);
  }
  if (process.known.size() < kMostKnown) process.known.insert(handover.object);
  if (handover.role == Role::kSpawns) return;
  if (!process.known.contains(handover.actor.task) && process.unknown.size() < kMostKnown)
    ++process.unknown[handover.actor.task];
  if (++process.wakes_seen > kWakesToJudge) find_driver(it->first, process);
}

void TokioProbes::moved(const event::Data& data) {
  if (!is_tokio(data.actor.task)) return;
  const auto it = processes_.find(data.actor.thread.pid);
  if (it != processes_.end() && it->second.wakes_seen > kWakesToJudge) it->second.needed.moved(data);
}

// Told is what is probed: of what is under way when that begins, not all is known.
void TokioProbes::tell_by_value(std::uint32_t pid, Process& process, bool tell) {
  if (tell == !process.by_value.empty()) return;
  if (tell && !attach(pid, process, "tokio_wakes", process.wakes_by_value, process.by_value)) return;
  process.told.how = tell ? 0 : WS_TOKIO_ANSWERS_ONLY;
  kernel_.set_tokio_process(pid, process.told);
  if (!tell) detach(process.by_value);
}

// What consumers do between jobs. Replies without who gets them would say nothing, so both are told or neither.
void TokioProbes::tell_jobs(std::uint32_t pid, Process& process, bool tell) {
  if (!tell) return detach(process.of_jobs);
  if (!process.of_jobs.empty()) return;
  if (!process.gets.empty() && (!attach(pid, process, "tokio_gets", process.gets, process.of_jobs) ||
                                !attach(pid, process, "tokio_replies", process.replies, process.of_jobs)))
    return;
  attach(pid, process, "tokio_lets_go", process.lets_go, process.of_jobs);
}

void TokioProbes::find_driver(std::uint32_t pid, Process& process) {
  std::uint64_t first = ~std::uint64_t{0};
  std::uint64_t last = 0;
  for (const auto& [task, wakes] : process.unknown) {
    if (wakes < kFewestOfDriver || process.known.contains(task)) continue;
    first = std::min(first, task);
    last = std::max(last, task);
  }
  const bool own =
      std::ranges::none_of(process.known, [&](std::uint64_t task) { return task >= first && task <= last; });
  process.known = {};
  process.unknown = {};
  if (first > last || last - first >= kMostWorkers || !own) return;
  process.told.driver_first = first;
  process.told.driver_last = last;
  kernel_.set_tokio_process(pid, process.told);
}

void TokioProbes::sweep(BootTime now) {
  if (now < due_) return;
  due_ = {std::numeric_limits<std::uint64_t>::max()};
  std::uint64_t refused = 0;
  std::uint64_t known = 0;
  for (auto& [pid, process] : processes_) {
    const auto to_look = [&process, this] {
      return wanted_ && process.state == State::kNothing && process.looks < kLooks.size();
    };
    if (process.state == State::kLearns) learn(pid, process);
    if (process.watched && process.wakes_seen > kWakesToJudge) {
      tell_by_value(pid, process, process.needed.all(now));
      if (process.watched) tell_jobs(pid, process, process.needed.jobs());
    }
    if (to_look() && now - process.since >= kLooks[process.looks]) {
      LazyMaps maps(pid);
      look(pid, process, maps);
    }
    if (to_look()) due_ = std::min(due_, process.since + kLooks[process.looks]);
    if (process.state == State::kLearns || process.watched) due_ = now;
    if (process.state == State::kRefused) ++refused;
    if (wanted_ ? process.watched : process.paused) ++known;
  }
  known_.set(known);
  refused_.set(refused);
}

std::vector<std::string> TokioProbes::describe() const {
  std::vector<std::string> out;
  for (const auto& [pid, process] : processes_) {
    if (process.state == State::kNothing && (wanted_ || !process.paused)) continue;
    std::string line = std::to_string(pid) + " tokio" + (process.version.empty() ? "" : " " + process.version) + ": ";
    if (process.state == State::kRefused)
      line += "tasks are not seen: " + process.why;
    else if (!wanted_)
      line += "tasks are not looked at while the governor gives up wake-ups";
    else if (!process.watched)
      line += "tasks are seen once it has been learned where the running one is named";
    else
      line += process.spawns.empty() ? "tasks are seen, but not who begins them" : "tasks are seen";
    out.push_back(std::move(line));
  }
  return out;
}

std::string describe_tokio(std::uint32_t pid) {
  const MappedFile mapping = executable_mapping(pid, maps_of(pid));
  if (mapping.path.empty()) return {};
  const auto executable = read_tokio_executable(mapping.path);
  if (!executable) return executable.error().code == ENOENT ? std::string() : executable.error().what;
  const auto where = read_tokio_process(ProcessMemory(pid), mapping.start, *executable);
  return where ? "tasks can be seen" : where.error().what;
}

}  // namespace wirespan
