// What stands behind the queue: one exporter, one thread.
#pragma once

#include <chrono>
#include <cstdint>
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

  // Before the first send: nothing may be lost because there is no room, and whoever makes the spans can be slowed down
  // (a replay). send then returns when its batch is out.
  virtual void wait_rather_than_drop() {}

  // send, idle, flush, holds and taken: one thread, never concurrent. May block: the queue in front may not.
  // An error says that spans are lost; the exporter has counted them by reason. Spans come in the order they ended.
  virtual Status send(std::span<const Span> batch) = 0;

  // Does what is due without new spans; called after every send, and when the time it returned last is over.
  virtual std::chrono::milliseconds idle() { return kNever; }

  // Everything held back is out when it returns; if not (`holds`: the receiver is away), it comes back soon all the
  // same and is called again, as long as somebody waits.
  virtual Status flush() { return {}; }
  // Of what was sent some is neither out nor lost yet. The destructor counts what is left as lost.
  [[nodiscard]] virtual bool holds() const { return false; }
  // Grows whenever the receiver takes some of that.
  [[nodiscard]] virtual std::uint64_t taken() const { return 0; }

  // Any thread, during a blocked send or flush. hurry: do now what was put off (a retry). interrupt: give up, soon, now
  // and in every later call.
  virtual void hurry() {}
  virtual void interrupt() {}
};

}  // namespace wirespan
