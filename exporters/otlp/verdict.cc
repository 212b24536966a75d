#include "exporters/otlp/verdict.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>

#include "exporters/encode/utf8.h"
#include "exporters/otlp/curl.h"
#include "exporters/otlp/proto_reader.h"

namespace wirespan {
namespace {

using What = OtlpVerdict::What;
using std::chrono::milliseconds;

// As good as never; larger numbers would overflow once they are nanoseconds.
constexpr std::uint32_t kWeekSeconds = 7U * 24 * 3600;

// A receiver's words go to a terminal: short, one line, no control characters.
std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 200;
  std::string scratch;
  std::string out(as_utf8(text.substr(0, kMost), scratch));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return out;
}

// ExportTraceServiceResponse.partial_success
void read_partial_success(std::string_view response, OtlpVerdict& verdict) {
  ProtoReader fields(response);
  while (const auto field = fields.next()) {
    if (field->number != 1) continue;
    ProtoReader partial(field->bytes);
    while (const auto inner = partial.next()) {
      if (inner->number == 1) verdict.rejected_spans = inner->value;
      if (inner->number == 2) verdict.why = printable(inner->bytes);
    }
  }
}

// proto3's JSON mapping has an int64 as a string, and readers take a number too.
std::uint64_t json_integer(const nlohmann::json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  std::uint64_t number = 0;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    std::from_chars(text.data(), text.data() + text.size(), number);
  }
  return number;
}

// What the receiver nests is not our stack's problem: the parser below recurses, so a deep answer is not parsed.
nlohmann::json parse_json(std::string_view text) {
  constexpr std::size_t kMostBrackets = 64;
  if (static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return c == '{' || c == '['; })) >
      kMostBrackets) {
    return nlohmann::json::value_t::discarded;
  }
  return nlohmann::json::parse(text, nullptr, false);
}

void read_partial_success_json(std::string_view response, OtlpVerdict& verdict) {
  const auto json = parse_json(response);
  if (!json.is_object()) return;
  const auto partial = json.find("partialSuccess");
  if (partial == json.end() || !partial->is_object()) return;
  if (const auto rejected = partial->find("rejectedSpans"); rejected != partial->end()) {
    verdict.rejected_spans = json_integer(*rejected);
  }
  if (const auto message = partial->find("errorMessage"); message != partial->end() && message->is_string()) {
    verdict.why = printable(message->get_ref<const std::string&>());
  }
}

// The message of google.rpc.Status.
std::string error_message(const HttpReply& reply) {
  const std::string_view type = reply.header("content-type");
  if (type.find("json") != std::string_view::npos) {
    const auto json = parse_json(reply.body);
    if (json.is_object()) {
      if (const auto message = json.find("message"); message != json.end() && message->is_string()) {
        return printable(message->get_ref<const std::string&>());
      }
    }
  } else if (type.find("protobuf") != std::string_view::npos) {
    ProtoReader status(reply.body);
    while (const auto field = status.next()) {
      if (field->number == 2) return printable(field->bytes);
    }
    return {};
  }
  return printable(reply.body);
}

std::optional<milliseconds> retry_after(std::string_view value, std::time_t now) {
  if (value.empty()) return std::nullopt;
  std::uint32_t seconds = 0;
  const char* end = value.data() + value.size();
  if (std::from_chars(value.data(), end, seconds).ptr == end) {
    return std::chrono::seconds(std::min(seconds, kWeekSeconds));
  }
  const auto curl = Curl::load();
  const std::time_t date = curl ? (*curl)->getdate(std::string(value).c_str(), nullptr) : -1;
  if (date < 0) return std::nullopt;
  return std::chrono::seconds(std::clamp<std::time_t>(date - now, 0, kWeekSeconds));
}

std::string http_hint(long status, OtlpProtocol protocol) {
  switch (status) {
    case 400:
      return "The receiver could not read the request; its log says why.";
    case 401:
    case 403:
      return "Check the credentials in OTEL_EXPORTER_OTLP_HEADERS.";
    case 404:
    case 405:
      return "The path has to be the receiver's, usually /v1/traces: check OTEL_EXPORTER_OTLP_ENDPOINT.";
    case 413:
      return "Make batches smaller or raise the receiver's limit.";
    case 415:
      return protocol == OtlpProtocol::kHttpJson ? "It takes no JSON: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf."
                                                 : "Check OTEL_EXPORTER_OTLP_PROTOCOL and _COMPRESSION.";
    default:
      return {};
  }
}

enum Grpc : unsigned {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kDeadlineExceeded = 4,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

std::string_view grpc_name(unsigned code) {
  static constexpr std::array<std::string_view, 17> kNames = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return code < kNames.size() ? kNames[code] : "an unknown status";
}

bool grpc_retryable(unsigned code) {
  switch (code) {
    case kCancelled:
    case kDeadlineExceeded:
    case kAborted:
    case kOutOfRange:
    case kUnavailable:
    case kDataLoss:
      return true;
    default:
      return false;
  }
}

// http-grpc-status-mapping.md: what a proxy answered in the receiver's place.
unsigned grpc_of_http(long status) {
  switch (status) {
    case 400:
      return kInternal;
    case 401:
      return kUnauthenticated;
    case 403:
      return kPermissionDenied;
    case 404:
      return kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return kUnavailable;
    default:
      return kUnknown;
  }
}

// grpc-message is percent-encoded.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
      out.push_back(static_cast<char>(value));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// RFC 4648, padded or not; stops at what is neither.
std::string base64_decoded(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    static constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const auto digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6U | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>(bits >> count & 0xFFU));
  }
  return out;
}

// google.rpc.Status.details[] (Any) of type google.rpc.RetryInfo: retry_delay (Duration).
std::optional<milliseconds> retry_info(std::string_view status_message) {
  ProtoReader status(status_message);
  while (const auto detail = status.next()) {
    if (detail->number != 3) continue;
    std::string_view type;
    std::string_view value;
    ProtoReader any(detail->bytes);
    while (const auto field = any.next()) {
      if (field->number == 1) type = field->bytes;
      if (field->number == 2) value = field->bytes;
    }
    if (!type.ends_with("/google.rpc.RetryInfo")) continue;
    milliseconds delay{0};
    ProtoReader info(value);
    while (const auto field = info.next()) {
      if (field->number != 1) continue;
      ProtoReader duration(field->bytes);
      while (const auto part = duration.next()) {
        // Negative ones read as huge: both parts count only when they are what a sane receiver says.
        if (part->number == 1) delay += std::chrono::seconds(part->value > kWeekSeconds ? 0 : part->value);
        if (part->number == 2) delay += milliseconds((part->value > 999'999'999U ? 0 : part->value) / 1'000'000U);
      }
    }
    return delay;
  }
  return std::nullopt;
}

std::string grpc_hint(unsigned code) {
  switch (code) {
    case kPermissionDenied:
    case kUnauthenticated:
      return "Check the credentials in OTEL_EXPORTER_OTLP_HEADERS.";
    case kResourceExhausted:
      return "Make batches smaller or raise the receiver's limit.";
    case kUnimplemented:
      return "Is that an OTLP receiver that takes traces? Check OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL and "
             "_COMPRESSION.";
    default:
      return {};
  }
}

}  // namespace

OtlpVerdict judge_http(const HttpReply& reply, OtlpProtocol protocol, std::time_t now) {
  OtlpVerdict verdict;
  if (reply.status >= 200 && reply.status < 300) {
    verdict.what = What::kAccepted;
    if (reply.header("content-type").find("json") != std::string_view::npos) {
      read_partial_success_json(reply.body, verdict);
    } else {
      read_partial_success(reply.body, verdict);
    }
    return verdict;
  }
  verdict.why = "HTTP " + std::to_string(reply.status);
  if (const std::string message = error_message(reply); !message.empty()) verdict.why += ": " + message;
  if (reply.status == 429 || reply.status == 502 || reply.status == 503 || reply.status == 504) {
    verdict.what = What::kRetry;
    verdict.wait = retry_after(reply.header("retry-after"), now);
  } else {
    verdict.hint = http_hint(reply.status, protocol);
  }
  return verdict;
}

OtlpVerdict judge_grpc(const HttpReply& reply) {
  OtlpVerdict verdict;
  const std::string_view given = reply.header("grpc-status");
  unsigned code = kUnknown;
  if (std::from_chars(given.data(), given.data() + given.size(), code).ec != std::errc()) {
    code = grpc_of_http(reply.status);
    verdict.why = "HTTP " + std::to_string(reply.status) + " without a gRPC status";
    verdict.hint = "Is that a gRPC endpoint? For HTTP set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf.";
  } else if (code == kOk) {
    verdict.what = What::kAccepted;
    // One message: a flag byte (we asked for no compression), a big-endian length, the response.
    constexpr std::size_t kPrefix = 5;
    if (reply.body.size() > kPrefix && reply.body.front() == 0) {
      read_partial_success(std::string_view(reply.body).substr(kPrefix), verdict);
    }
    return verdict;
  } else {
    verdict.why = grpc_name(code);
    const std::string message = printable(percent_decoded(reply.header("grpc-message")));
    if (!message.empty()) verdict.why += ": " + message;
    verdict.hint = grpc_hint(code);
  }
  const auto wait = retry_info(base64_decoded(reply.header("grpc-status-details-bin")));
  // RESOURCE_EXHAUSTED is retryable only if the receiver says that it will recover.
  if (grpc_retryable(code) || (code == kResourceExhausted && wait)) {
    verdict.what = What::kRetry;
    verdict.wait = wait;
  }
  return verdict;
}

}  // namespace wirespan
