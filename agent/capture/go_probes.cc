#include "agent/capture/go_probes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "agent/capture/go_build_info.h"
#include "agent/capture/go_memory.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostPrograms = 256;
constexpr std::size_t kMostOthers = 4096;
constexpr std::size_t kMostConnections = 65'536;
// A connection older than the probes shows itself with its next request; it is looked for this long.
constexpr std::int64_t kOldClientNs = 10'000'000'000;
constexpr std::int64_t kAskAgainNs = 5'000'000'000;  // GOMAXPROCS changes rarely
constexpr std::uint32_t kForeignCalls = 4;
constexpr std::uint32_t kCallsToJudge = 256;
constexpr std::int64_t kTimeToJudgeNs = 10'000'000'000;
constexpr std::uint32_t kUsefulShare = 32;  // one call in so many

// A channel operation costs its goroutine about 2 us while it is watched, and us as much: past this rate it is not.
constexpr std::uint64_t kMostChannelEvents = 50'000;  // a second
constexpr std::int64_t kChannelWindowNs = 100'000'000;
constexpr std::int64_t kChannelsAgainNs = 60'000'000'000;
constexpr std::size_t kMostRemembered = 65'536;
constexpr unsigned kMostSearches = 50;
constexpr std::int64_t kAskSoonNs = 100'000'000;  // the runtime is still starting

void remember(std::unordered_set<std::uint64_t>& set, std::uint64_t task) {
  if (set.size() >= kMostRemembered) set.clear();
  set.insert(task);
}

std::string proc_file(std::uint32_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

}  // namespace

GoProbes::GoProbes(RuntimeKernel& kernel, Counters& counters)
    : kernel_(kernel),
      known_(counters.get("capture.go.processes")),
      refused_(counters.get("capture.go.executables_refused")),
      probes_(counters.get("capture.go.probes_attached")),
      failed_(counters.get("capture.go.probes_failed")),
      too_busy_(counters.get("capture.go.channels_too_busy")) {}

bool GoProbes::attach(std::uint32_t pid, Program& program, GoFunction::Use use) {
  bool all = true;
  for (std::size_t row = 0; row < kGoFunctions.size(); ++row) {
    const GoFunction& function = kGoFunctions[row];
    if (function.use != use || program.probes[row] >= 0 || program.executable.probes[row].empty()) continue;
    // Through /proc: the path may be of another mount namespace, or deleted.
    auto probe = kernel_.attach_uprobes(0, function.program, proc_file(pid, "exe"), program.executable.probes[row]);
    if (probe) {
      program.probes[row] = *probe;
      probes_.add();
    } else {
      failed_.add();
      all = false;
      program.refused = probe.error().text();
    }
  }
  return all;
}

void GoProbes::detach(Program& program, GoFunction::Use use) {
  for (std::size_t row = 0; row < kGoFunctions.size(); ++row) {
    if (kGoFunctions[row].use != use || program.probes[row] < 0) continue;
    kernel_.detach_uprobes(program.probes[row]);
    program.probes[row] = -1;
  }
}

GoProbes::Program* GoProbes::program_of(std::uint32_t pid, const FileId& file, BootTime now) {
  if (const auto it = programs_.find(file); it != programs_.end()) return it->second.get();
  if (others_.contains(file)) return nullptr;
  const std::string version = go_version_of(proc_file(pid, "exe"));
  if (version.empty()) {
    if (others_.size() >= kMostOthers) others_.clear();
    others_.insert(file);
    return nullptr;
  }
  if (programs_.size() >= kMostPrograms) {
    refused_.add();
    return nullptr;
  }
  auto program = std::make_unique<Program>();
  program->probes.fill(-1);
  char name[256] = {};
  const ssize_t size = readlink(proc_file(pid, "exe").c_str(), name, sizeof(name) - 1);
  if (size > 0) program->name.assign(name, static_cast<std::size_t>(size));
  auto executable = read_go_executable(proc_file(pid, "exe"), version);
  if (executable) {
    program->executable = std::move(*executable);
    if (!attach(pid, *program, GoFunction::Use::kAlways)) program->executable.offsets.parent = 0;
    watch_channels(pid, *program, now);
    if (attach(pid, *program, GoFunction::Use::kOldClient)) program->old_client_until = now + kOldClientNs;
  } else {
    program->refused = executable.error().text();
    refused_.add();
  }
  return programs_.emplace(file, std::move(program)).first->second.get();
}

void GoProbes::found(std::uint32_t pid, BootTime now, LazyMaps& /*maps*/) {
  struct stat status{};
  FileId file;
  if (stat(proc_file(pid, "exe").c_str(), &status) == 0) {
    file = {status.st_dev, status.st_ino, changed_ns(status)};
  }
  if (const auto it = processes_.find(pid); it != processes_.end()) {
    if (it->second.file == file) return;
    exited(pid);  // it runs something else now
  }
  Program* const program = file.inode == 0 ? nullptr : program_of(pid, file, now);
  if (program == nullptr || program->executable.g == 0) return;
  ++program->processes;
  Process& process = processes_[pid];
  process.file = file;
  const GoExecutable& executable = program->executable;
  process.told.g = executable.g;
  process.told.goid = executable.offsets.goid;
  // Without the probes a connection's own goroutine would pass for a child of the request that opened it.
  process.told.parent = executable.offsets.parent;
  process.told.m = executable.offsets.m;
  process.told.next = executable.offsets.next;
  process.told.sendx = executable.offsets.sendx;
  process.told.recvx = executable.offsets.recvx;
  process.told.recvq = executable.offsets.recvq;
  process.told.sendq = executable.offsets.sendq;
  if (const auto bias = GoMemory(pid).bias(executable, file.inode)) {
    for (std::size_t i = 0; i < std::min<std::size_t>(executable.libraries.size(), WS_GO_LIBRARIES); ++i) {
      process.told.libraries[i] = {executable.libraries[i].address + *bias, executable.libraries[i].size};
    }
    process.told.entries = {executable.entries.address + *bias, executable.entries.size};
  }
  known_.set(processes_.size());
  ask_processors(pid, process, now);
  kernel_.set_go_process(pid, process.told);
}

void GoProbes::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  kernel_.remove_go_process(pid);
  const auto program = programs_.find(it->second.file);
  processes_.erase(it);
  known_.set(processes_.size());
  if (program == programs_.end() || --program->second->processes > 0) return;
  detach(*program->second, GoFunction::Use::kAlways);
  detach(*program->second, GoFunction::Use::kOldClient);
  detach(*program->second, GoFunction::Use::kChannel);
  programs_.erase(program);
}

void GoProbes::handed_over(const event::Handover& handover) {
  using Role = event::Handover::Role;
  const auto it = processes_.find(handover.actor.thread.pid);
  if (it == processes_.end()) return;
  auto& connections = it->second.connections;
  switch (handover.role) {
    case Role::kSends:
    case Role::kReceives:
    case Role::kAsks:
      if (const auto program = programs_.find(it->second.file); program != programs_.end()) {
        ++program->second->channel_events;
      }
      return;
    case Role::kWrites:
      if (connections.size() >= kMostConnections) connections.clear();
      connections[handover.object] = true;
      remember(it->second.writers, handover.actor.task);
      return;
    case Role::kCalls:
      called(it->first, it->second, handover.actor, handover.time);
      break;
    default:
      return;  // another runtime's, or what was told from here
  }
  const auto known = connections.find(handover.object);
  if (known == connections.end()) {
    // The first request of a new connection may be handed over before its goroutine has begun to run.
    if (connections.size() < kMostConnections) connections.emplace(handover.object, false);
  } else if (!known->second) {
    it->second.unknown_writer = true;
  }
}

void GoProbes::read(const event::Births& births) {
  const auto it = processes_.find(births.pid);
  if (it == processes_.end()) return;
  auto& readers = it->second.readers;
  if (readers.size() >= kMostRemembered) readers.clear();
  ++readers[births.task];
}

void GoProbes::wrote(const event::Data& data) {
  if (data.actor.task == 0 || data.direction != Direction::kSent || data.conn->side != TcpSide::kActive) return;
  const auto it = processes_.find(data.actor.thread.pid);
  if (it == processes_.end() || it->second.writers.contains(data.actor.task)) return;
  called(it->first, it->second, data.actor, data.time);
}

// Workers, most likely fed by channels: goroutines that have nothing to do with one that reads requests, or were begun
// by such a one and make calls while it has read the next.
bool GoProbes::works_for_others(Process& process, const Actor& actor) {
  if (process.readers.empty() || process.readers.contains(actor.task)) return false;
  const auto parent = process.readers.find(actor.parent_task);
  if (parent == process.readers.end()) return true;
  if (process.children.size() >= kMostRemembered) process.children.clear();
  return process.children.try_emplace(actor.task, parent->second).first->second != parent->second;
}

void GoProbes::called(std::uint32_t pid, Process& process, const Actor& actor, BootTime now) {
  const auto it = programs_.find(process.file);
  if (it == programs_.end()) return;
  Program& program = *it->second;
  ++program.calls;
  if (!works_for_others(process, actor)) return;
  if (++program.foreign_calls >= kForeignCalls) watch_channels(pid, program, now);
}

void GoProbes::watch_channels(std::uint32_t pid, Program& program, BootTime now) {
  if (program.channels_since.ns != 0 || now - program.channels_not_before < 0) return;
  program.calls = program.foreign_calls = 0;
  program.channel_events = 0;
  if (attach(pid, program, GoFunction::Use::kChannel)) {
    program.channels_since = program.calls_since = now;
    tell(program, event::Handover::Role::kWatched, now);
  } else {
    detach(program, GoFunction::Use::kChannel);
    program.channels_not_before = now + kChannelsAgainNs;
  }
}

void GoProbes::tell(const Program& program, event::Handover::Role role, BootTime now) {
  for (const auto& [pid, process] : processes_) {
    const auto of = programs_.find(process.file);
    if (of == programs_.end() || of->second.get() != &program) continue;
    event::Handover told;
    told.time = now;
    told.actor.thread.pid = pid;
    told.role = role;
    watched_.push_back(told);
  }
}

// After a sweep's time with them on.
void GoProbes::judge_channels(Program& program, BootTime now) {
  const std::int64_t elapsed = now - program.channels_since;
  if (program.channels_since.ns == 0 || elapsed < kChannelWindowNs) return;
  const bool too_many =
      program.channel_events > kMostChannelEvents * static_cast<std::uint64_t>(elapsed) / 1'000'000'000;
  const bool judged = program.calls >= kCallsToJudge || now - program.calls_since >= kTimeToJudgeNs;
  const bool useless = judged && program.foreign_calls <= program.calls / kUsefulShare;
  if (too_many || useless) {
    detach(program, GoFunction::Use::kChannel);
    tell(program, event::Handover::Role::kUnwatched, now);
    program.channels_since = BootTime{};
    program.calls = program.foreign_calls = 0;
    if (too_many) {
      too_busy_.add();
      program.channels_not_before = now + kChannelsAgainNs;
    }
    return;
  }
  if (judged) {
    program.calls = program.foreign_calls = 0;
    program.calls_since = now;
  }
  program.channels_since = now;
  program.channel_events = 0;
}

void GoProbes::ask_processors(std::uint32_t pid, Process& process, BootTime now) {
  process.asked = now;
  const auto program = programs_.find(process.file);
  if (program == programs_.end()) return;
  const GoExecutable& executable = program->second->executable;
  const GoMemory memory(pid);
  if (process.allp == 0 && process.searches < kMostSearches) {
    ++process.searches;
    process.allp = memory.find_allp(executable, process.file.inode);
  }
  if (process.allp == 0) return;
  const auto processors = memory.processors(process.allp, executable.offsets, WS_PROCESSORS);
  const bool same = process.told.processors == processors.size() &&
                    std::equal(processors.begin(), processors.end(), std::begin(process.told.processor));
  if (processors.empty() || same) return;
  process.told.processors = static_cast<std::uint32_t>(processors.size());
  process.told.allp = process.allp;
  std::copy(processors.begin(), processors.end(), std::begin(process.told.processor));
  kernel_.set_go_process(pid, process.told);
}

void GoProbes::sweep(BootTime now) {
  for (auto& [pid, process] : processes_) {
    const bool up = process.told.processors != 0 || process.searches == kMostSearches;
    if (now - process.asked >= (up ? kAskAgainNs : kAskSoonNs)) {
      ask_processors(pid, process, now);
    }
    if (!process.unknown_writer) continue;
    process.unknown_writer = false;
    const auto program = programs_.find(process.file);
    if (program != programs_.end() && attach(pid, *program->second, GoFunction::Use::kOldClient)) {
      program->second->old_client_until = now + kOldClientNs;
    }
  }
  for (auto& [file, program] : programs_) {
    if (program->old_client_until.ns != 0 && now - program->old_client_until > 0) {
      detach(*program, GoFunction::Use::kOldClient);
      program->old_client_until = BootTime{};
    }
    judge_channels(*program, now);
  }
}

std::vector<std::string> GoProbes::describe() const {
  std::vector<std::string> out;
  for (const auto& [file, program] : programs_) {
    if (program->executable.g == 0) {
      out.push_back(program->name + ": goroutines are not seen: " + program->refused);
      continue;
    }
    std::string line = program->name + ": " + program->executable.version + ", goroutines are seen";
    if (program->executable.offsets.parent == 0) line += ", but not who started them: " + program->refused;
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace wirespan
