#include "agent/capture/java_contexts.h"

#include <utility>

#include "agent/capture/process_memory.h"
#include "bpf/abi/events.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostContexts = 2048;  // of a process, twice: a read of each after a collection, some 0.5 us
constexpr std::uint64_t kMarkBits = 3;
constexpr std::uint64_t kForwarded = 3;
constexpr std::uint64_t kUnlocked = 1;
constexpr std::uint64_t kAgeMask = 15U << 3U;  // how many collections it has lived through

struct Header {
  std::uint64_t mark = 0;
  std::uint64_t named = 0;  // its class, in the lower half or all of it
};

// Empty: it cannot be read.
Header header_of(const ProcessMemory& memory, std::uint64_t object) {
  Header out;
  return object != 0 && memory.read(object, &out, sizeof(out)) ? out : Header();
}

// Where an object is now that lay there before the collection; 0: nowhere.
std::uint64_t whereabouts(std::uint64_t address, std::uint64_t mark) {
  if ((mark & kMarkBits) == kForwarded) return mark & ~kMarkBits;
  // What has lived through one before may lie among the old, which stay where they are. What has not was in the part
  // that is always cleared: it is dead, and its place about to be used again.
  return (mark & kMarkBits) != kUnlocked || (mark & kAgeMask) != 0 ? address : 0;
}

}  // namespace

JavaContexts::JavaContexts(Counters& counters)
    : moved_(counters.get("capture.java.contexts_moved")), ended_(counters.get("capture.java.contexts_ended")) {}

void JavaContexts::found(std::uint32_t pid, const JavaHeap& heap) {
  processes_[pid] = Process{heap, 0, {}, {}};
}

std::uint64_t JavaContexts::number(std::uint32_t pid, std::uint64_t task) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return 0;
  Process& process = it->second;
  const std::uint64_t address = (task & ((std::uint64_t{1} << WS_OBJECT_BITS) - 1)) << WS_OBJECT_ALIGNMENT;
  const std::uint32_t round = (1U << WS_COLLECTION_BITS) - 1;
  const auto collections = static_cast<std::uint32_t>(task >> WS_OBJECT_BITS) & round;
  if (collections != process.collections) {
    if (((collections - process.collections) & round) > round / 2) {
      return ((process.collections - collections) & round) == 1 ? number_in(process.before, address) : 0;
    }
    collected(pid, process, collections);
  }
  return number_in(process.now, address);
}

std::uint64_t JavaContexts::number_in(Known& known, std::uint64_t address) {
  if (const auto it = known.young.find(address); it != known.young.end()) return it->second;
  std::uint64_t number = 0;
  if (const auto it = known.old.find(address); it != known.old.end()) {
    number = it->second;
    known.old.erase(it);
  } else {
    number = WS_TASK_CONTEXT | WS_TASK_OBJECT | ++last_;
  }
  if (known.young.size() >= kMostContexts) known.old = std::exchange(known.young, {});
  known.young[address] = number;
  return number;
}

void JavaContexts::collected(std::uint32_t pid, Process& process, std::uint32_t collections) {
  const bool next = collections == process.collections + 1;
  process.collections = collections;
  process.before = std::exchange(process.now, {});
  // After more than one nobody knows what lay where in between.
  if (!next) return;
  const ProcessMemory memory(pid);
  const std::uint64_t same = process.heap.class_at != 0 ? process.heap.class_mask : 0;
  for (const Numbers* const of : {&process.before.young, &process.before.old}) {
    for (const auto& [address, number] : *of) {
      const Header left = header_of(memory, address);
      const std::uint64_t went = whereabouts(address, left.mark);
      const Header found = went == address ? left : header_of(memory, went);
      if (found.mark == 0 || ((found.named ^ left.named) & same) != 0) {
        ended_.add();
      } else {
        process.now.young[went] = number;
        moved_.add();
      }
    }
  }
}

}  // namespace wirespan
