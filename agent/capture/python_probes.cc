#include "agent/capture/python_probes.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <sstream>
#include <string_view>

#include "agent/capture/proc_maps.h"

namespace wirespan {
namespace {

// When a process is looked at after it was found: its loader maps libpython in its first moments, frameworks come with
// the imports.
constexpr std::array<std::int64_t, 8> kLooks{
    0, 100'000'000, 300'000'000, 1'000'000'000, 3'000'000'000, 10'000'000'000, 30'000'000'000, 120'000'000'000};
// glibc on amd64: specific_1stblock in struct pthread, which begins at the thread pointer. Proven at run time: the
// value found there must point to something that names the thread.
constexpr std::uint16_t kThreadKeys = 0x310;
// What goes into and comes out of a process's queues: past so much a second they are left alone for a while, as both
// together cost it up to 15 us (docs/cost.md).
constexpr std::int64_t kJudgeNs = 1'000'000'000;
constexpr std::uint64_t kMostHanded = 20'000;
constexpr std::int64_t kRestNs = 60'000'000'000;

std::string proc_file(std::uint32_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

PythonMapping python_mapping(std::uint32_t pid, const std::string& maps) {
  PythonMapping out;
  PythonMapping executable;
  char exe[4096] = {};
  const ssize_t size = readlink(proc_file(pid, "exe").c_str(), exe, sizeof(exe) - 1);
  const std::string_view exe_path(exe, size > 0 ? static_cast<std::size_t>(size) : 0);
  std::istringstream in(maps);
  for (std::string text; std::getline(in, text);) {
    // Most lines are of other libraries.
    const bool library = text.find("/libpython3") != std::string::npos;
    out.gevent = out.gevent || text.find("/gevent/_g") != std::string::npos;
    const bool queue = text.find("/_queue.") != std::string::npos && text.ends_with(".so");
    const bool program = !exe_path.empty() && text.ends_with(exe_path);
    if (!library && !program && !queue) continue;
    const auto line = parse_map_line(text);
    if (!line || line->offset != 0) continue;
    if (queue) out.queue = {proc_file(pid, "root") + line->path, line->start, line->device, line->inode};
    if (!library && !program) continue;
    PythonMapping& to = library ? out : executable;
    if (!to.path.empty() || (library && line->path.find(".so") == std::string::npos)) continue;
    to.path = library ? proc_file(pid, "root") + line->path : proc_file(pid, "exe");
    to.name = line->path;
    to.start = line->start;
    to.device = line->device;
    to.inode = line->inode;
  }
  // libpython3.so is an empty one that only names the real one.
  if (out.path.empty() && base_name(executable.name).starts_with("python")) {
    executable.gevent = out.gevent;
    executable.queue = out.queue;
    return executable;
  }
  return out;
}

PythonProbes::PythonProbes(RuntimeKernel& kernel, Counters& counters, Follow follow)
    : kernel_(kernel),
      follow_(follow),
      known_(counters.get("capture.python.processes")),
      refused_(counters.get("capture.python.processes_refused")),
      probes_(counters.get("capture.python.probes_attached")),
      failed_(counters.get("capture.python.probes_failed")),
      too_busy_(counters.get("capture.python.queues_too_busy")) {}

void PythonProbes::found(std::uint32_t pid, BootTime now, LazyMaps& maps) {
  Process& process = processes_[pid];
  process.since = now;
  process.looks = 0;
  due_ = now;
  process.pages = address_space_of(pid);
  look(pid, process, maps);
}

void PythonProbes::used(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end() || std::exchange(it->second.used, true) || !it->second.waits) return;
  due_ = {};
  LazyMaps maps(pid);
  look(pid, it->second, maps);
}

void PythonProbes::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  forget(pid, it->second);
  processes_.erase(it);
  due_ = {};
}

void PythonProbes::forget(std::uint32_t pid, Process& process) {
  if (process.probes >= 0) kernel_.detach_uprobes(std::exchange(process.probes, -1));
  leave_queue(process);
  process.queue = {};
  if (process.told.thread_id == 0) return;
  process.told = {};
  kernel_.remove_python_process(pid);
  known_.set(known_.value() - 1);
}

// What a process runs is as it was, unless its address space has changed.
void PythonProbes::look_again(std::uint32_t pid, Process& process) {
  const std::uint64_t pages = address_space_of(pid);
  if (std::exchange(process.pages, pages) == pages) {
    ++process.looks;
    return;
  }
  LazyMaps maps(pid);
  look(pid, process, maps);
}

void PythonProbes::look(std::uint32_t pid, Process& process, LazyMaps& maps) {
  ++process.looks;
  process.waits = false;
  const PythonMapping mapping = python_mapping(pid, maps.text());
  const bool same = mapping.start == process.start && mapping.inode == process.inode;
  const bool greenlets = mapping.gevent && process.told.thread_id != 0 && process.told.data_stack == 0;
  if (same && !greenlets && process.told.thread_id != 0) return look_at_queue(pid, process, mapping);
  // It runs something else now, or otherwise than was thought.
  forget(pid, process);
  if (mapping.path.empty()) return;
  process.name = mapping.name;
  process.start = mapping.start;
  process.inode = mapping.inode;
  understand(pid, process, mapping);
  look_at_queue(pid, process, mapping);
}

void PythonProbes::understand(std::uint32_t pid, Process& process, const PythonMapping& mapping) {
  const auto& executable = executables_.get(
      mapping, "file", [&] { return read_python_executable(mapping.path, python_minor_of(base_name(mapping.name))); });
  process.refused = executable ? std::string() : executable.error().text();
  if (!executable) return;
  process.minor = (*executable).minor;
  const PythonOffsets& offsets = (*executable).offsets;
  if (mapping.gevent && offsets.data_stack == 0) {
    process.refused = "greenlets of this release are not told apart (3.11 and newer)";
    return;
  }
  ws_python_process told{};
  told.context_type = (*executable).context_type + ((*executable).relocated ? mapping.start - (*executable).base : 0);
  told.generation = ++generation_;
  told.thread_keys = kThreadKeys;
  told.thread_id = offsets.thread_id;
  told.context = offsets.context;
  told.data_stack = mapping.gevent ? offsets.data_stack : std::uint16_t{0};
  if (!mapping.gevent) {
    process.waits = !process.used && known_.value() >= kProbedUnused;
    if (process.waits) return;
    if (follow_.contexts) {
      auto probes = kernel_.attach_uprobes(pid, "python_born", mapping.path, (*executable).births);
      if (!probes) {
        failed_.add();
        process.refused = probes.error().text();
        return forget(pid, process);
      }
      process.probes = *probes;
      probes_.add((*executable).births.size());
    }
  }
  process.told = told;
  known_.add();
  if (follow_.contexts) kernel_.set_python_process(pid, told);
}

// Greenlets take turns on a thread: what it took from a queue is one's, not its.
void PythonProbes::look_at_queue(std::uint32_t pid, Process& process, const PythonMapping& mapping) {
  if (!follow_.errands || mapping.gevent || process.told.thread_id == 0) return;
  const MappedFile& file = mapping.queue.path.empty() ? mapping : mapping.queue;
  if (process.queue.inode == file.inode) return;
  leave_queue(process);
  process.queue = file;
  if (wanted_) probe_queue(pid, process);
}

// Who takes is probed first: what is given is then seen to be taken.
void PythonProbes::probe_queue(std::uint32_t pid, Process& process) {
  const std::string& path = process.queue.path;
  const auto& queue = queues_.get(process.queue, "queue", [&] { return read_python_queue(path); });
  // Where it has none, a library that has may come later.
  process.queue_refused = queue || queue.error().code == ENOENT ? std::string() : queue.error().text();
  if (!queue) return;
  auto takes = kernel_.attach_uprobes(pid, "python_takes", path, (*queue).gets);
  if (takes) process.takes = *takes;
  auto gives = takes ? kernel_.attach_uprobes(pid, "python_gives", path, (*queue).puts) : takes;
  if (!gives) {
    failed_.add();
    process.queue_refused = gives.error().text();
    return leave_queue(process);
  }
  process.gives = *gives;
  process.handed = kernel_.python_handed(pid);
  probes_.add((*queue).gets.size() + (*queue).puts.size());
}

void PythonProbes::leave_queue(Process& process) {
  for (int* const probes : {&process.gives, &process.takes}) {
    if (*probes >= 0) kernel_.detach_uprobes(std::exchange(*probes, -1));
  }
}

void PythonProbes::judge_queues(BootTime now) {
  if (now - judged_ < kJudgeNs) return;
  const auto elapsed = static_cast<std::uint64_t>(now - judged_);
  const bool first = std::exchange(judged_, now).ns == 0;
  for (auto& [pid, process] : processes_) {
    if (process.gives >= 0) {
      const std::uint32_t handed = kernel_.python_handed(pid);
      const std::uint64_t more = handed - std::exchange(process.handed, handed);
      const bool too_many = !first && more > kMostHanded * elapsed / kJudgeNs;
      if (wanted_ && !too_many) continue;
      if (too_many) too_busy_.add();
      process.rests = now + (too_many ? kRestNs : 0);
      process.rested = true;
      leave_queue(process);
      tell(pid, event::Handover::Role::kUnwatched, now);
    } else if (process.rested && wanted_ && now - process.rests >= 0) {
      process.rested = false;
      probe_queue(pid, process);
      if (process.gives >= 0) tell(pid, event::Handover::Role::kWatched, now);
    }
  }
}

void PythonProbes::tell(std::uint32_t pid, event::Handover::Role role, BootTime now) {
  event::Handover told;
  told.time = now;
  told.actor.thread.pid = pid;
  told.role = role;
  watched_.push_back(told);
}

void PythonProbes::sweep(BootTime now) {
  judge_queues(now);
  if (now < due_) return;
  due_ = {std::numeric_limits<std::uint64_t>::max()};
  std::uint64_t refused = 0;
  for (auto& [pid, process] : processes_) {
    if (process.looks < kLooks.size() && now - process.since >= kLooks[process.looks]) look_again(pid, process);
    if (process.looks < kLooks.size()) due_ = std::min(due_, process.since + kLooks[process.looks]);
    if (!process.refused.empty()) ++refused;
  }
  refused_.set(refused);
}

std::vector<std::string> PythonProbes::describe() const {
  std::vector<std::string> out;
  for (const auto& [pid, process] : processes_) {
    if (process.name.empty()) continue;
    std::string line = std::to_string(pid) + " " + process.name + ": ";
    if (process.told.thread_id == 0)
      line += process.waits ? "tasks are seen once it is used" : "tasks are not seen: " + process.refused;
    else
      line += "3." + std::to_string(process.minor) +
              (process.told.data_stack != 0 ? ", greenlets are seen"
               : follow_.contexts           ? ", tasks are seen"
                                            : "");
    if (process.gives >= 0)
      line += ", work handed to pools is seen";
    else if (process.rested)
      line += ", work handed to pools is not seen now";
    else if (!process.queue_refused.empty())
      line += ", work handed to pools is not seen: " + process.queue_refused;
    out.push_back(std::move(line));
  }
  return out;
}

std::string describe_python(std::uint32_t pid) {
  const PythonMapping mapping = python_mapping(pid, maps_of(pid));
  if (mapping.path.empty()) return {};
  const auto executable = read_python_executable(mapping.path, python_minor_of(base_name(mapping.name)));
  if (!executable) return executable.error().text();
  if (mapping.gevent && (*executable).offsets.data_stack == 0)
    return "greenlets of this release are not told apart (3.11 and newer)";
  if (mapping.gevent) return "greenlets can be seen";
  const auto queue = read_python_queue(mapping.queue.path.empty() ? mapping.path : mapping.queue.path);
  const auto deque = read_python_deque(mapping.path);
  std::string out = "tasks can be seen";
  if (queue) out += ", and work handed to pools";
  if (deque) out += ", and work put into queues";
  // Without one that is mapped, most have none yet.
  if (!queue && !mapping.queue.path.empty()) out += "; work handed to pools not: " + queue.error().text();
  if (!deque) out += "; work put into queues not: " + deque.error().text();
  return out;
}

}  // namespace wirespan
