#include "agent/capture/trace_events.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "agent/capture/detached_mount.h"

namespace wirespan {
namespace {

// On all CPUs. -1: errno says why.
int open_event(std::uint32_t type, std::uint64_t config) {
  perf_event_attr attributes{};
  attributes.type = type;
  attributes.size = sizeof(attributes);
  attributes.config = config;
  // The CPU is asked for and means nothing: a tracepoint's programs run wherever it is passed.
  return static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

// 0: it says nothing. Errors in errno.
std::uint32_t number_in(int directory, const std::string& path) {
  const int file = openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::array<char, 16> text{};
  const ssize_t size = read(file, text.data(), text.size());
  close(file);
  std::uint32_t number = 0;
  if (size > 0) std::from_chars(text.data(), text.data() + size, number);
  return number;
}

}  // namespace

Result<std::uint32_t> trace_event_number(const std::string& event) {
  const std::string id = "events/" + event + "/id";
  for (const char* mounted : {"/sys/kernel/tracing/", "/sys/kernel/debug/tracing/"}) {
    if (const std::uint32_t number = number_in(AT_FDCWD, mounted + id); number != 0) return number;
  }
  const int failed = errno;
  if (const int mount = detached_mount("tracefs"); mount >= 0) {
    const std::uint32_t number = number_in(mount, id);
    close(mount);
    if (number != 0) return number;
  }
  return Error{"look up the trace event " + event, failed, "Mount tracefs on /sys/kernel/tracing, readable for it."};
}

Status may_open_trace_events() {
  // One that counts nothing: opening a trace event turns it on, and closing it waits for a grace period.
  const int fd = open_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_DUMMY);
  if (fd < 0) {
    return Error{"open an event of perf", errno,
                 "Set kernel.perf_event_paranoid to 2 or less, or give it CAP_SYS_ADMIN."};
  }
  close(fd);
  return {};
}

Result<int> open_trace_event(std::uint32_t number) {
  const int fd = open_event(PERF_TYPE_TRACEPOINT, number);
  if (fd < 0) return errno_error("open the trace event");
  return fd;
}

}  // namespace wirespan
