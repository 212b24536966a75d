#include "correlator/propagation/text.h"

#include <algorithm>

namespace wirespan::propagation {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::optional<std::uint64_t> hex_u64(std::string_view hex) {
  if (hex.empty() || hex.size() > 16) return std::nullopt;
  std::uint64_t value = 0;
  for (const char raw : hex) {
    const char c = lower(raw);
    unsigned digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10U;
    } else {
      return std::nullopt;
    }
    value = value << 4U | digit;
  }
  return value;
}

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::uint32_t> base64_digit(char c) {
  if (c == '-') c = '+';
  if (c == '_') c = '/';
  const auto at = kBase64.find(c);
  if (at == std::string_view::npos) return std::nullopt;
  return static_cast<std::uint32_t>(at);
}

}  // namespace

std::string_view trim_ows(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string_view> only_value(const CarriedHeaders& headers, std::string_view name) {
  std::optional<std::string_view> found;
  for (const auto& [key, value] : headers) {
    if (!equal_ignoring_case(key, name)) continue;
    if (found) return std::nullopt;
    found = trim_ows(value);
  }
  return found;
}

std::string_view cut(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  const std::string_view before = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  return before;
}

std::optional<TraceId> loose_trace_id(std::string_view hex) {
  if (hex.empty() || hex.size() > 32) return std::nullopt;
  std::uint64_t high = 0;
  if (hex.size() > 16) {
    const auto value = hex_u64(hex.substr(0, hex.size() - 16));
    if (!value) return std::nullopt;
    high = *value;
    hex.remove_prefix(hex.size() - 16);
  }
  const auto low = hex_u64(hex);
  if (!low || (high == 0 && *low == 0)) return std::nullopt;
  return TraceId::from_u64(high, *low);
}

std::optional<SpanId> loose_span_id(std::string_view hex) {
  const auto value = hex_u64(hex);
  if (!value || *value == 0) return std::nullopt;
  return SpanId::from_u64(*value);
}

std::optional<std::vector<std::uint8_t>> decode_base64(std::string_view text, std::size_t most) {
  for (int padding = 0; padding < 2 && !text.empty() && text.back() == '='; ++padding) text.remove_suffix(1);
  if (text.size() % 4 == 1 || text.size() / 4 * 3 > most) return std::nullopt;
  std::vector<std::uint8_t> out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    const auto digit = base64_digit(c);
    if (!digit) return std::nullopt;
    bits = bits << 6U | *digit;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out.push_back(static_cast<std::uint8_t>(bits >> held));
  }
  if (out.size() > most) return std::nullopt;
  return out;
}

std::string encode_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) bits = bits << 8U | (j < count ? static_cast<std::uint8_t>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j) out.push_back(j <= count ? kBase64[bits >> (18U - 6U * j) & 63U] : '=');
  }
  return out;
}

}  // namespace wirespan::propagation
