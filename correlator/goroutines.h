// What is known of each goroutine of a Go process: which requests it read, what it was handed and who began it. Which
// request that makes a child of it work for is told by the ids the runtime was about to give out when each was read.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/generations.h"
#include "correlator/evidence/evidence.h"

namespace wirespan {

// A request that a goroutine read, and what was known then.
struct GoroutineRead {
  std::uint64_t node = 0;
  std::vector<std::uint64_t> births;
  bool first = false;   // of a goroutine that had read none before
  bool shared = false;  // came with the one before in one read, as far as is known: a child may be of either
};

struct GoroutineTask {
  std::uint64_t parent = 0;
  std::uint64_t writes_for = 0;        // client connection, 0: none
  std::array<GoroutineRead, 2> reads;  // the newest first
  std::uint32_t requests = 0;
  // A worker: what came with the last element it received, and from which channel. 0: not known.
  std::uint64_t work = 0;
  std::uint64_t channel = 0;
  std::uint64_t site = 0;  // where in the program it received it
  std::uint64_t draw = 0;  // it received one of several, and which is not known yet
  // A child: the request it was seen to work for, and what it did once that was answered.
  std::uint64_t own = 0;
  BootTime afterwards{};  // its first call
  std::uint32_t calls_after = 0;
  bool outlives = false;
};

// By number. They end unseen.
using GoroutineTasks = Generations<std::uint64_t, GoroutineTask>;

// The goroutines from one that makes a call up to the child of one that reads requests.
struct GoroutineLineage {
  static constexpr int kMost = 8;
  std::array<std::uint64_t, kMost> tasks{};
  std::uint8_t count = 0;
  [[nodiscard]] bool of_child() const { return count > 0; }
  [[nodiscard]] std::span<const std::uint64_t> all() const { return {tasks.data(), count}; }
};

// Whether a goroutine was begun after the moment at which those were the next ids, by the one that was reading then.
[[nodiscard]] bool born_after(std::uint64_t task, const std::vector<std::uint64_t>& births);

// The request, by its number, that the goroutine works for, or a child of it; 0: not certain. It may be answered.
// child: its number, 0: the goroutine itself.
[[nodiscard]] std::uint64_t request_read_by(const GoroutineTask& task, std::uint64_t child, const World& world);

}  // namespace wirespan
