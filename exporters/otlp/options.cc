#include "exporters/otlp/options.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <memory>

#include "base/text.h"
#include "exporters/otlp/curl.h"

namespace wirespan {
namespace {

constexpr std::string_view kPrefix = "OTEL_EXPORTER_OTLP_";

struct Setting {
  std::string variable;
  std::string value;
  bool for_traces = false;
};

// The signal's own variable wins over the general one.
std::optional<Setting> find(const OtlpOptions::Lookup& lookup, std::string_view suffix) {
  for (const bool traces : {true, false}) {
    std::string variable = std::string(kPrefix) + (traces ? "TRACES_" : "") + std::string(suffix);
    auto value = lookup(variable);
    if (value && !value->empty()) return Setting{std::move(variable), *std::move(value), traces};
  }
  return std::nullopt;
}

Error in_variable(const Setting& setting, Error error) {
  error.what = setting.variable + ": " + error.what;
  return error;
}

bool is_header_name(std::string_view name) {
  // RFC 9110, 5.6.2: token.
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || kOthers.find(c) != std::string_view::npos;
  });
}

bool is_header_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
  });
}

Error bad_endpoint(std::string_view endpoint) {
  return Error{"'" + std::string(endpoint) + "' is not an OTLP endpoint", 0,
               "Use for example http://localhost:4318 (HTTP) or http://localhost:4317 (gRPC); https for TLS."};
}

}  // namespace

Result<OtlpProtocol> parse_otlp_protocol(std::string_view text) {
  if (text == "grpc") return OtlpProtocol::kGrpc;
  if (text == "http/protobuf") return OtlpProtocol::kHttpProtobuf;
  if (text == "http/json") return OtlpProtocol::kHttpJson;
  return Error{"'" + std::string(text) + "' is not a protocol", 0, "Use grpc, http/protobuf or http/json."};
}

Result<OtlpCompression> parse_otlp_compression(std::string_view text) {
  if (text == "none") return OtlpCompression::kNone;
  if (text == "gzip") return OtlpCompression::kGzip;
  if (text == "zstd") return OtlpCompression::kZstd;
  return Error{"'" + std::string(text) + "' is not a compression", 0, "Use none, gzip or zstd."};
}

Status OtlpOptions::set_endpoint(std::string_view endpoint, Endpoint kind, bool insecure) {
  std::string text(trim(endpoint));
  const bool grpc = protocol == OtlpProtocol::kGrpc;
  if (text.find("://") == std::string::npos) {
    if (!grpc) return bad_endpoint(endpoint);
    text = (insecure ? "http://" : "https://") + text;
  }
  const auto curl = Curl::load();
  if (!curl) return curl.error();
  // A path with "..", a space or a missing host is a mistake to be told, not repaired.
  CurlUrl parsed(**curl, text.c_str(), CURLU_NON_SUPPORT_SCHEME);
  const std::string scheme = parsed.valid() ? parsed.get(CURLUPART_SCHEME) : "";
  if (scheme != "http" && scheme != "https") return bad_endpoint(endpoint);
  if (parsed.get(CURLUPART_HOST).empty()) return bad_endpoint(endpoint);
  if (grpc) {
    parsed.set(CURLUPART_PATH, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    if (parsed.get(CURLUPART_PORT).empty()) parsed.set(CURLUPART_PORT, "4317");
  } else if (kind == Endpoint::kBase) {
    std::string path = parsed.get(CURLUPART_PATH);
    if (path.empty() || path.back() != '/') path.push_back('/');
    parsed.set(CURLUPART_PATH, path + "v1/traces");
  }
  url = parsed.get(CURLUPART_URL);
  return {};
}

Status OtlpOptions::point_at(std::string_view endpoint) {
  std::string text(trim(endpoint));
  const auto starts_with = [&](std::string_view prefix) { return text.compare(0, prefix.size(), prefix) == 0; };
  if (starts_with("grpc://")) {
    protocol = OtlpProtocol::kGrpc;
    text.replace(0, 4, "http");
  } else if (starts_with("grpcs://")) {
    protocol = OtlpProtocol::kGrpc;
    text.replace(0, 5, "https");
  } else if (text.find("://") == std::string::npos) {
    text = "http://" + text;
  }
  const auto curl = Curl::load();
  if (!curl) return curl.error();
  const CurlUrl parsed(**curl, text.c_str(), CURLU_NON_SUPPORT_SCHEME);
  if (!parsed.valid()) return bad_endpoint(endpoint);
  const std::string port = parsed.get(CURLUPART_PORT);
  if (port == "4317") protocol = OtlpProtocol::kGrpc;
  if (port == "4318" && protocol == OtlpProtocol::kGrpc) protocol = OtlpProtocol::kHttpProtobuf;
  constexpr std::string_view kTracesPath = "/v1/traces";
  const std::string path = parsed.get(CURLUPART_PATH);
  const bool complete = path.size() >= kTracesPath.size() && path.ends_with(kTracesPath);
  return set_endpoint(text, complete ? Endpoint::kTraces : Endpoint::kBase, true);
}

Status OtlpOptions::set_headers(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> parsed;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const std::string_view entry = trim(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (entry.empty()) continue;
    const auto equals = entry.find('=');
    const Error bad{"header " + std::to_string(parsed.size() + 1) + " is not key=value", 0,
                    "Separate headers with commas and URL-encode their values: api-key=abc,tenant=a%20b."};
    if (equals == std::string_view::npos) return bad;
    const auto key = percent_decode(trim(entry.substr(0, equals)));
    const auto value = percent_decode(trim(entry.substr(equals + 1)));
    if (!key || !value || !is_header_name(*key) || !is_header_value(*value)) return bad;
    parsed.emplace_back(*key, *value);
  }
  headers = std::move(parsed);
  return {};
}

Result<OtlpOptions> OtlpOptions::from_environment(const Lookup& lookup) {
  OtlpOptions options;
  if (const auto setting = find(lookup, "PROTOCOL")) {
    const auto protocol = parse_otlp_protocol(setting->value);
    if (!protocol) return in_variable(*setting, protocol.error());
    options.protocol = *protocol;
  }

  bool insecure = false;
  if (const auto setting = find(lookup, "INSECURE")) {
    std::string value = setting->value;
    std::transform(value.begin(), value.end(), value.begin(),
                   [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    if (value != "true" && value != "false") {
      return in_variable(*setting, Error{"'" + setting->value + "' is neither true nor false", 0, {}});
    }
    insecure = value == "true";
  }

  const bool grpc = options.protocol == OtlpProtocol::kGrpc;
  const auto endpoint =
      find(lookup, "ENDPOINT").value_or(Setting{"", grpc ? "http://localhost:4317" : "http://localhost:4318", false});
  const Status pointed =
      options.set_endpoint(endpoint.value, endpoint.for_traces ? Endpoint::kTraces : Endpoint::kBase, insecure);
  if (!pointed) return in_variable(endpoint, pointed.error());

  if (const auto setting = find(lookup, "HEADERS")) {
    const Status set = options.set_headers(setting->value);
    if (!set) return in_variable(*setting, set.error());
  }
  if (const auto setting = find(lookup, "COMPRESSION")) {
    const auto compression = parse_otlp_compression(setting->value);
    if (!compression) return in_variable(*setting, compression.error());
    options.compression = *compression;
  }
  if (const auto setting = find(lookup, "TIMEOUT")) {
    std::uint32_t milliseconds = 0;
    const char* end = setting->value.data() + setting->value.size();
    if (std::from_chars(setting->value.data(), end, milliseconds).ptr != end || milliseconds == 0) {
      return in_variable(*setting, Error{"'" + setting->value + "' is not a time", 0, "Use milliseconds, e.g. 10000."});
    }
    options.timeout = std::chrono::milliseconds(milliseconds);
  }
  if (const auto setting = find(lookup, "CERTIFICATE")) options.ca_file = setting->value;
  if (const auto setting = find(lookup, "CLIENT_CERTIFICATE")) options.client_certificate_file = setting->value;
  if (const auto setting = find(lookup, "CLIENT_KEY")) options.client_key_file = setting->value;
  return options;
}

}  // namespace wirespan
