#include "exporters/output/fd_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace wirespan {

Result<FdWriter> FdWriter::open(const std::string& path) {
  if (path == "-") return borrow(STDOUT_FILENO);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error("open " + path);
  auto writer = borrow(fd);
  if (!writer) {
    ::close(fd);
    return writer;
  }
  writer->owned_ = true;
  return writer;
}

Result<FdWriter> FdWriter::borrow(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return errno_error("write to file descriptor " + std::to_string(fd));
  const int wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return errno_error("eventfd");
  // Of the devices only terminals make one wait; /dev/null does not.
  const bool waits = !S_ISREG(status.st_mode) && !(S_ISCHR(status.st_mode) && ::isatty(fd) == 0);
  return FdWriter(fd, wake_fd, false, S_ISREG(status.st_mode), waits);
}

FdWriter::FdWriter(int fd, int wake_fd, bool owned, bool regular, bool waits)
    : fd_(fd), wake_fd_(wake_fd), owned_(owned), regular_(regular), waits_(waits) {}

FdWriter::FdWriter(FdWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      wake_fd_(std::exchange(other.wake_fd_, -1)),
      owned_(std::exchange(other.owned_, false)),
      regular_(other.regular_),
      waits_(other.waits_),
      broken_line_(other.broken_line_) {}

FdWriter::~FdWriter() {
  if (owned_) ::close(fd_);
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

Status FdWriter::write(std::string_view lines) {
  struct stat before{};
  if (regular_ && ::fstat(fd_, &before) != 0) return errno_error("write");
  std::size_t written = 0;
  if (broken_line_) {
    if (Status ended = put("\n", written); !ended) return ended;
    broken_line_ = false;
    written = 0;
  }
  Status status = put(lines, written);
  if (status) return status;
  // A line of our own file may be taken back; one of somebody's redirected stdout is not ours alone.
  const bool taken_back = regular_ && owned_ && ::ftruncate(fd_, before.st_size) == 0 &&
                          ::lseek(fd_, before.st_size, SEEK_SET) == before.st_size;
  broken_line_ = written != 0 && !taken_back;
  return status;
}

Status FdWriter::put(std::string_view text, std::size_t& written) const {
  while (written < text.size()) {
    std::string_view piece = text.substr(written);
    if (waits_) {
      std::array<pollfd, 2> polled{{{fd_, POLLOUT, 0}, {wake_fd_, POLLIN, 0}}};
      if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return errno_error("poll");
      if (polled[1].revents != 0) return Error{"write: given up, nobody reads", 0, {}};
      if (polled[0].revents == 0) continue;
      // A pipe that polls writable takes PIPE_BUF bytes without blocking (pipe(7)).
      piece = piece.substr(0, PIPE_BUF);
    }
    const ssize_t count = ::write(fd_, piece.data(), piece.size());
    if (count >= 0) {
      written += static_cast<std::size_t>(count);
    } else if (errno != EINTR && errno != EAGAIN) {
      return errno_error("write");
    }
  }
  return {};
}

void FdWriter::interrupt() const {
  const std::uint64_t one = 1;
  // Fails only when it is already set.
  [[maybe_unused]] const ssize_t count = ::write(wake_fd_, &one, sizeof one);
}

}  // namespace wirespan
