// What stands behind the queue: one exporter, one thread.
#pragma once

#include <chrono>
#include <span>
#include <string_view>

#include "base/result.h"
#include "model/span.h"

namespace wirespan {

class Exporter {
 public:
  static constexpr std::chrono::milliseconds kNever = std::chrono::milliseconds::max();

  virtual ~Exporter() = default;

  // Unique among the exporters of a run; names its thread and its counters "exporters.NAME.*".
  [[nodiscard]] virtual std::string_view name() const = 0;

  // send, idle and flush: one thread, never concurrent. May block: the queue in front may not.
  // An error says that spans are lost; the exporter has counted them by reason. Spans come in the order they ended.
  virtual Status send(std::span<const Span> batch) = 0;

  // Does what is due without new spans; called after every send, and when the time it returned last is over.
  virtual std::chrono::milliseconds idle() { return kNever; }

  // Everything held back is out when it returns.
  virtual Status flush() { return {}; }

  // Any thread, during a blocked send or flush. hurry: do now what was put off (a retry). interrupt: give up, soon, now
  // and in every later call.
  virtual void hurry() {}
  virtual void interrupt() {}
};

}  // namespace wirespan
