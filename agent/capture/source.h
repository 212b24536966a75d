// Where events come from: a running kernel or a recording.
#pragma once

#include <atomic>

#include "base/clock.h"
#include "base/result.h"
#include "model/event.h"
#include "model/sink.h"

namespace wirespan {

class Source {
 public:
  virtual ~Source() = default;
  // Delivers events on the calling thread until `stop` is set (seen within 20 ms) or the input ends. Call once.
  virtual Status run(Sink<Event>& sink, const std::atomic<bool>& stop) = 0;
  // The clock whose boot times the events carry.
  [[nodiscard]] virtual const Clock& clock() const = 0;
};

}  // namespace wirespan
