// How a span's fields read in OTLP, alike in protobuf and JSON.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/span.h"

namespace wirespan {

// Version of the scope "wirespan": the build's.
[[nodiscard]] std::string_view scope_version();

// opentelemetry.proto.trace.v1.Span.SpanKind
constexpr std::uint32_t otlp_kind(const Span& span) {
  return span.role == SpanRole::kServer ? 2 : 3;
}

// opentelemetry.proto.trace.v1.Status.StatusCode
constexpr std::uint32_t otlp_status(const Span& span) {
  switch (span.status) {
    case SpanStatus::kUnset:
      return 0;
    case SpanStatus::kOk:
      return 1;
    case SpanStatus::kError:
      return 2;
  }
  return 0;
}

// Bits 0-7 are the W3C trace flags, 8 says that bit 9 is known, 9 that the parent is in another process (SpanFlags in
// trace.proto): what a server was asked for always is, what a client asks for never.
constexpr std::uint32_t otlp_flags(const Span& span) {
  constexpr std::uint32_t kHasIsRemote = 0x100;
  constexpr std::uint32_t kIsRemote = 0x200;
  std::uint32_t flags = span.trace_flags | kHasIsRemote;
  if (span.role == SpanRole::kServer && span.parent.id.valid()) flags |= kIsRemote;
  return flags;
}

// Receivers refuse a span that ends before it starts.
constexpr WallTime otlp_end(const Span& span) {
  return span.end < span.start ? span.start : span.end;
}

}  // namespace wirespan
