// Writes whole lines to a file, a pipe or a terminal, and can be cut off while a reader does not read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace wirespan {

// One thread writes; interrupt() from any.
class FdWriter {
 public:
  // Created or emptied; "-" is stdout.
  [[nodiscard]] static Result<FdWriter> open(const std::string& path);
  // Borrows fd, which has to stay open.
  [[nodiscard]] static Result<FdWriter> borrow(int fd);
  FdWriter(FdWriter&& other) noexcept;
  FdWriter& operator=(FdWriter&&) = delete;
  ~FdWriter();

  // All of `lines`, which ends with a newline, or as good as nothing: what a full disk cut off is removed again where
  // the file allows it, and does not run into the next line where not.
  Status write(std::string_view lines);
  // Ends a blocked write, and fails all later ones.
  void interrupt() const;

  [[nodiscard]] int fd() const { return fd_; }

 private:
  FdWriter(int fd, int wake_fd, bool owned, bool regular, bool waits);
  Status put(std::string_view text, std::size_t& written) const;

  int fd_;
  int wake_fd_;  // eventfd
  bool owned_;
  bool regular_;
  bool waits_;  // a write may have to wait for a reader
  bool broken_line_ = false;
};

}  // namespace wirespan
