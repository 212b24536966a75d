// The fields of an HTTP message, for every version of HTTP and for CGI, which took them over. Pure functions over
// bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/protocols/common/http_fields.h"
#include "agent/protocols/common/http_semantics.h"
#include "model/message.h"

namespace wirespan::protocols {

// Views into the text parsed. Kept by the caller from message to message, so that it allocates nothing.
struct HttpHead {
  HttpRequestFacts facts;                                               // requests
  std::vector<std::pair<std::string_view, std::string_view>> carried;   // lower-case static name, value
  std::vector<std::pair<std::string_view, std::string_view>> captured;  // attribute key, value
};
void clear(HttpHead& head);

// Notes a field as far as it means the same in every version. The answer is for what framing needs of it.
HttpField add_http_field(std::string_view name, std::string_view value, const HttpHeaderList& wanted, HttpHead& head);
// As attributes: the fields the user asked for.
void add_captured(Message& message, const HttpHead& head);

// npos if it is not there.
[[nodiscard]] std::size_t find_byte(std::string_view text, char c, std::size_t from);

// Length of the head with its empty line, looking from `from` on; nullopt when it does not end in `text`. Bare LF ends
// a line as CRLF does (RFC 9112 2.2).
[[nodiscard]] std::optional<std::size_t> head_end(std::string_view text, std::size_t from);

// Field lines one by one, continuation lines (obs-fold, RFC 9112 5.2) joined; what has no name, or no line end, is left
// out.
class HttpFieldLines {
 public:
  explicit HttpFieldLines(std::string_view text) : rest_(text) {}
  bool next();
  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] std::string_view value() const { return value_; }

 private:
  std::string_view rest_;
  std::string_view name_;
  std::string_view value_;
};

}  // namespace wirespan::protocols
