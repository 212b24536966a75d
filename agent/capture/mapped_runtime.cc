#include "agent/capture/mapped_runtime.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "agent/capture/proc_maps.h"

namespace wirespan {

MappedRuntime::MappedRuntime(const char* name, const char* seen, std::span<const std::int64_t> looks,
                             Counters& counters)
    : name_(name),
      seen_(seen),
      looks_(looks),
      known_(counters.get(std::string("capture.") + name + ".processes")),
      refused_(counters.get(std::string("capture.") + name + ".processes_refused")) {}

void MappedRuntime::found(std::uint32_t pid, BootTime now, LazyMaps& maps) {
  Process& process = processes_[pid];
  process.since = now;
  process.looks = 0;
  process.refused = false;
  due_ = now;
  process.pages = address_space_of(pid);
  look(pid, process, maps);
}

void MappedRuntime::used(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end() || std::exchange(it->second.used, true) || !it->second.waits) return;
  due_ = {};
  LazyMaps maps(pid);
  look(pid, it->second, maps);
}

void MappedRuntime::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  forget(pid, it->second);
  processes_.erase(it);
  due_ = {};
}

void MappedRuntime::forget(std::uint32_t pid, Process& process) {
  if (!std::exchange(process.known, false)) return;
  release(pid);
  known_.set(known_.value() - 1);
}

// A process that maps no such file still does not, unless its address space has changed.
void MappedRuntime::look_again(std::uint32_t pid, Process& process) {
  const std::uint64_t pages = address_space_of(pid);
  if (std::exchange(process.pages, pages) == pages && !process.mapped) {
    ++process.looks;
    return;
  }
  LazyMaps maps(pid);
  look(pid, process, maps);
}

void MappedRuntime::look(std::uint32_t pid, Process& process, LazyMaps& maps) {
  ++process.looks;
  process.waits = false;
  const MappedFile mapping = mapping_of(pid, maps.text());
  process.mapped = !mapping.path.empty();
  // Told of twice, as at the start: what is known stays known meanwhile.
  if (process.known && process.mapped && process.start == mapping.start && process.inode == mapping.inode) return;
  forget(pid, process);  // it runs something else now
  if (!process.mapped) return;
  if (!process.used && waits_for_use()) {
    process.waits = true;
    process.why = "until it is used";
    return;
  }
  if (const Status understood = understand(pid, maps.text(), mapping); !understood) {
    release(pid);
    process.why = understood.error().what;
    process.refused = understood.error().code != EAGAIN;
    return;
  }
  process.known = true;
  process.start = mapping.start;
  process.inode = mapping.inode;
  known_.add();
}

void MappedRuntime::sweep(BootTime now) {
  if (now < due_) return;
  due_ = {std::numeric_limits<std::uint64_t>::max()};
  std::uint64_t refused = 0;
  for (auto& [pid, process] : processes_) {
    const auto to_look = [&process, this] {
      return !process.known && !process.refused && !process.waits && process.looks < looks_.size();
    };
    if (to_look() && now - process.since >= looks_[process.looks]) look_again(pid, process);
    if (to_look()) due_ = std::min(due_, process.since + looks_[process.looks]);
    if (process.refused) ++refused;
  }
  refused_.set(refused);
}

std::vector<std::string> MappedRuntime::describe() const {
  std::vector<std::string> out;
  for (const auto& [pid, process] : processes_) {
    if (!process.mapped) continue;
    out.push_back(std::to_string(pid) + " " + name_ + ": " + seen_ +
                  (process.known ? " are seen" : " are not seen: " + process.why));
  }
  return out;
}

}  // namespace wirespan
