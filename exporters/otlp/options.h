// What an OTLP exporter can be told, and the standard environment variables that tell it.
// Source: opentelemetry.io/docs/specs/otel/protocol/exporter.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace wirespan {

enum class OtlpProtocol : std::uint8_t { kGrpc, kHttpProtobuf, kHttpJson };
enum class OtlpCompression : std::uint8_t { kNone, kGzip, kZstd };

struct OtlpOptions {
  // nullopt when unset. Set and empty counts as unset.
  using Lookup = std::function<std::optional<std::string>(std::string_view name)>;

  std::string name = "otlp";  // of its counters, for more than one
  OtlpProtocol protocol = OtlpProtocol::kHttpProtobuf;
  // Where requests go, complete; only scheme, host and port count for gRPC. https means TLS.
  std::string url = "http://localhost:4318/v1/traces";
  std::vector<std::pair<std::string, std::string>> headers;
  OtlpCompression compression = OtlpCompression::kNone;
  std::chrono::milliseconds timeout{10'000};  // of one attempt
  std::string ca_file;                        // PEM; "": the system's
  std::string client_certificate_file;        // PEM; both or none
  std::string client_key_file;

  // A batch is given up when it was refused or unanswered for this long (the Collector's default).
  std::chrono::milliseconds retry_for{300'000};
  std::chrono::milliseconds first_backoff{1'000};
  std::chrono::milliseconds longest_backoff{5'000};
  // Memory for requests that wait for a receiver that is away; past it the oldest are dropped.
  std::size_t backlog_bytes = 4U << 20U;

  // OTEL_EXPORTER_OTLP_[TRACES_]{ENDPOINT,PROTOCOL,HEADERS,COMPRESSION,TIMEOUT,CERTIFICATE,CLIENT_KEY,
  // CLIENT_CERTIFICATE,INSECURE}; the error names the variable and what it may be.
  [[nodiscard]] static Result<OtlpOptions> from_environment(const Lookup& lookup);

  // What the user means by one URL (--otlp): /v1/traces is added to a base, port 4317 means gRPC, as do the schemes
  // grpc and grpcs. Keeps everything else.
  Status point_at(std::string_view endpoint);

  // As OTEL_EXPORTER_OTLP_ENDPOINT (base: gets /v1/traces) and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT (as it is), for the
  // protocol already set. `insecure` decides about TLS for gRPC without a scheme.
  enum class Endpoint : std::uint8_t { kBase, kTraces };
  Status set_endpoint(std::string_view endpoint, Endpoint kind, bool insecure);
  // "key=value,key2=value2", values URL-encoded. Replaces what is there.
  Status set_headers(std::string_view text);
};

[[nodiscard]] Result<OtlpProtocol> parse_otlp_protocol(std::string_view text);        // "grpc", "http/protobuf", ...
[[nodiscard]] Result<OtlpCompression> parse_otlp_compression(std::string_view text);  // "none", "gzip", "zstd"

}  // namespace wirespan
