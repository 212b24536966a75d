#include "agent/capture/mapped_runtime.h"

#include <cerrno>
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

void MappedRuntime::found(std::uint32_t pid, BootTime now) {
  Process& process = processes_[pid];
  process.since = now;
  process.looks = 0;
  process.refused = false;
  look(pid, process);
}

void MappedRuntime::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  forget(pid, it->second);
  processes_.erase(it);
}

void MappedRuntime::forget(std::uint32_t pid, Process& process) {
  if (!std::exchange(process.known, false)) return;
  release(pid);
  known_.set(known_.value() - 1);
}

void MappedRuntime::look(std::uint32_t pid, Process& process) {
  ++process.looks;
  const std::string maps = maps_of(pid);
  const MappedFile mapping = mapping_of(pid, maps);
  process.mapped = !mapping.path.empty();
  // Told of twice, as at the start: what is known stays known meanwhile.
  if (process.known && process.mapped && process.start == mapping.start && process.inode == mapping.inode) return;
  forget(pid, process);  // it runs something else now
  if (!process.mapped) return;
  if (const Status understood = understand(pid, maps, mapping); !understood) {
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
  std::uint64_t refused = 0;
  for (auto& [pid, process] : processes_) {
    if (process.refused) ++refused;
    if (process.known || process.refused || process.looks >= looks_.size()) continue;
    if (now - process.since >= looks_[process.looks]) look(pid, process);
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
