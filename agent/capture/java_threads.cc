#include "agent/capture/java_threads.h"

#include <array>
#include <cerrno>
#include <utility>

#include "agent/capture/proc_maps.h"

namespace wirespan {
namespace {

// When a process is looked at after it was found: the launcher maps libjvm in its first moments, its own threads are up
// some 50 ms later. Programs that embed a JVM may begin it late.
constexpr std::array<std::int64_t, 10> kLooks{0,
                                              50'000'000,
                                              100'000'000,
                                              200'000'000,
                                              400'000'000,
                                              1'000'000'000,
                                              3'000'000'000,
                                              10'000'000'000,
                                              30'000'000'000,
                                              120'000'000'000};

}  // namespace

JavaThreads::JavaThreads(RuntimeKernel& kernel, Counters& counters)
    : kernel_(kernel),
      known_(counters.get("capture.java.processes")),
      refused_(counters.get("capture.java.processes_refused")) {}

void JavaThreads::found(std::uint32_t pid, BootTime now) {
  Process& process = processes_[pid];
  process.since = now;
  process.looks = 0;
  process.refused = false;
  look(pid, process);
}

void JavaThreads::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  forget(pid, it->second);
  processes_.erase(it);
}

void JavaThreads::forget(std::uint32_t pid, Process& process) {
  if (!std::exchange(process.known, false)) return;
  kernel_.remove_java_process(pid);
  known_.set(known_.value() - 1);
}

void JavaThreads::look(std::uint32_t pid, Process& process) {
  ++process.looks;
  const MappedFile mapping = java_mapping(pid, maps_of(pid));
  process.machine = !mapping.path.empty();
  // Told of twice, as at the start: what is known stays known meanwhile.
  if (process.known && process.machine && process.start == mapping.start && process.inode == mapping.inode) return;
  forget(pid, process);  // it runs something else now
  if (!process.machine) return;
  const auto& symbols = libraries_.get(mapping, "libjvm", [&] { return read_java_symbols(mapping.path); });
  const auto where = symbols ? read_java_process(pid, mapping, *symbols) : Result<ws_java_process>(symbols.error());
  if (!where) {
    process.why = where.error().what;
    process.refused = where.error().code != EAGAIN;
    return;
  }
  process.known = true;
  process.start = mapping.start;
  process.inode = mapping.inode;
  known_.add();
  kernel_.set_java_process(pid, *where);
}

void JavaThreads::sweep(BootTime now) {
  std::uint64_t refused = 0;
  for (auto& [pid, process] : processes_) {
    if (process.refused) ++refused;
    if (process.known || process.refused || process.looks >= kLooks.size()) continue;
    if (now - process.since >= kLooks[process.looks]) look(pid, process);
  }
  refused_.set(refused);
}

std::vector<std::string> JavaThreads::describe() const {
  std::vector<std::string> out;
  for (const auto& [pid, process] : processes_) {
    if (!process.machine) continue;
    out.push_back(std::to_string(pid) + " java: " +
                  (process.known ? "virtual threads are seen" : "virtual threads are not seen: " + process.why));
  }
  return out;
}

std::string describe_java(std::uint32_t pid) {
  const MappedFile mapping = java_mapping(pid, maps_of(pid));
  if (mapping.path.empty()) return {};
  const auto symbols = read_java_symbols(mapping.path);
  if (!symbols) return symbols.error().what;
  const auto where = read_java_process(pid, mapping, *symbols);
  return where ? "virtual threads can be seen" : where.error().what;
}

}  // namespace wirespan
