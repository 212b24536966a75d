// Two clocks: the kernel's CLOCK_BOOTTIME on every event, wall time on every span. One offset joins them, read once per
// batch.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>

namespace wirespan {

// Nanoseconds of CLOCK_BOOTTIME.
struct BootTime {
  std::uint64_t ns = 0;
  auto operator<=>(const BootTime&) const = default;
};

// Nanoseconds since the Unix epoch.
struct WallTime {
  std::uint64_t ns = 0;
  auto operator<=>(const WallTime&) const = default;
};

// Signed difference a - b in ns.
inline std::int64_t operator-(BootTime a, BootTime b) {
  return static_cast<std::int64_t>(a.ns - b.ns);
}
inline BootTime operator+(BootTime a, std::int64_t ns) {
  return {a.ns + static_cast<std::uint64_t>(ns)};
}

// Injected, so that a replay reproduces the recorded times. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual BootTime now() const = 0;
  [[nodiscard]] virtual WallTime to_wall(BootTime time) const = 0;
};

// The host's clocks. The offset between them is read anew when it is older than a tenth of a second: often enough for
// steps of wall time, and not once a span.
class SystemClock : public Clock {
 public:
  [[nodiscard]] BootTime now() const override;
  [[nodiscard]] WallTime to_wall(BootTime time) const override;
  // Wall minus boot time, ns, now.
  [[nodiscard]] static std::int64_t offset_ns();

 private:
  mutable std::atomic<std::int64_t> kept_offset_ns_{0};
  mutable std::atomic<std::uint64_t> kept_until_ns_{0};  // boot time
};

// Set by hand: replay and tests.
class ManualClock : public Clock {
 public:
  explicit ManualClock(std::int64_t offset_ns = 0) : offset_ns_(offset_ns) {}
  void set(BootTime now) { now_ = now; }
  void set_offset_ns(std::int64_t offset_ns) { offset_ns_ = offset_ns; }
  [[nodiscard]] BootTime now() const override { return now_; }
  [[nodiscard]] WallTime to_wall(BootTime time) const override {
    return {time.ns + static_cast<std::uint64_t>(offset_ns_)};
  }

 private:
  BootTime now_{};
  std::int64_t offset_ns_;
};

}  // namespace wirespan
