#include "correlator/propagation/legacy.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "correlator/propagation/text.h"

namespace wirespan {
namespace {

using propagation::cut;
using propagation::equal_ignoring_case;
using propagation::loose_span_id;
using propagation::loose_trace_id;
using propagation::only_value;
using propagation::trim_ows;

constexpr std::string_view kB3 = "b3";
constexpr std::string_view kJaeger = "jaeger";
constexpr std::string_view kXray = "xray";
constexpr std::string_view kGrpc = "grpc_trace_bin";

// B3 trace ids are 16 or 32 digits, span ids 16: anything else is not B3.
std::optional<RemoteContext> b3_ids(std::string_view trace, std::string_view span) {
  if ((trace.size() != 16 && trace.size() != 32) || span.size() != 16) return std::nullopt;
  const auto trace_id = loose_trace_id(trace);
  const auto span_id = loose_span_id(span);
  if (!trace_id || !span_id) return std::nullopt;
  return RemoteContext{*trace_id, *span_id, kFlagSampled, {}, kB3};
}

bool sampled(const RemoteContext& context) {
  return (context.flags & kFlagSampled) != 0;
}

std::optional<RemoteContext> b3_multi(const CarriedHeaders& headers) {
  const auto trace = only_value(headers, "x-b3-traceid");
  const auto span = only_value(headers, "x-b3-spanid");
  if (!trace || !span) return std::nullopt;
  auto context = b3_ids(*trace, *span);
  if (!context) return std::nullopt;
  const auto decision = only_value(headers, "x-b3-sampled");
  const bool debug = only_value(headers, "x-b3-flags") == "1";
  // "false" is from before the format was written down; debug implies sampled.
  const bool refused = decision && (*decision == "0" || equal_ignoring_case(*decision, "false"));
  context->flags = !debug && refused ? 0 : kFlagSampled;
  return context;
}

// The whole value may have been percent-encoded: only colons matter, the rest is hex.
std::string decode_colons(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '%' && equal_ignoring_case(value.substr(i, 3), "%3a")) {
      out.push_back(':');
      i += 2;
    } else {
      out.push_back(value[i]);
    }
  }
  return out;
}

std::optional<TraceId> xray_root(std::string_view root) {
  if (root.size() != 35 || root.substr(0, 2) != "1-" || root[10] != '-') return std::nullopt;
  return loose_trace_id(std::string(root.substr(2, 8)) + std::string(root.substr(11)));
}

template <std::size_t N>
bool read_id(Reader& in, std::uint8_t field, std::array<std::uint8_t, N>& out) {
  if (in.u8() != field) return false;
  const auto bytes = in.take(N);
  if (!bytes) return false;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return true;
}

}  // namespace

std::optional<RemoteContext> parse_b3_single(std::string_view value) {
  value = trim_ows(value);
  const std::string_view trace = cut(value, '-');
  const std::string_view span = cut(value, '-');
  auto context = b3_ids(trace, span);
  if (!context || value.empty()) return context;
  const std::string_view state = cut(value, '-');
  if (state == "0") {
    context->flags = 0;
  } else if (state != "1" && state != "d") {
    return std::nullopt;
  }
  // A parent id may follow; ours is its child's, so only its form counts.
  if (!value.empty() && (value.size() != 16 || !loose_span_id(value))) return std::nullopt;
  return context;
}

std::optional<RemoteContext> extract_b3(const CarriedHeaders& headers) {
  if (const auto single = only_value(headers, "b3")) {
    if (auto context = parse_b3_single(*single)) return context;
  }
  return b3_multi(headers);
}

std::string to_b3_single(const RemoteContext& context) {
  return context.trace.hex() + "-" + context.span.hex() + (sampled(context) ? "-1" : "-0");
}

std::optional<RemoteContext> parse_jaeger(std::string_view value) {
  value = trim_ows(value);
  // Longest: 32 + 16 + 16 + 2 digits and three encoded colons.
  if (value.size() > 80) return std::nullopt;
  const std::string decoded = decode_colons(value);
  if (std::count(decoded.begin(), decoded.end(), ':') != 3) return std::nullopt;
  std::string_view rest = decoded;
  const auto trace = loose_trace_id(cut(rest, ':'));
  const auto span = loose_span_id(cut(rest, ':'));
  const std::string_view parent = cut(rest, ':');
  const bool root = !parent.empty() && parent.find_first_not_of('0') == std::string_view::npos && parent.size() <= 16;
  if (!trace || !span || (!root && !loose_span_id(parent))) return std::nullopt;
  const bool none = rest.find_first_not_of('0') == std::string_view::npos;
  const auto flags = loose_span_id(rest);
  if (rest.empty() || rest.size() > 2 || (!none && !flags)) return std::nullopt;
  // Bit 0 sampled, bit 1 debug, which implies it.
  const bool keep = !none && (flags->to_u64() & 3U) != 0;
  return RemoteContext{*trace, *span, keep ? kFlagSampled : std::uint8_t{0}, {}, kJaeger};
}

std::string to_jaeger(const RemoteContext& context) {
  return context.trace.hex() + ":" + context.span.hex() + ":0:" + (sampled(context) ? "1" : "0");
}

std::optional<RemoteContext> parse_xray(std::string_view value) {
  std::optional<TraceId> trace;
  std::optional<SpanId> span;
  std::uint8_t flags = kFlagSampled;
  while (!value.empty()) {
    std::string_view field = trim_ows(cut(value, ';'));
    const std::string_view key = trim_ows(cut(field, '='));
    field = trim_ows(field);
    if (equal_ignoring_case(key, "root")) {
      trace = xray_root(field);
    } else if (equal_ignoring_case(key, "parent")) {
      span = field.size() == 16 ? loose_span_id(field) : std::nullopt;
    } else if (equal_ignoring_case(key, "sampled") && field == "0") {
      flags = 0;
    }
  }
  if (!trace || !span) return std::nullopt;
  return RemoteContext{*trace, *span, flags, {}, kXray};
}

std::string to_xray(const RemoteContext& context) {
  const std::string trace = context.trace.hex();
  return "Root=1-" + trace.substr(0, 8) + "-" + trace.substr(8) + ";Parent=" + context.span.hex() +
         (sampled(context) ? ";Sampled=1" : ";Sampled=0");
}

std::optional<RemoteContext> parse_grpc_trace_bin(std::string_view value) {
  const auto bytes = propagation::decode_base64(trim_ows(value), 64);
  if (!bytes) return std::nullopt;
  Reader in(*bytes);
  RemoteContext context;
  if (in.u8() != 0 || !read_id(in, 0, context.trace.bytes) || !read_id(in, 1, context.span.bytes)) return std::nullopt;
  if (in.u8() == 2) context.flags = in.u8().value_or(0) & kFlagSampled;
  if (!context.trace.valid() || !context.span.valid()) return std::nullopt;
  context.format = kGrpc;
  return context;
}

std::string to_grpc_trace_bin(const RemoteContext& context) {
  std::string bytes(2, '\0');
  bytes.append(context.trace.bytes.begin(), context.trace.bytes.end());
  bytes.push_back(1);
  bytes.append(context.span.bytes.begin(), context.span.bytes.end());
  bytes.push_back(2);
  bytes.push_back(static_cast<char>(context.flags & kFlagSampled));
  return propagation::encode_base64(bytes);
}

}  // namespace wirespan
