// Any headers: no crash, and a context that comes out is valid and survives being written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/bytes.h"
#include "correlator/propagation/legacy.h"
#include "correlator/propagation/propagation.h"
#include "correlator/propagation/sw8.h"
#include "correlator/propagation/w3c.h"

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

// Lines "name: value"; the first character of a line may also pick a known name, which fuzzers find faster.
wirespan::CarriedHeaders headers_of(std::string_view text) {
  static constexpr std::string_view kNames[] = {"traceparent",     "tracestate",     "b3",           "uber-trace-id",
                                                "x-amzn-trace-id", "grpc-trace-bin", "x-b3-traceid", "x-b3-spanid",
                                                "x-b3-sampled",    "x-b3-flags"};
  wirespan::CarriedHeaders out;
  while (!text.empty() && out.size() < 64) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty()) continue;
    const auto pick = static_cast<std::size_t>(static_cast<unsigned char>(line[0]) - '0');
    if (pick < std::size(kNames)) {
      out.emplace_back(kNames[pick], line.substr(1));
    } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
      out.emplace_back(line.substr(0, colon), line.substr(colon + 1));
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wirespan;
  const std::string_view text = as_text({data, size});
  if (const auto sw8 = parse_sw8(text)) require(parse_sw8(to_sw8(*sw8)).has_value());
  const auto context = extract(headers_of(text));
  if (!context) return 0;
  require(context->trace.valid() && context->span.valid() && !context->format.empty());
  require(context->trace_state.size() <= 512);
  require((context->flags & ~(kFlagSampled | kFlagRandom)) == 0);
  const auto again = extract({{"traceparent", to_traceparent(*context)}, {"tracestate", context->trace_state}});
  require(again && again->trace == context->trace && again->span == context->span);
  require(again->flags == context->flags && again->trace_state == context->trace_state);
  for (const auto& other : {parse_b3_single(to_b3_single(*context)), parse_jaeger(to_jaeger(*context)),
                            parse_xray(to_xray(*context)), parse_grpc_trace_bin(to_grpc_trace_bin(*context))}) {
    require(other && other->trace == context->trace && other->span == context->span);
  }
  return 0;
}
