#include "correlator/goroutines.h"

#include <algorithm>

namespace wirespan {
namespace {

constexpr std::uint64_t kRun = 16;  // ids a processor takes at once (_GoidCacheBatch)
constexpr unsigned kIdBits = 56;
constexpr std::uint64_t kIdMask = (1ULL << kIdBits) - 1;

enum class Born : std::uint8_t { kBefore, kAfter, kUnknown };

// Whether a goroutine was created after the moment at which those were the next ids (event::Births). Only for children
// of the goroutine that was reading then: it created none meanwhile.
Born born(std::uint64_t task, const std::vector<std::uint64_t>& then) {
  if (then.empty()) return Born::kUnknown;
  std::uint64_t newest = 0;
  for (const std::uint64_t processor : then) {
    const std::uint64_t next = processor & kIdMask;
    const std::uint64_t end = next + (processor >> kIdBits);
    if (end <= kRun) continue;  // this processor has created none yet
    if (task >= end - kRun && task < end) return task >= next ? Born::kAfter : Born::kBefore;
    newest = std::max(newest, end);
  }
  // No processor's current run: one that was used up, or one that nobody had taken yet. Runs are taken in order.
  return task >= newest ? Born::kAfter : Born::kBefore;
}

}  // namespace

bool born_after(std::uint64_t task, const std::vector<std::uint64_t>& births) {
  return born(task, births) == Born::kAfter;
}

std::uint64_t request_read_by(const GoroutineTask& task, std::uint64_t child, const World& world) {
  const GoroutineRead& newest = task.reads[0];
  if (child == 0) {
    // Two at once: pipelined, or it reads for others.
    if (task.requests > 1 && world.open.find(task.reads[1].node)) return 0;
    return newest.node;
  }
  if (newest.shared) return 0;
  switch (born(child, newest.births)) {
    case Born::kAfter:
      return newest.node;
    case Born::kUnknown:
      return newest.first ? newest.node : 0;
    case Born::kBefore:
      break;
  }
  // A child of the request before (a goroutine that reads for others).
  const GoroutineRead& before = task.reads[1];
  if (task.requests < 2 || before.shared || born(child, before.births) != Born::kAfter) return 0;
  return before.node;
}

}  // namespace wirespan
