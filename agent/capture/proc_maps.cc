#include "agent/capture/proc_maps.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <sstream>

namespace wirespan {
namespace {

constexpr std::size_t kMost = 4U << 20U;

}  // namespace

std::string maps_of(std::uint32_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/maps");
  std::string out;
  std::array<char, 16'384> piece{};
  while (out.size() < kMost && (in.read(piece.data(), piece.size()) || in.gcount() > 0)) {
    out.append(piece.data(), static_cast<std::size_t>(in.gcount()));
  }
  return out;
}

std::uint64_t address_space_of(std::uint32_t pid) {
  const int file = ::open(("/proc/" + std::to_string(pid) + "/statm").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 128> text{};
  const ssize_t size = ::read(file, text.data(), text.size());
  ::close(file);
  std::uint64_t pages = 0;
  if (size > 0) std::from_chars(text.data(), text.data() + size, pages);
  return pages;
}

std::optional<MapLine> parse_map_line(const std::string& text) {
  MapLine line;
  std::istringstream in(text);
  char dash = 0;
  char colon = 0;
  unsigned major = 0;
  unsigned minor = 0;
  std::string rights;
  if (!(in >> std::hex >> line.start >> dash >> line.end >> rights >> line.offset >> major >> colon >> minor >>
        std::dec >> line.inode))
    return std::nullopt;
  line.device = makedev(major, minor);
  line.writable = rights.size() > 1 && rights[1] == 'w';
  std::getline(in >> std::ws, line.path);
  return line;
}

}  // namespace wirespan
