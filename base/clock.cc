#include "base/clock.h"

#include <ctime>

namespace wirespan {
namespace {

std::uint64_t read_clock(clockid_t id) {
  timespec ts{};
  clock_gettime(id, &ts);
  return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(ts.tv_nsec);
}

}  // namespace

BootTime SystemClock::now() const {
  return {read_clock(CLOCK_BOOTTIME)};
}

std::int64_t SystemClock::offset_ns() {
  // Wall time is read between two readings of boot time: the middle of the pair is within their distance of the truth.
  const std::uint64_t before = read_clock(CLOCK_BOOTTIME);
  const std::uint64_t wall = read_clock(CLOCK_REALTIME);
  const std::uint64_t after = read_clock(CLOCK_BOOTTIME);
  return static_cast<std::int64_t>(wall - (before + (after - before) / 2));
}

WallTime SystemClock::to_wall(BootTime time) const {
  return {time.ns + static_cast<std::uint64_t>(offset_ns())};
}

}  // namespace wirespan
