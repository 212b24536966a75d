// The memory of a living process, read through /proc/PID/mem. Another program's: it changes while it is read, any word
// of it may be anything, and it is believed only where it fits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

namespace wirespan {

// One thread.
class ProcessMemory {
 public:
  explicit ProcessMemory(std::uint32_t pid);
  ~ProcessMemory();
  ProcessMemory(const ProcessMemory&) = delete;
  ProcessMemory& operator=(const ProcessMemory&) = delete;

  // Whether all of it could be read.
  [[nodiscard]] bool read(std::uint64_t address, void* to, std::size_t size) const;
  // nullopt: it could not be read, or does not end within the first `most` bytes.
  [[nodiscard]] std::optional<std::string> text(std::uint64_t address, std::size_t most) const;

 private:
  int fd_;
};

// The same, read by pages and kept until clear(): what lies together is read at once. As it was then.
class ProcessPages {
 public:
  explicit ProcessPages(const ProcessMemory& memory) : memory_(memory) {}

  [[nodiscard]] bool read(std::uint64_t address, void* to, std::size_t size);
  void clear() { pages_.clear(); }

 private:
  using Page = std::array<std::uint8_t, 4096>;

  const ProcessMemory& memory_;
  std::unordered_map<std::uint64_t, Page> pages_;
};

}  // namespace wirespan
