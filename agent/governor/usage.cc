#include "agent/governor/usage.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace wirespan {
namespace {

// What the BPF programs take is known exactly only with kernel.bpf_stats_enabled. Else it is estimated from what they
// told and counted (bench/nginx, docs/cost.md: 2.2 us for a request of two records, 0.4 us for one that is only
// counted).
constexpr double kSecondsPerRecord = 1.1e-6;
constexpr double kSecondsPerCounted = 0.5e-6;

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

UsageMeter::UsageMeter(Counters& counters)
    : counters_(counters),
      records_(counters.get("capture.records")),
      counted_(counters.get("governor.sampled_out.requests")),
      counted_calls_(counters.get("governor.sampled_out.calls")),
      bpf_ns_(counters.get("self.bpf_ns")),
      ring_peak_(counters.get("capture.ring_peak_permille")),
      ring_full_(counters.get("capture.lost.ringbuf_full")),
      map_kib_(counters.get("self.map_kib")),
      window_open_(counters.get("governor.window_open")),
      otlp_bytes_(counters.get("exporters.otlp.bytes.sent")),
      trap_ns_(counters.get("self.trap_ns")),
      tokio_(counters.get("capture.tokio.processes")),
      java_ways_(counters.get("capture.java.looks_that_found_ways")),
      wakes_(counters.get("capture.wakes.processes")),
      last_time_(std::chrono::steady_clock::now()),
      last_cpu_(cpu_now()) {}

double UsageMeter::cpu_now() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double estimated = static_cast<double>(records_.value()) * kSecondsPerRecord +
                           static_cast<double>(counted_.value() + counted_calls_.value()) * kSecondsPerCounted;
  const double measured = static_cast<double>(bpf_ns_.value()) / 1e9;
  // What a breakpoint costs around the program is in neither.
  const double traps = static_cast<double>(trap_ns_.value()) / 1e9;
  return seconds(usage.ru_utime) + seconds(usage.ru_stime) + (measured > 0 ? measured : estimated) + traps;
}

Usage UsageMeter::sample() {
  const auto now = std::chrono::steady_clock::now();
  const double cpu = cpu_now();
  Usage usage;
  usage.seconds = std::chrono::duration<double>(now - last_time_).count();
  // The estimate gives way to the measurement when statistics are switched on.
  usage.cpu_seconds = cpu > last_cpu_ ? cpu - last_cpu_ : 0;
  usage.memory = resident_bytes() + (map_kib_.value() << 10U);
  const std::uint64_t bytes = otlp_bytes_.value();
  usage.exported = bytes - last_bytes_;
  usage.ring_permille = ring_peak_.value();
  ring_peak_.set(0);
  const std::uint64_t lost = ring_full_.value();
  usage.lost = lost - last_lost_;
  usage.window_open = window_open_.value() != 0;
  usage.wakeups = tokio_.value() != 0 || java_ways_.value() != 0 || wakes_.value() != 0;
  last_time_ = now;
  last_cpu_ = cpu;
  last_bytes_ = bytes;
  last_lost_ = lost;
  return usage;
}

}  // namespace wirespan
