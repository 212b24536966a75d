// What the Go runtime of a living process holds in its memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/capture/go_executable.h"
#include "agent/capture/process_memory.h"

namespace wirespan {

class GoMemory {
 public:
  explicit GoMemory(std::uint32_t pid) : pid_(pid), memory_(pid) {}

  // What must be added to the file's addresses; nullopt: it is not loaded (yet).
  [[nodiscard]] std::optional<std::uint64_t> bias(const GoExecutable& executable, std::uint64_t inode) const;
  // Address of runtime.allp; 0: not found (yet). `executable.allp`, or where it is stripped the one slice in its data
  // whose elements are processors, numbered from 0: reads all of that, some milliseconds.
  [[nodiscard]] std::uint64_t find_allp(const GoExecutable& executable, std::uint64_t inode) const;
  // The runtime's processors (struct p) by number, at most `most`; empty: not understood, more, or not up yet.
  [[nodiscard]] std::vector<std::uint64_t> processors(std::uint64_t allp, const GoOffsets& offsets,
                                                      std::size_t most) const;

 private:
  std::uint32_t pid_;
  ProcessMemory memory_;
};

}  // namespace wirespan
