// Text from the wire: comparing it and making it safe to export.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace wirespan::protocols {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
constexpr bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_alpha(char c) {
  return lower(c) >= 'a' && lower(c) <= 'z';
}
constexpr bool is_hex(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}
constexpr int hex_value(char c) {
  return is_digit(c) ? c - '0' : is_hex(c) ? lower(c) - 'a' + 10 : -1;
}
// RFC 9110 5.6.2.
constexpr bool is_token_char(char c) {
  return is_digit(c) || is_alpha(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// `name` in any case equals `wanted`, which is lower case.
inline bool equals_lower(std::string_view name, std::string_view wanted) {
  if (name.size() != wanted.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (lower(name[i]) != wanted[i]) return false;
  }
  return true;
}

// Without spaces, tabs and line ends at both ends (RFC 9110 5.5; line ends: obs-fold, RFC 9112 5.2).
inline std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Appends at most `max` bytes as valid UTF-8 without control characters, as OTLP demands of strings: what is neither
// becomes '?', a folded line's break a space.
void append_clean(std::string& out, std::string_view text, std::size_t max);

// The same for parts of a URI, where what is not printable ASCII is written %XX (RFC 3986 2.1).
void append_uri(std::string& out, std::string_view text, std::size_t max);

}  // namespace wirespan::protocols
