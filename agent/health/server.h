// /healthz, /metrics and /services over HTTP, for this host only: a Unix socket, or a port of the loopback interface.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/health/snapshot.h"
#include "base/result.h"

namespace wirespan {

// "unix:/run/wirespan/health.sock", "127.0.0.1:9464", "[::1]:9464".
struct HealthAddress {
  std::string path;  // of a Unix socket; else host and port
  std::string host;
  std::uint16_t port = 0;
};
// Refuses what other hosts could reach.
[[nodiscard]] Result<HealthAddress> parse_health_address(const std::string& text);

class HealthServer {
 public:
  // `ask` is called on the server's thread. A socket file is its owner's only; one nobody listens on any more is
  // replaced.
  [[nodiscard]] static Result<std::unique_ptr<HealthServer>> start(const HealthAddress& address,
                                                                   std::function<HealthSnapshot()> ask);
  ~HealthServer();
  HealthServer(const HealthServer&) = delete;
  HealthServer& operator=(const HealthServer&) = delete;
  // Of the port: chosen by the kernel when 0 was asked for.
  [[nodiscard]] std::uint16_t port() const;

 private:
  struct State;
  explicit HealthServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace wirespan
