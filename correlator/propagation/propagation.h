// A trace context that somebody else put into a message's headers. Pure functions: no state, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/ids.h"
#include "model/message.h"

namespace wirespan {

// W3C Trace Context level 2, 3.2.2.5.
inline constexpr std::uint8_t kFlagSampled = 0x01;
inline constexpr std::uint8_t kFlagRandom = 0x02;

// Both ids are always valid: a header that names no span (B3 "0", an X-Ray root without a parent) is no parent.
struct RemoteContext {
  TraceId trace;
  SpanId span;
  // W3C trace-flags; other formats are translated. Where the caller leaves the decision to sample to us, sampled is
  // set: the span is recorded.
  std::uint8_t flags = 0;
  std::string trace_state;  // one header value, at most 512 characters; only with W3C
  std::string_view format;  // static: "traceparent", "b3", "jaeger", "xray", "grpc_trace_bin"
};

// The first that is valid of: W3C, B3 (single, then multi), Jaeger, X-Ray, grpc-trace-bin. An invalid header counts as
// absent. Names are compared without case.
[[nodiscard]] std::optional<RemoteContext> extract(const CarriedHeaders& headers);

// The name of every header extract() and parse_sw8() look at, in lower case: what a protocol has to carry.
[[nodiscard]] bool is_context_header(std::string_view lower_case_name);

}  // namespace wirespan
