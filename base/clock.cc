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
  // Events are at most some milliseconds old: their own time tells the age of the offset without another look at a
  // clock.
  constexpr std::uint64_t kKeepNs = 100'000'000;
  if (time.ns >= kept_until_ns_.load(std::memory_order_relaxed)) {
    kept_offset_ns_.store(offset_ns(), std::memory_order_relaxed);
    kept_until_ns_.store(time.ns + kKeepNs, std::memory_order_relaxed);
  }
  return {time.ns + static_cast<std::uint64_t>(kept_offset_ns_.load(std::memory_order_relaxed))};
}

}  // namespace wirespan
