#include "agent/capture/go_memory.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <string>

#include "agent/capture/proc_maps.h"

namespace wirespan {
namespace {

constexpr std::uint64_t kMostScanned = 16U << 20U;
constexpr std::size_t kChunk = 32U << 10U;  // words read at once
constexpr std::size_t kSliceWords = 3;
constexpr std::uint64_t kMostProcessors = 1024;
constexpr std::uint64_t kRun = 16;        // _GoidCacheBatch
constexpr std::uint32_t kMostStatus = 4;  // _Pdead

// Where the file's first page lies in the process.
std::optional<std::uint64_t> first_page(std::uint32_t pid, std::uint64_t inode) {
  std::istringstream maps(maps_of(pid));
  for (std::string text; std::getline(maps, text);) {
    const auto line = parse_map_line(text);
    if (line && line->inode == inode && line->offset == 0) return line->start;
  }
  return std::nullopt;
}

// type slice struct { array unsafe.Pointer; len, cap int }
struct Slice {
  std::uint64_t array = 0;
  std::uint64_t length = 0;
  std::uint64_t capacity = 0;
  [[nodiscard]] bool plausible(std::uint64_t most) const {
    return array != 0 && array % 8 == 0 && length > 0 && length <= capacity && capacity <= most;
  }
};

}  // namespace

std::vector<std::uint64_t> GoMemory::processors(std::uint64_t allp, const GoOffsets& offsets, std::size_t most) const {
  Slice slice;
  if (!memory_.read(allp, &slice, sizeof(slice)) || !slice.plausible(kMostProcessors) || slice.length > most) return {};
  std::vector<std::uint64_t> out(slice.length);
  if (!memory_.read(slice.array, out.data(), out.size() * sizeof(out[0]))) return {};
  bool used = false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    // struct p begins with its number and its status.
    struct {
      std::int32_t id;
      std::uint32_t status;
    } head{};
    std::array<std::uint64_t, 2> run{};  // goidcache, goidcacheend
    if (!memory_.read(out[i], &head, sizeof(head)) || head.id != static_cast<std::int32_t>(i) ||
        head.status > kMostStatus || !memory_.read(out[i] + offsets.next, run.data(), sizeof(run)) || run[0] > run[1] ||
        run[1] - run[0] > kRun) {
      return {};
    }
    used = used || run[1] > kRun;
  }
  return used ? out : std::vector<std::uint64_t>();
}

std::optional<std::uint64_t> GoMemory::bias(const GoExecutable& executable, std::uint64_t inode) const {
  if (!executable.relocated) return 0;
  const auto first = first_page(pid_, inode);
  if (!first) return std::nullopt;
  return *first - executable.base;
}

std::uint64_t GoMemory::find_allp(const GoExecutable& executable, std::uint64_t inode) const {
  const auto loaded_at = this->bias(executable, inode);
  if (!loaded_at) return 0;
  const std::uint64_t bias = *loaded_at;
  if (executable.allp != 0) return executable.allp + bias;
  // m0.allpSnapshot may be a copy with the same elements: the linker puts small variables first, so allp lies before.
  std::uint64_t found = 0;
  std::uint64_t array = 0;
  std::uint64_t left = kMostScanned;
  std::vector<std::uint64_t> words(kChunk + kSliceWords);
  for (const GoExecutable::Segment& segment : executable.data) {
    const std::uint64_t end = segment.address + bias + std::min(segment.size, left) / 8 * 8;
    left -= std::min(segment.size, left);
    for (std::uint64_t from = (segment.address + bias + 7) & ~std::uint64_t{7}; from < end; from += kChunk * 8) {
      const std::size_t count = std::min<std::uint64_t>((end - from) / 8, words.size());
      if (!memory_.read(from, words.data(), count * sizeof(words[0]))) break;
      for (std::size_t i = 0; i < kChunk && i + kSliceWords <= count; ++i) {
        const Slice slice{words[i], words[i + 1], words[i + 2]};
        if (!slice.plausible(kMostProcessors) || slice.array == array) continue;
        const std::uint64_t here = from + i * sizeof(words[0]);
        if (processors(here, executable.offsets, kMostProcessors).empty()) continue;
        if (found != 0) return 0;  // two: neither is certain
        found = here;
        array = slice.array;
      }
    }
  }
  return found;
}

}  // namespace wirespan
