// HTTP fields that mean something to the agent, for every version of HTTP.
#pragma once

#include <cstdint>
#include <string_view>

namespace wirespan::protocols {

enum class HttpField : std::uint8_t {
  kOther,
  kHost,
  kConnection,
  kContentLength,
  kTransferEncoding,
  kUpgrade,
  kExpect,
  kUserAgent,
  kForwarded,      // RFC 7239
  kXForwardedFor,  // de facto, before RFC 7239
  kXForwardedHost,
  kXForwardedProto,
  kCarried,  // an identity given by somebody else: trace context and its ancestors, request ids
};

struct HttpFieldName {
  HttpField field = HttpField::kOther;
  std::string_view name;  // lower case, static storage; "" for kOther
};

[[nodiscard]] HttpFieldName http_field(std::string_view name);

}  // namespace wirespan::protocols
