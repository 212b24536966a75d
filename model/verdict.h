// Back from protocols to the kernel: how much of a connection is worth copying.
#pragma once

#include <cstdint>

#include "model/ids.h"

namespace wirespan {

enum class Verdict : std::uint8_t {
  kFirstBytes,  // the first capture_bytes of each turn (default)
  kMore,        // up to 16 KiB of each call: heads did not fit, or requests are pipelined
  kIgnore,      // nothing we speak: count only, no events
};

// Capture implements it; a replay ignores it. Called on the pipeline's thread, cheap.
class VerdictSink {
 public:
  virtual ~VerdictSink() = default;
  virtual void set(ConnId conn, Verdict verdict) = 0;
};

}  // namespace wirespan
