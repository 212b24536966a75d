#include "agent/protocols/common/http_fields.h"

#include <array>
#include <span>

#include "agent/protocols/common/text.h"

namespace wirespan::protocols {
namespace {

using F = HttpField;

// By length: most fields of a request differ from all of ours in it, or in their first letter.
constexpr HttpFieldName k2[] = {{F::kCarried, "b3"}};
constexpr HttpFieldName k3[] = {{F::kCarried, "sw8"}};
constexpr HttpFieldName k4[] = {{F::kHost, "host"}};
constexpr HttpFieldName k6[] = {{F::kExpect, "expect"}};
constexpr HttpFieldName k7[] = {{F::kUpgrade, "upgrade"}};
constexpr HttpFieldName k9[] = {{F::kForwarded, "forwarded"}};
constexpr HttpFieldName k10[] = {{F::kConnection, "connection"}, {F::kUserAgent, "user-agent"},
                                 {F::kCarried, "tracestate"},    {F::kCarried, "x-b3-flags"},
                                 {F::kCarried, "x-trace-id"},    {F::kCarried, "request-id"}};
constexpr HttpFieldName k11[] = {{F::kCarried, "traceparent"}, {F::kCarried, "x-b3-spanid"}};
constexpr HttpFieldName k12[] = {
    {F::kCarried, "x-b3-traceid"}, {F::kCarried, "x-b3-sampled"}, {F::kCarried, "x-request-id"}};
constexpr HttpFieldName k13[] = {{F::kCarried, "uber-trace-id"}};
constexpr HttpFieldName k14[] = {
    {F::kContentLength, "content-length"}, {F::kCarried, "grpc-trace-bin"}, {F::kCarried, "correlation-id"}};
constexpr HttpFieldName k15[] = {{F::kXForwardedFor, "x-forwarded-for"}, {F::kCarried, "x-amzn-trace-id"}};
constexpr HttpFieldName k16[] = {{F::kXForwardedHost, "x-forwarded-host"}, {F::kCarried, "x-correlation-id"}};
constexpr HttpFieldName k17[] = {{F::kTransferEncoding, "transfer-encoding"},
                                 {F::kXForwardedProto, "x-forwarded-proto"},
                                 {F::kCarried, "x-b3-parentspanid"}};

constexpr std::array<std::span<const HttpFieldName>, 18> kByLength = {
    {{}, {}, k2, k3, k4, {}, k6, k7, {}, k9, k10, k11, k12, k13, k14, k15, k16, k17}};

}  // namespace

HttpFieldName http_field(std::string_view name) {
  if (name.size() >= kByLength.size()) return {};
  for (const HttpFieldName& known : kByLength[name.size()]) {
    if (lower(name.front()) == known.name.front() && equals_lower(name, known.name)) return known;
  }
  return {};
}

}  // namespace wirespan::protocols
