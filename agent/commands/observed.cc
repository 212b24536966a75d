#include "agent/commands/observed.h"

#include "agent/commands/session.h"

namespace wirespan {
namespace {

// Time passes in the pipeline every 50 ms, also when nothing happens.
constexpr std::int64_t kStalledMs = 5000;

}  // namespace

Observed::Observed(Counters& counters, const ServiceTable& services)
    : counters_(counters), services_(services), began_(now_ms()), last_beat_(began_) {}

std::int64_t Observed::now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

HealthSnapshot Observed::snapshot() const {
  measure_self(counters_);
  HealthSnapshot out;
  out.version = WIRESPAN_VERSION;
  out.uptime_s = static_cast<double>(now_ms() - began_) / 1000;
  out.stalled = now_ms() - last_beat_.load(std::memory_order_relaxed) > kStalledMs;
  for (auto& [name, value] : counters_.snapshot()) out.counters.emplace(name, value);
  out.services = services_.snapshot();
  return out;
}

Status Observed::serve(const std::string& address) {
  if (address.empty()) return {};
  const auto parsed = parse_health_address(address);
  if (!parsed) return parsed.error();
  auto server = HealthServer::start(*parsed, [this] { return snapshot(); });
  if (!server) return server.error();
  server_ = std::move(*server);
  return {};
}

}  // namespace wirespan
