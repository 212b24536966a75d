#include "correlator/propagation/propagation.h"

#include <algorithm>
#include <array>

#include "correlator/propagation/legacy.h"
#include "correlator/propagation/text.h"
#include "correlator/propagation/w3c.h"

namespace wirespan {
namespace {

// Sorted.
constexpr std::array<std::string_view, 11> kHeaders = {
    "b3",         "grpc-trace-bin", "sw8",         "traceparent", "tracestate", "uber-trace-id", "x-amzn-trace-id",
    "x-b3-flags", "x-b3-sampled",   "x-b3-spanid", "x-b3-traceid"};
static_assert(std::is_sorted(kHeaders.begin(), kHeaders.end()));

using Parser = std::optional<RemoteContext> (*)(std::string_view);

std::optional<RemoteContext> single(const CarriedHeaders& headers, std::string_view name, Parser parse) {
  const auto value = propagation::only_value(headers, name);
  return value ? parse(*value) : std::nullopt;
}

}  // namespace

std::optional<RemoteContext> extract(const CarriedHeaders& headers) {
  if (headers.empty()) return std::nullopt;
  if (auto context = extract_w3c(headers)) return context;
  if (auto context = extract_b3(headers)) return context;
  if (auto context = single(headers, "uber-trace-id", parse_jaeger)) return context;
  if (auto context = single(headers, "x-amzn-trace-id", parse_xray)) return context;
  return single(headers, "grpc-trace-bin", parse_grpc_trace_bin);
}

bool is_context_header(std::string_view lower_case_name) {
  return std::binary_search(kHeaders.begin(), kHeaders.end(), lower_case_name);
}

}  // namespace wirespan
