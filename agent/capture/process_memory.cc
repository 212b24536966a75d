#include "agent/capture/process_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace wirespan {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::size_t kMostPages = 512;

}  // namespace

ProcessMemory::ProcessMemory(std::uint32_t pid)
    : fd_(open(("/proc/" + std::to_string(pid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC)) {}

ProcessMemory::~ProcessMemory() {
  if (fd_ >= 0) close(fd_);
}

bool ProcessMemory::read(std::uint64_t address, void* to, std::size_t size) const {
  return fd_ >= 0 && address <= INT64_MAX &&
         pread(fd_, to, size, static_cast<off_t>(address)) == static_cast<ssize_t>(size);
}

std::optional<std::string> ProcessMemory::text(std::uint64_t address, std::size_t most) const {
  if (fd_ < 0 || address == 0 || address > INT64_MAX) return std::nullopt;
  std::string out(most, '\0');
  ssize_t size = pread(fd_, out.data(), most, static_cast<off_t>(address));
  if (size <= 0) {
    // The page behind may not be there.
    const auto rest = std::min<std::uint64_t>(most, kPage - address % kPage);
    size = pread(fd_, out.data(), rest, static_cast<off_t>(address));
  }
  if (size <= 0) return std::nullopt;
  out.resize(static_cast<std::size_t>(size));
  const std::size_t end = out.find('\0');
  if (end == std::string::npos) return std::nullopt;
  out.resize(end);
  return out;
}

bool ProcessPages::read(std::uint64_t address, void* to, std::size_t size) {
  auto* out = static_cast<std::uint8_t*>(to);
  while (size != 0) {
    const std::uint64_t start = address / kPage * kPage;
    auto it = pages_.find(start);
    if (it == pages_.end()) {
      if (pages_.size() >= kMostPages) pages_.clear();
      Page page;  // NOLINT(*-member-init)
      if (!memory_.read(start, page.data(), page.size())) return false;
      it = pages_.emplace(start, page).first;
    }
    const std::size_t part = std::min<std::size_t>(size, start + kPage - address);
    std::memcpy(out, &it->second[address - start], part);
    address += part;
    out += part;
    size -= part;
  }
  return true;
}

}  // namespace wirespan
