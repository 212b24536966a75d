// Files that traced processes have mapped, and what was read of each, once however many processes share it.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/result.h"

namespace wirespan {

struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t changed = 0;  // ns; inodes are used again
  auto operator<=>(const FileId&) const = default;
};

// When a file last changed (ctime), ns.
[[nodiscard]] inline std::int64_t changed_ns(const struct stat& status) {
  return status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec;
}

// Where a file lies in a process.
struct MappedFile {
  std::string path;         // through /proc, so that it can be opened from here; empty: it is not there (yet)
  std::uint64_t start = 0;  // of its first page
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
};

// One thread. Bounded: with too many files it begins anew.
template <class T>
class ReadFiles {
 public:
  // read() gives what is in the file. Valid until the next call. `name` is for people: "its NAME was replaced".
  template <class Read>
  const Result<T>& get(const MappedFile& mapped, const std::string& name, Read read) {
    struct stat status{};
    FileId file{mapped.device, mapped.inode, 0};
    if (stat(mapped.path.c_str(), &status) == 0) file.changed = changed_ns(status);
    const auto it = files_.find(file);
    if (it != files_.end()) return it->second;
    if (files_.size() >= kMost) files_.clear();
    Result<T> found = status.st_ino == mapped.inode
                          ? read()
                          : Result<T>(Error{"its " + name + " was replaced since it was started", ESTALE, {}});
    return files_.emplace(file, std::move(found)).first->second;
  }

 private:
  static constexpr std::size_t kMost = 256;
  std::map<FileId, Result<T>> files_;
};

}  // namespace wirespan
