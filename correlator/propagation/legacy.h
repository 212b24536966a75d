// The formats that came before W3C Trace Context and are still sent. Each parser takes what is on the wire and gives
// nullopt for anything that does not name a trace and a span.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "correlator/propagation/propagation.h"

namespace wirespan {

// https://github.com/openzipkin/b3-propagation: one header "b3: trace-span-state-parent", or several "x-b3-*". The
// single header wins. Trace ids of 64 bits are filled up with zeros on the left.
[[nodiscard]] std::optional<RemoteContext> extract_b3(const CarriedHeaders& headers);
[[nodiscard]] std::optional<RemoteContext> parse_b3_single(std::string_view value);
[[nodiscard]] std::string to_b3_single(const RemoteContext& context);

// uber-trace-id: "trace:span:parent:flags", also with the colons percent-encoded (Jaeger clients, "Propagation
// format").
[[nodiscard]] std::optional<RemoteContext> parse_jaeger(std::string_view value);
[[nodiscard]] std::string to_jaeger(const RemoteContext& context);

// X-Amzn-Trace-Id: "Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=1", fields in any order, others ignored.
[[nodiscard]] std::optional<RemoteContext> parse_xray(std::string_view value);
[[nodiscard]] std::string to_xray(const RemoteContext& context);

// grpc-trace-bin: base64 of OpenCensus' BinaryEncoding version 0 (version, then fields 0 trace, 1 span, 2 options).
[[nodiscard]] std::optional<RemoteContext> parse_grpc_trace_bin(std::string_view value);
[[nodiscard]] std::string to_grpc_trace_bin(const RemoteContext& context);

}  // namespace wirespan
