// What an HTTP request or response means, whatever version carried it, in the words of OpenTelemetry's semantic
// conventions for HTTP (stable since 1.23; QUERY and url.template as of 1.38).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/protocols/options.h"
#include "model/message.h"

namespace wirespan::protocols {

// Views into the message as captured; nothing is copied before it is wanted.
struct HttpRequestFacts {
  std::string_view method;     // "" when it was not seen
  std::string_view scheme;     // "http" or "https"
  std::string_view authority;  // host[:port] the request names, userinfo removed; "" if none
  bool credentials = false;    // userinfo was there
  std::string_view path;       // without query; "" for CONNECT, "*" for OPTIONS *
  std::string_view query;      // without '?'
  std::string_view version;    // static: "1.0", "1.1", "2"
  std::string_view user_agent;
  std::string_view forwarded;
  std::string_view x_forwarded_for;
  std::string_view x_forwarded_host;
  std::string_view x_forwarded_proto;
  std::string_view client;  // address of the first client, from a gateway that passes it on beside the fields
};

// "GET" and "/users/42?q=1" taken apart. False if the target has none of RFC 9112 3.2's four forms.
bool split_target(std::string_view target, HttpRequestFacts& facts);

// Field values the user asked for, by name.
class HttpHeaderList {
 public:
  // prefix: "http.request.header." or "http.response.header." ids: fields whose value names a request.
  HttpHeaderList(std::string_view prefix, const std::vector<std::string>& names,
                 const std::vector<std::string>& ids = {});
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  // The attribute's key, "" when the field is not wanted.
  [[nodiscard]] std::string_view key(std::string_view name) const;
  // The name in lower case, lives as long as this; "" when its value names no request.
  [[nodiscard]] std::string_view id(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> entries_;  // name in lower case, key
  std::vector<std::string> ids_;                              // in lower case
};

class HttpSemantics {
 public:
  explicit HttpSemantics(const Options& options);

  // Sets attributes, name and rare values from the request's head. The message's direction says whose span it is.
  void request(Message& message, const HttpRequestFacts& facts) const;
  // Attributes and error flags (conventions, "Status": 5xx for a SERVER, 4xx and 5xx for a CLIENT).
  void response(Message& message, unsigned status) const;

  [[nodiscard]] const HttpHeaderList& request_headers() const { return request_headers_; }
  [[nodiscard]] const HttpHeaderList& response_headers() const { return response_headers_; }

 private:
  [[nodiscard]] bool known(std::string_view method) const;
  void url(Message& message, const HttpRequestFacts& facts, std::string_view scheme, std::string_view host,
           std::uint32_t port) const;
  void append_query(std::string& out, std::string_view query) const;

  HttpHeaderList request_headers_;
  HttpHeaderList response_headers_;
  std::vector<std::string> known_methods_;
  bool query_values_;
  mutable std::string scratch_;  // one thread: the pipeline's
};

// A field that carries an identity: kept raw for the correlator. What stays the same from hop to hop is a rare value
// too.
void add_carried(Message& message, std::string_view name, std::string_view value);

}  // namespace wirespan::protocols
