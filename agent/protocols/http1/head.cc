#include "agent/protocols/http1/head.h"

#include <algorithm>
#include <array>

#include "agent/protocols/common/text.h"

namespace wirespan::http1 {
namespace {

using protocols::equals_lower;
using protocols::find_byte;
using protocols::HttpField;
using protocols::is_digit;
using protocols::is_token_char;
using protocols::trim;

// Longer ones exist in no registry (the longest, BASELINE-CONTROL, has 16).
constexpr std::size_t kMaxMethod = 32;
constexpr std::string_view kVersion = "HTTP/1.";

constexpr std::array<std::string_view, 15> kMethods = {"GET",      "POST",   "PUT",   "DELETE", "HEAD",
                                                       "OPTIONS",  "PATCH",  "TRACE", "QUERY",  "CONNECT",
                                                       "PROPFIND", "REPORT", "MKCOL", "MOVE",   "COPY"};

constexpr std::array<bool, 256> token_table() {
  std::array<bool, 256> table{};
  for (unsigned c = 0; c < 128; ++c) table[c] = is_token_char(static_cast<char>(c));
  return table;
}
constexpr std::array<bool, 256> kToken = token_table();

bool in_token(char c) {
  return kToken[static_cast<unsigned char>(c)];
}

StartLine response_line(std::string_view text) {
  // "HTTP/1.1 200 OK": status-line = HTTP-version SP status-code SP [ reason-phrase ]; the last SP is often left out.
  constexpr std::size_t kStatusAt = 9;
  constexpr std::size_t kStatusEnd = 12;
  if (text.size() > 7 && !is_digit(text[7])) return StartLine::kNone;
  if (text.size() > 8 && text[8] != ' ') return StartLine::kNone;
  for (std::size_t i = kStatusAt; i < std::min(text.size(), kStatusEnd); ++i) {
    if (!is_digit(text[i])) return StartLine::kNone;
  }
  if (text.size() <= kStatusEnd) return StartLine::kPartial;
  const char after = text[kStatusEnd];
  const bool right =
      (after == ' ' || after == '\r' || after == '\n') && text[kStatusAt] >= '1' && text[kStatusAt] <= '9';
  return right ? StartLine::kResponse : StartLine::kNone;
}

StartLine request_line(std::string_view text) {
  std::size_t method = 0;
  while (method < text.size() && method <= kMaxMethod && in_token(text[method])) ++method;
  if (method == 0 || method > kMaxMethod) return StartLine::kNone;
  if (method == text.size()) return StartLine::kPartial;
  if (text[method] != ' ') return StartLine::kNone;

  const std::size_t line_end = find_byte(text, '\n', method);
  std::string_view rest =
      text.substr(method + 1, line_end == std::string_view::npos ? line_end : line_end - method - 1);
  const bool controls = std::any_of(rest.begin(), rest.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 && c != '\r' && c != '\t';
  });
  if (controls) return StartLine::kNone;
  if (line_end == std::string_view::npos) {
    const bool known = known_method(text);
    if (rest.empty()) return StartLine::kPartial;
    const char first = rest.front();
    const bool form = first == '/' || first == '*' || protocols::is_alpha(first) || is_digit(first) || first == '[';
    if (!form) return StartLine::kNone;
    return known && rest.find(' ') == std::string_view::npos ? StartLine::kPartialRequest : StartLine::kPartial;
  }
  if (!rest.empty() && rest.back() == '\r') rest.remove_suffix(1);
  const std::size_t space = rest.rfind(' ');
  if (space == std::string_view::npos || space == 0) return StartLine::kNone;
  const std::string_view version = rest.substr(space + 1);
  const bool right = version.size() == kVersion.size() + 1 && version.starts_with(kVersion) && is_digit(version.back());
  return right ? StartLine::kRequest : StartLine::kNone;
}

// RFC 9110 8.6 and RFC 9112 6.3, rule 5: a list of the same number counts as that number.
void add_length(std::string_view value, Head& head) {
  if (trim(value).empty()) head.bad_length = true;
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view item = trim(value.substr(0, comma));
    value.remove_prefix(std::min(comma + 1, value.size()));
    std::uint64_t number = 0;
    bool good = !item.empty();
    for (const char c : item) {
      // 2^62: positions stay within 64 bits however often they are added.
      good = good && is_digit(c) && number < (std::uint64_t{1} << 62U) / 10;
      if (!good) break;
      number = number * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (!good || (head.content_length && *head.content_length != number)) {
      head.bad_length = true;
      return;
    }
    head.content_length = number;
  }
}

// The final coding decides (RFC 9112 6.1); several fields are one list.
void add_coding(std::string_view value, Head& head) {
  head.transfer_encoding = true;
  const std::size_t comma = value.rfind(',');
  std::string_view last = comma == std::string_view::npos ? value : value.substr(comma + 1);
  last = trim(last.substr(0, last.find(';')));
  head.chunked = equals_lower(last, "chunked");
}

void add_field(std::string_view name, std::string_view value, const protocols::HttpHeaderList& wanted, Head& head) {
  switch (protocols::add_http_field(name, value, wanted, head)) {
    case HttpField::kContentLength:
      return add_length(value, head);
    case HttpField::kTransferEncoding:
      return add_coding(value, head);
    case HttpField::kUpgrade:
      head.upgrade = value;
      return;
    default:
      return;
  }
}

void clear(Head& head) {
  head.is_request = false;
  head.line_complete = false;
  head.minor_version = 1;
  head.status = 0;
  head.target = {};
  head.content_length.reset();
  head.bad_length = false;
  head.transfer_encoding = false;
  head.chunked = false;
  head.upgrade = {};
  protocols::clear(head);
}

// "METHOD target HTTP/1.1" without its line end; the version is missing when the line was cut.
void parse_request_line(std::string_view line, Head& head) {
  head.is_request = true;
  const std::size_t method = line.find(' ');
  head.facts.method = line.substr(0, method);
  std::string_view rest = line.substr(method + 1);
  if (head.line_complete) {
    head.minor_version = static_cast<unsigned>(line.back() - '0');
    rest = rest.substr(0, rest.rfind(' '));
  }
  head.target = trim(rest);
}

}  // namespace

StartLine start_line(std::string_view text) {
  if (text.empty()) return StartLine::kPartial;
  const std::size_t same = std::min(text.size(), kVersion.size());
  if (text.substr(0, same) == kVersion.substr(0, same)) {
    if (text.size() <= kVersion.size()) return StartLine::kPartial;
    return response_line(text);
  }
  return request_line(text);
}

bool known_method(std::string_view text) {
  const std::size_t space = text.substr(0, kMaxMethod + 1).find(' ');
  return space != std::string_view::npos &&
         std::find(kMethods.begin(), kMethods.end(), text.substr(0, space)) != kMethods.end();
}

std::size_t empty_lines(std::string_view text) {
  return std::min(text.find_first_not_of("\r\n"), text.size());
}

void parse_head(std::string_view text, const protocols::HttpHeaderList& wanted, Head& head) {
  clear(head);
  const std::size_t line_end = find_byte(text, '\n', 0);
  head.line_complete = line_end != std::string_view::npos;
  const std::string_view line = trim(text.substr(0, line_end));
  if (line.starts_with(kVersion)) {
    head.minor_version = static_cast<unsigned>(line[7] - '0');
    for (const char c : line.substr(9, 3)) head.status = head.status * 10 + static_cast<unsigned>(c - '0');
  } else {
    parse_request_line(line, head);
  }
  if (!head.line_complete) return;
  protocols::HttpFieldLines fields(text.substr(line_end + 1));
  while (fields.next()) add_field(fields.name(), fields.value(), wanted, head);
}

}  // namespace wirespan::http1
