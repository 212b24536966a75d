// What OpenTelemetry's consistent sampling asks of spans of which only a share was captured
// (specification/trace/tracestate-probability-sampling): the threshold `th` below which traces were rejected, and,
// because windows of time decided and not the trace id, an explicit randomness `rv` at or above it.
#pragma once

#include <string>

#include "model/ids.h"

namespace wirespan {

class Sampling {
 public:
  explicit Sampling(double share = 1);
  [[nodiscard]] bool sampled() const { return share_ < 1; }
  [[nodiscard]] double share() const { return share_; }
  // Of a trace that begins here: "ot=th:c;rv:e3a1f0b2c4d5e6".
  [[nodiscard]] std::string trace_state(const TraceId& trace) const;

 private:
  double share_;
  std::uint64_t threshold_;  // of 2^56
  std::string th_;
};

}  // namespace wirespan
