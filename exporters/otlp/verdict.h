// What a receiver's answer means. Pure: no I/O, no clock but the one passed in.
// Sources: opentelemetry.io/docs/specs/otlp (OTLP/gRPC Response, OTLP/HTTP Response), gRPC over HTTP/2
// (grpc/doc/PROTOCOL-HTTP2.md, http-grpc-status-mapping.md), RFC 9110 10.2.3 (Retry-After).
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>

#include "exporters/otlp/http_client.h"
#include "exporters/otlp/options.h"

namespace wirespan {

struct OtlpVerdict {
  enum class What : std::uint8_t { kAccepted, kRetry, kRefused } what = What::kRefused;
  // kAccepted: spans the receiver did not take; sending them again would not help.
  std::uint64_t rejected_spans = 0;
  // kRetry: the receiver's own wish, which replaces our backoff.
  std::optional<std::chrono::milliseconds> wait;
  std::string why;   // the receiver's words where it said any; "" when all is well
  std::string hint;  // what the operator can do
};

// `now` is Unix time, for a Retry-After that is a date.
[[nodiscard]] OtlpVerdict judge_http(const HttpReply& reply, OtlpProtocol protocol, std::time_t now);
[[nodiscard]] OtlpVerdict judge_grpc(const HttpReply& reply);

}  // namespace wirespan
