#include "agent/capture/node_memory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include "agent/capture/proc_maps.h"
#include "agent/capture/process_memory.h"

namespace wirespan {
namespace {

constexpr std::uint64_t kWord = 8;
constexpr std::size_t kPiece = 1U << 17U;          // words read at once
constexpr std::uint64_t kMostMemory = 64U << 20U;  // looked through, in bytes
constexpr std::size_t kFields = 4;                 // execution, trigger, last given, default trigger
constexpr double kMostId = 9007199254740991;       // Number.MAX_SAFE_INTEGER
constexpr std::string_view kDeleted = " (deleted)";

struct Region {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
};

std::string proc_file(std::uint32_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

bool is_node(std::string_view path) {
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name == "node" || name == "nodejs";
}

bool is_id(double value) {
  return value >= 0 && value <= kMostId && std::trunc(value) == value;
}

bool are_ids(const std::array<double, kFields>& fields) {
  const double given = fields[2];
  const bool no_default = fields[3] == -1;
  return is_id(given) && given >= 1 && is_id(fields[0]) && fields[0] <= given && is_id(fields[1]) &&
         fields[1] <= given && (no_default || (is_id(fields[3]) && fields[3] <= given));
}

// What AliasedBuffers of four elements in the region point to, where it looks like the ids.
void look_through(const ProcessMemory& memory, const Region& region, const std::vector<Region>& all,
                  std::set<std::uint64_t>& found) {
  constexpr std::size_t kBuffer = 4;  // words of an AliasedBuffer
  std::vector<std::uint64_t> words(kPiece);
  for (std::uint64_t at = region.start; at + kBuffer * kWord <= region.end;) {
    const std::size_t count = std::min<std::uint64_t>(kPiece, (region.end - at) / kWord);
    if (!memory.read(at, words.data(), count * kWord)) return;
    for (std::size_t i = 0; i + kBuffer <= count; ++i) {
      const std::uint64_t pointer = words[i + 3];
      if (words[i + 1] != kFields || words[i + 2] != 0 || words[i] == 0 || words[i] % kWord != 0) continue;
      if (pointer == 0 || pointer % kWord != 0) continue;
      const bool inside =
          std::ranges::any_of(all, [&](const Region& r) { return pointer >= r.start && pointer < r.end; });
      std::array<double, kFields> fields{};
      if (inside && memory.read(pointer, fields.data(), sizeof(fields)) && are_ids(fields)) found.insert(pointer);
    }
    if (at + count * kWord >= region.end) return;
    at += (count - kBuffer + 1) * kWord;
  }
}

Result<std::uint64_t> find_in(const ProcessMemory& memory, const std::vector<Region>& regions) {
  std::set<std::uint64_t> found;
  std::uint64_t left = kMostMemory;
  for (Region region : regions) {
    region.end = region.start + std::min(region.end - region.start, left);
    left -= region.end - region.start;
    look_through(memory, region, regions, found);
  }
  if (found.size() == 1) return *found.begin();
  if (found.empty()) return Error{"its async ids were not found", EAGAIN, {}};
  return Error{"its async ids are not told from other numbers", ENOTSUP, {}};
}

}  // namespace

MappedFile node_mapping(std::uint32_t pid, const std::string& maps) {
  MappedFile library;
  MappedFile program;
  std::array<char, 4096> exe{};
  const ssize_t size = readlink(proc_file(pid, "exe").c_str(), exe.data(), exe.size() - 1);
  const std::string_view exe_path(exe.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  const bool named = is_node(exe_path);
  if (!named && maps.find("/libnode.so") == std::string::npos) return {};
  std::istringstream in(maps);
  for (std::string text; std::getline(in, text);) {
    const bool of_library = text.find("/libnode.so") != std::string::npos;
    if (!of_library && !(named && text.ends_with(exe_path))) continue;
    const auto line = parse_map_line(text);
    MappedFile& to = of_library ? library : program;
    if (!line || line->offset != 0 || !to.path.empty()) continue;
    to.path = of_library ? proc_file(pid, "root") + line->path : proc_file(pid, "exe");
    to.start = line->start;
    to.device = line->device;
    to.inode = line->inode;
  }
  return library.path.empty() ? program : library;
}

Result<std::uint64_t> find_async_ids(std::uint32_t pid, const std::string& maps) {
  std::vector<Region> heap;
  std::vector<Region> anonymous;
  std::istringstream in(maps);
  for (std::string text; std::getline(in, text);) {
    const auto line = parse_map_line(text);
    if (!line || !line->writable || line->inode != 0) continue;
    if (line->path == "[heap]") {
      heap.push_back({line->start, line->end});
    } else if (line->path.empty()) {
      anonymous.push_back({line->start, line->end});
    }
  }
  const ProcessMemory memory(pid);
  auto found = find_in(memory, heap);
  if (found || found.error().code != EAGAIN) return found;
  // Other allocators than glibc's do not use the heap the kernel keeps.
  return find_in(memory, anonymous);
}

}  // namespace wirespan
