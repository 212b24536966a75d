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

// The whole text, cut at 4 MiB.
[[nodiscard]] std::string maps_of(std::uint32_t pid);
[[nodiscard]] std::optional<MapLine> parse_map_line(const std::string& text);

}  // namespace wirespan
