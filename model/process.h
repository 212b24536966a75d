// Who a process is, as enrich worked it out from event::Process. Shared, immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/attributes.h"

namespace wirespan {

// How a runtime schedules work: decides which evidence about threads can be believed.
enum class Runtime : std::uint8_t { kUnknown, kGo, kJvm, kNode, kPython, kRuby, kPhp, kDotnet };

struct ProcessInfo {
  std::uint32_t pid = 0;
  std::string service;  // service.name
  Runtime runtime = Runtime::kUnknown;
  Attributes resource;  // service.*, process.*, host.*, container.*, telemetry.*
};
using ProcessInfoPtr = std::shared_ptr<const ProcessInfo>;

class ProcessDirectory {
 public:
  virtual ~ProcessDirectory() = default;
  // Never null: an unknown process has service "unknown_service" and its pid. Kept some time after its exit.
  [[nodiscard]] virtual ProcessInfoPtr find(std::uint32_t pid) = 0;
};

}  // namespace wirespan
