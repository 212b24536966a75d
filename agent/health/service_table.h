// What passes on its way to the exporters, summed up per service.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agent/health/snapshot.h"
#include "model/event.h"
#include "model/sink.h"
#include "model/span.h"

namespace wirespan {

// Spans and counts on one thread; snapshots from any. Bounded: services past the limit are summed up as one.
class ServiceTable : public Sink<Span> {
 public:
  static constexpr std::size_t kMostServices = 1024;
  static constexpr std::string_view kOthers = "(others)";

  explicit ServiceTable(Sink<Span>& next) : next_(next) {}

  void accept(const Span& span) override;
  void take(Span&& span) override;
  // Counted by the kernel for a process of that service.
  void counted(std::string_view service, const event::Counted& counted);
  [[nodiscard]] std::vector<ServiceHealth> snapshot() const;

 private:
  void add(const Span& span);
  ServiceHealth& of(std::string_view service);

  Sink<Span>& next_;
  mutable std::mutex mutex_;
  std::map<std::string, ServiceHealth, std::less<>> services_;
  ServiceHealth* last_ = nullptr;
};

}  // namespace wirespan
