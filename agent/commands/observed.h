// The observer observed: what a session says of itself, to /metrics and to `top`.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "agent/health/server.h"
#include "agent/health/service_table.h"
#include "agent/health/snapshot.h"
#include "base/counters.h"
#include "base/result.h"

namespace wirespan {

// Snapshots may be asked for on any thread; beat() is called on the pipeline's, whenever time passes there.
class Observed {
 public:
  Observed(Counters& counters, const ServiceTable& services);

  void beat() { last_beat_.store(now_ms(), std::memory_order_relaxed); }
  [[nodiscard]] HealthSnapshot snapshot() const;
  // Serves it there; "" is nowhere.
  Status serve(const std::string& address);

 private:
  static std::int64_t now_ms();

  Counters& counters_;
  const ServiceTable& services_;
  std::int64_t began_;
  std::atomic<std::int64_t> last_beat_;
  std::unique_ptr<HealthServer> server_;
};

}  // namespace wirespan
