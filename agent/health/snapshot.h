// How the agent and what it traces are doing, as one value: what /services says and `wirespan top` shows.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wirespan {

// Times of 1 us to over an hour in steps of a fifth: two significant digits, 520 bytes.
class LatencyHistogram {
 public:
  static constexpr std::size_t kPerOctave = 4;
  static constexpr std::size_t kSlots = 32 * kPerOctave;
  void add(std::uint64_t ns, std::uint64_t count = 1) { slots_[slot_of(ns)] += count; }
  // Upper end of the slot in which the share lies, ns; 0 when empty.
  [[nodiscard]] std::uint64_t quantile(double share) const;
  [[nodiscard]] std::uint64_t count() const;
  // What was added since `before`.
  [[nodiscard]] LatencyHistogram since(const LatencyHistogram& before) const;
  [[nodiscard]] static std::size_t slot_of(std::uint64_t ns);
  [[nodiscard]] static std::uint64_t upper_ns(std::size_t slot);
  [[nodiscard]] const std::array<std::uint64_t, kSlots>& slots() const { return slots_; }
  std::array<std::uint64_t, kSlots>& slots() { return slots_; }

 private:
  std::array<std::uint64_t, kSlots> slots_{};
};

struct ServiceHealth {
  std::string name;
  std::uint64_t requests = 0;     // SERVER spans
  std::uint64_t errors = 0;       // of them
  std::uint64_t calls = 0;        // CLIENT spans
  std::uint64_t sampled_out = 0;  // requests only counted, by the kernel
  LatencyHistogram latency;       // of requests; sampled-out ones to the first byte of the answer
  std::map<std::string, std::uint64_t, std::less<>> links;  // calls by wirespan.link.method; "" without a parent
};

struct HealthSnapshot {
  std::string version;
  double uptime_s = 0;
  bool stalled = false;  // capture has said nothing for seconds
  std::map<std::string, std::uint64_t, std::less<>> counters;
  std::vector<ServiceHealth> services;  // by name
  [[nodiscard]] std::uint64_t counter(std::string_view name) const;
};

[[nodiscard]] std::string to_json(const HealthSnapshot& snapshot);
[[nodiscard]] Result<HealthSnapshot> health_from_json(std::string_view text);

// OpenMetrics 1.0.
[[nodiscard]] std::string to_openmetrics(const HealthSnapshot& snapshot);

}  // namespace wirespan
