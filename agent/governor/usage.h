// What the agent takes of its host, measured on itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/counters.h"

namespace wirespan {

// Of the time since the sample before.
struct Usage {
  double seconds = 0;
  double cpu_seconds = 0;           // all threads of the agent, its BPF programs, and breakpoints in who is traced
  std::uint64_t memory = 0;         // resident set and kernel maps, bytes
  std::uint64_t exported = 0;       // bytes sent
  std::uint64_t ring_permille = 0;  // of the ring buffer, the fullest it was found
  std::uint64_t lost = 0;           // events that did not fit
  bool window_open = true;
  bool wakeups = false;  // processes are followed by those of threads or tasks, or would be on a higher rung
};

// One thread.
class UsageMeter {
 public:
  explicit UsageMeter(Counters& counters);
  [[nodiscard]] Usage sample();

 private:
  [[nodiscard]] double cpu_now();

  Counters& counters_;
  Counter& records_;
  Counter& counted_;
  Counter& counted_calls_;
  Counter& bpf_ns_;
  Counter& ring_peak_;
  Counter& ring_full_;
  Counter& map_kib_;
  Counter& window_open_;
  Counter& otlp_bytes_;
  Counter& trap_ns_;
  Counter& tokio_;
  Counter& java_ways_;
  Counter& wakes_;
  std::chrono::steady_clock::time_point last_time_;
  double last_cpu_ = 0;
  std::uint64_t last_bytes_ = 0;
  std::uint64_t last_lost_ = 0;
};

}  // namespace wirespan
