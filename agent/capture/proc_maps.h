// /proc/PID/maps: which files lie where in a process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace wirespan {

struct MapLine {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t offset = 0;  // in the file
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool writable = false;
  std::string path;
};

// The whole text, cut at 4 MiB. Some 2 us a line.
[[nodiscard]] std::string maps_of(std::uint32_t pid);

// The same, read when it is first asked for: of one process, at one time, for several readers.
class LazyMaps {
 public:
  explicit LazyMaps(std::uint32_t pid) : pid_(pid) {}
  [[nodiscard]] const std::string& text() {
    if (!text_) text_ = maps_of(pid_);
    return *text_;
  }

 private:
  std::uint32_t pid_;
  std::optional<std::string> text_;
};

// Pages of address space, which change where a process maps a file. 0: it is gone. From /proc/PID/statm, some 5 us.
[[nodiscard]] std::uint64_t address_space_of(std::uint32_t pid);

[[nodiscard]] std::optional<MapLine> parse_map_line(const std::string& text);

}  // namespace wirespan
