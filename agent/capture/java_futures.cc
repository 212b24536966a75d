#include "agent/capture/java_futures.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "agent/capture/java_known_ways.h"
#include "agent/capture/process_memory.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostAbove = 12;   // classes above one
constexpr std::size_t kMostTold = 1024;  // of a process
// Of these, and of a first look: those that requests need are loaded with them.
constexpr std::size_t kMostTasks = 512;
constexpr std::size_t kMostTasksAtFirst = 256;
constexpr std::size_t kMostWanted = 4096;  // processes
// Classes are loaded when they are first used: most of those of a service's way of waiting with its first requests.
constexpr std::int64_t kFirstBetween = 20'000'000;
constexpr int kFirstLooks = 80;
constexpr std::int64_t kMostBetween = 30'000'000'000;

struct Future {
  const char* name;
  const char* done;     // 32 bits: 0 until it is done
  const char* follows;  // who waits, or what is to be done next; "": nothing does
};
// Futures of an ExecutorCompletionService, and queues it may have.
constexpr std::string_view kQueueing = "java/util/concurrent/ExecutorCompletionService$QueueingFuture";
constexpr const char* kResults = "completionQueue";
constexpr std::array<std::string_view, 3> kQueues{"java/util/concurrent/LinkedBlockingQueue",
                                                  "java/util/concurrent/LinkedBlockingDeque",
                                                  "java/util/concurrent/ArrayBlockingQueue"};
constexpr std::array<Future, 3> kFutures{{{"java/util/concurrent/FutureTask", "state", "waiters"},
                                          {"java/util/concurrent/CompletableFuture", "result", "stack"},
                                          {"java/util/concurrent/ForkJoinTask", "status", ""}}};
// ForkJoinTasks that are never said to be done: those that forget their future when they begin (it is on the stack),
// and parts of what is done as a whole (parallel streams).
constexpr std::string_view kStages = "java/util/concurrent/CompletableFuture$";
constexpr std::string_view kPart = "java/util/concurrent/CountedCompleter";
// What is to be done next, and who waits.
constexpr std::array<std::string_view, 2> kFollows{"java/util/concurrent/CompletableFuture$Completion",
                                                   "java/util/concurrent/FutureTask$WaitNode"};
constexpr std::array<const char*, 4> kFollowed{"next", "dep", "base", "thread"};
constexpr std::string_view kThread = "java/lang/Thread";
constexpr const char* kHandle = "eetop";
constexpr const char* kBlocker = "parkBlocker";

// Collections and what goes through them. Not the queues and executors of java.util.concurrent, which all requests
// share.
bool is_collection(std::string_view name) {
  constexpr std::string_view kPackage = "java/util/";
  return name.starts_with(kPackage) && name.find('/', kPackage.size()) == std::string_view::npos;
}

}  // namespace

// In the class that has it, itself or one above.
bool JavaKinds::add(std::uint64_t named, const char* field, ws_java_kind& kind) const {
  const auto at = objects_.field_or_above(named, field);
  if (!at || kind.count >= WS_WAY_FIELDS) return false;
  kind.fields[kind.count++] = *at;
  return true;
}

bool JavaKinds::kind_of(std::uint64_t named, const std::string& name, ws_java_kind& kind) {
  kind = {};
  if (name.starts_with("[L")) {
    // Of the JDK's, and of futures however they are called.
    kind.is = WS_JAVA_ELEMENTS;
    return name.starts_with("[Ljava/") || name.find("Future") != std::string::npos;
  }
  if (is_collection(name)) {
    kind.is = WS_JAVA_HOLDER;
    for (const auto& [offset, count] : references_.layout_of(static_cast<std::uint32_t>(named)).references) {
      for (std::uint32_t i = 0; i < count; ++i) {
        if (kind.count == WS_WAY_FIELDS) return false;  // it is something else
        kind.fields[kind.count++] = static_cast<std::uint16_t>(offset + i * references_.reference_size());
      }
    }
    return kind.count != 0;
  }
  if (std::ranges::find(kQueues, name) != kQueues.end()) {
    kind.is = WS_JAVA_RESULTS;
    return true;
  }
  std::uint64_t above = named;
  for (std::size_t i = 0; above != 0 && i < kMostAbove; ++i, above = objects_.above(above)) {
    const auto its = i == 0 ? name : objects_.name(above).value_or("");
    if (its == kPart) return false;
    for (const Future& future : kFutures) {
      if (its != future.name || name.starts_with(kStages)) continue;
      const auto done = objects_.field(above, future.done);
      if (!done) return false;
      kind.is = WS_JAVA_FUTURE;
      kind.done = *done;
      add(above, future.follows, kind);
      if (name == kQueueing) add(named, kResults, kind);
      return true;
    }
    if (std::ranges::find(kFollows, its) != kFollows.end()) {
      kind.is = WS_JAVA_FOLLOWS;
      for (const char* field : kFollowed) add(named, field, kind);
      return kind.count != 0;
    }
    if (its == kThread) {
      kind.is = WS_JAVA_WAITER;
      return add(above, kHandle, kind);
    }
  }
  kind.is = WS_JAVA_TASK;
  return is_java_function(name) && objects_.implements(named, {"java/lang/Runnable", "java/util/concurrent/Callable"});
}

void JavaFutures::found(std::uint32_t pid, const JavaProcess& process) {
  exited(pid);
  // As where JavaContinuations follow references.
  if (!process.no_contexts.empty() || process.heap.array == 0 || process.heap.begin == 0) return;
  const JavaTable& table = process.table;
  if (table.offset("JavaThread::_anchor") == 0 || !table.has("JavaFrameAnchor::_last_Java_sp") ||
      std::max(table.offset("Thread::_stack_base"), table.offset("JavaThread::_stack_base")) == 0 ||
      table.offset("OSThread::_thread_id") == 0) {
    return;
  }
  Known& known = known_[pid];
  forget(known);
  known.process = process;
  ws_java_process& at = known.process.where;
  at.last_frame =
      static_cast<std::uint16_t>(table.offset("JavaThread::_anchor") + table.offset("JavaFrameAnchor::_last_Java_sp"));
  at.stack_base = std::max(table.offset("Thread::_stack_base"), table.offset("JavaThread::_stack_base"));
}

void JavaFutures::forget(Known& known) {
  for (const ws_java_class_of& of : known.told) kernel_.remove_java_kind(of);
  known.told.clear();
  known.newest.clear();
  known.futures = known.tasks = 0;
  known.looked = {};
  known.looks = 0;
  known.between = kFirstBetween;
}

void JavaFutures::exited(std::uint32_t pid) {
  const auto it = known_.find(pid);
  if (it == known_.end()) return;
  forget(it->second);
  known_.erase(it);
}

void JavaFutures::prepare(std::uint32_t pid) {
  if (wanted_.size() < kMostWanted) wanted_.try_emplace(pid, false);
}

void JavaFutures::follow(std::uint32_t pid, bool wanted) {
  if (wanted_.size() >= kMostWanted && !wanted_.contains(pid)) return;
  const bool before = std::exchange(wanted_[pid], wanted);
  const auto it = known_.find(pid);
  if (it == known_.end()) return;
  if (wanted && !before) {
    it->second.looks = 1;
    it->second.between = kFirstBetween;
  }
  if (before != wanted && it->second.any() && it->second.process.where.blocker != 0)
    tell_(pid, it->second.process, wanted);
  if (wanted) return;
  forget(it->second);
  wanted_.erase(pid);
}

void JavaFutures::look(std::uint32_t pid, Known& known) {
  const ProcessMemory memory(pid);
  const JavaObjects objects(memory, known.process.table, known.process.heap);
  JavaReferences references(memory, known.process.table, known.process.heap, known.layouts);
  JavaKinds kinds(objects, references);
  const bool before = known.any();
  const std::size_t most_tasks = known.newest.empty() ? kMostTasksAtFirst : kMostTasks;
  objects.each_new(known.newest, [&](std::uint64_t named, const std::string& name) {
    ws_java_kind kind{};
    if (known.told.size() >= kMostTold || named > UINT32_MAX || !kinds.kind_of(named, name, kind)) return;
    if (name == kThread) known.process.where.blocker = objects.field(named, kBlocker).value_or(0);
    if (kind.is == WS_JAVA_TASK && known.tasks >= most_tasks) return;
    const ws_java_class_of of{pid, static_cast<std::uint32_t>(named)};
    if (!kernel_.set_java_kind(of, kind)) return;
    known.told.push_back(of);
    known.futures += kind.is == WS_JAVA_FUTURE ? 1 : 0;
    known.tasks += kind.is == WS_JAVA_TASK ? 1 : 0;
  });
  if (known.process.where.blocker == 0) return;  // nobody tells who waits for one
  if (!before && known.any() && wanted_[pid]) tell_(pid, known.process, true);
}

bool JavaFutures::due(std::uint32_t pid, const Known& known, BootTime now) const {
  const auto wanted = wanted_.find(pid);
  if (wanted == wanted_.end() || (!wanted->second && known.looks > 0)) return false;
  return known.looked == BootTime{} || now - known.looked >= known.between;
}

bool JavaFutures::in_a_hurry(BootTime now) const {
  return std::ranges::any_of(
      known_, [&](const auto& one) { return one.second.looks < kFirstLooks && due(one.first, one.second, now); });
}

void JavaFutures::sweep(BootTime now) {
  for (auto& [pid, known] : known_) {
    if (!due(pid, known, now)) continue;
    known.looked = now;
    if (++known.looks > kFirstLooks) known.between = std::min(known.between * 2, kMostBetween);
    look(pid, known);
  }
}

std::vector<std::string> JavaFutures::describe() const {
  std::vector<std::string> out;
  for (const auto& [pid, known] : known_) {
    if (known.futures == 0) continue;
    out.push_back(std::to_string(pid) + " java: futures of " + std::to_string(known.futures) +
                  " classes are read from its threads' stacks");
  }
  return out;
}

}  // namespace wirespan
