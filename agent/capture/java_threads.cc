#include "agent/capture/java_threads.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <utility>

#include "agent/capture/proc_maps.h"

namespace wirespan {
namespace {

// The launcher maps libjvm in its first moments, its own threads are up some 50 ms later. Programs that embed a JVM may
// begin it late.
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

// For threads and classes of Vert.x: at first at each sweep, some 0.2 ms, then less often.
constexpr std::int64_t kShareBetween = 32;
constexpr std::int64_t kMostBetween = 30'000'000'000;
constexpr std::int64_t kMostBetweenClasses = 1'000'000'000;
constexpr int kMostInSweep = 32;

// Whether it has threads that are called as Vert.x calls its own.
bool has_loops(std::uint32_t pid) {
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name.starts_with("vert.x-")) return true;
  }
  return false;
}

}  // namespace

JavaThreads::JavaThreads(RuntimeKernel& kernel, Counters& counters, JavaContinuations::Sides sides)
    : MappedRuntime("java", "virtual threads", kLooks, counters),
      kernel_(kernel),
      contexts_(counters),
      continuations_(kernel, counters, std::move(sides)),
      futures_(kernel, [this](std::uint32_t pid, const JavaProcess& process, bool asked) {
        const auto it = known_.find(pid);
        if (it == known_.end()) return;
        ws_java_process& where = it->second.process.where;
        where.last_frame = asked ? process.where.last_frame : std::uint16_t{0};
        where.stack_base = process.where.stack_base;
        where.blocker = process.where.blocker;
        set_java_heap(process.heap, where);
        tell(pid, where);
      }) {}

MappedFile JavaThreads::mapping_of(std::uint32_t pid, const std::string& maps) const {
  return java_mapping(pid, maps);
}

Status JavaThreads::understand(std::uint32_t pid, const std::string& /*maps*/, const MappedFile& mapping) {
  const auto& symbols = libraries_.get(mapping, "libjvm", [&] { return read_java_symbols(mapping.path); });
  if (!symbols) return symbols.error();
  const auto process = read_java_process(pid, mapping, *symbols);
  if (!process) return process.error();
  known_.insert_or_assign(pid, Known{*process, {}, {}, false, {}});
  continuations_.found(pid, *process);
  futures_.found(pid, *process);
  if (process->no_virtual_threads.empty()) tell(pid, process->where);
  return {};
}

void JavaThreads::tell(std::uint32_t pid, const ws_java_process& where) {
  ws_java_process told = where;
  if (!wanted_) told.way_classes[0] = 0;
  if (!futures_wanted_) told.last_frame = 0;
  kernel_.set_java_process(pid, told);
}

void JavaThreads::follow(bool continuations, bool futures) {
  const bool same = wanted_ == continuations && futures_wanted_ == futures;
  wanted_ = continuations;
  futures_wanted_ = futures;
  for (const auto& [pid, known] : known_) {
    const ws_java_process& where = known.process.where;
    if (!same && (where.way_classes[0] != 0 || where.last_frame != 0)) tell(pid, where);
  }
}

void JavaThreads::look_for_contexts(std::uint32_t pid, Known& known, BootTime now) {
  known.looked = now;
  JavaProcess& process = known.process;
  const bool fresh = process.where.context == 0;
  if (fresh) {
    const auto found = find_java_contexts(pid, process);
    known.settled = !found;
    if (!found) known.why = found.error().what;
    if (!found || !*found) return;
    known.since = now;
    contexts_.found(pid, process.heap);
    continuations_.exited(pid);  // contexts say more, for less
  }
  const auto found = find_java_channels(pid, process);
  known.settled = !found || *found;
  if (!found) known.why = found.error().what;
  if (fresh || known.settled) tell(pid, process.where);
  if (!known.settled) return;
  process.table = {};
  process.classes = {};
}

void JavaThreads::sweep(BootTime now) {
  MappedRuntime::sweep(now);
  int left = kMostInSweep;
  for (auto& [pid, known] : known_) {
    if (left == 0) break;
    if (known.settled) continue;
    if (known.since == BootTime{}) known.since = now;
    // Vert.x begins its loops, and loads its classes, when they are first wanted: some programs do so late.
    const std::int64_t age = now - known.since;
    const std::int64_t most = known.process.where.context == 0 ? kMostBetween : kMostBetweenClasses;
    if (now - known.looked < std::min(age / kShareBetween, most)) continue;
    look_for_contexts(pid, known, now);
    --left;
  }
  futures_.sweep(now);
  if (!wanted_) return;
  continuations_.sweep(now, [this](std::uint32_t pid, const JavaEnds& ends, const JavaHeap& heap) {
    const auto it = known_.find(pid);
    if (it == known_.end()) return;
    ws_java_process& where = it->second.process.where;
    for (std::size_t i = 0; i < ends.channels.size(); ++i) {
      where.way_classes[i] = ends.channels[i].named;
      where.way_sockets[i] = ends.channels[i].socket;
      where.way_descriptors[i] = ends.channels[i].descriptor;
    }
    where.way_handle = ends.handle;
    where.way_number = ends.number;
    set_java_heap(heap, where);
    tell(pid, where);
  });
}

std::string JavaThreads::nothing_because(std::uint32_t pid) const {
  const auto it = known_.find(pid);
  return it == known_.end() ? "" : it->second.process.no_virtual_threads;
}

void JavaThreads::release(std::uint32_t pid) {
  kernel_.remove_java_process(pid);
  contexts_.exited(pid);
  continuations_.exited(pid);
  futures_.exited(pid);
  known_.erase(pid);
}

std::vector<std::string> JavaThreads::describe() const {
  std::vector<std::string> out = MappedRuntime::describe();
  for (std::string& line : continuations_.describe()) out.push_back(std::move(line));
  for (const auto& [pid, known] : known_) {
    if (known.process.where.context == 0) continue;
    out.push_back(std::to_string(pid) + " java: contexts of Vert.x are seen" +
                  (known.why.empty() ? "" : ", but not over connections of other loops: " + known.why));
  }
  return out;
}

std::string describe_java(std::uint32_t pid) {
  const MappedFile mapping = java_mapping(pid, maps_of(pid));
  if (mapping.path.empty()) return {};
  const auto symbols = read_java_symbols(mapping.path);
  if (!symbols) return symbols.error().what;
  const auto process = read_java_process(pid, mapping, *symbols);
  if (!process) return process.error().what;
  return process->no_virtual_threads.empty() ? "virtual threads can be seen" : process->no_virtual_threads;
}

std::string describe_vertx(std::uint32_t pid) {
  const MappedFile mapping = java_mapping(pid, maps_of(pid));
  if (mapping.path.empty()) return {};
  const auto symbols = read_java_symbols(mapping.path);
  if (!symbols) return {};
  auto process = read_java_process(pid, mapping, *symbols);
  if (!process || !has_loops(pid)) return {};
  const auto found = find_java_contexts(pid, *process);
  if (!found) return found.error().what;
  if (!*found) return {};
  const auto channels = find_java_channels(pid, *process);
  if (!channels) return "calls by connections of other loops are not seen: " + channels.error().what;
  return "contexts of Vert.x can be seen";
}

}  // namespace wirespan
