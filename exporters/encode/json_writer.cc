#include "exporters/encode/json_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "exporters/encode/utf8.h"

namespace wirespan {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::size_t kLongestEscape = 6;
// Two digits for each byte.
constexpr auto kHexPairs = [] {
  std::array<char, 512> pairs{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    pairs[2 * byte] = kHexDigits[byte >> 4U];
    pairs[2 * byte + 1] = kHexDigits[byte & 15U];
  }
  return pairs;
}();

char* put(char* at, std::string_view text) {
  return JsonWriter::put(at, text);
}

char* put_escaped(char* at, char c) {
  switch (c) {
    case '"':
      return put(at, "\\\"");
    case '\\':
      return put(at, "\\\\");
    case '\n':
      return put(at, "\\n");
    case '\r':
      return put(at, "\\r");
    case '\t':
      return put(at, "\\t");
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20) {
    *at++ = c;
    return at;
  }
  at = put(at, "\\u00");
  *at++ = kHexDigits[byte >> 4U];
  *at++ = kHexDigits[byte & 15U];
  return at;
}

}  // namespace

// What is left of a string after its opening quote.
void JsonWriter::escaped(std::string_view value) {
  char* at = out_.reserve(kLongestEscape * value.size() + 1);
  while (!value.empty()) {
    const std::size_t length = utf8_length(value);
    if (length == 0) {
      at = put(at, "\xEF\xBF\xBD");
      value.remove_prefix(1);
      continue;
    }
    at = length == 1 ? put_escaped(at, value.front()) : put(at, value.substr(0, length));
    value.remove_prefix(length);
  }
  *at++ = '"';
  out_.commit(at);
}

void JsonWriter::hex(std::string_view bytes) {
  char* at = comma(out_.reserve(2 * bytes.size() + 3));
  *at++ = '"';
  at = put_hex(at, bytes);
  *at++ = '"';
  out_.commit(at);
}

char* JsonWriter::put_hex(char* at, std::string_view bytes) {
  for (const char c : bytes) {
    std::memcpy(at, &kHexPairs[2 * static_cast<std::size_t>(static_cast<unsigned char>(c))], 2);
    at += 2;
  }
  return at;
}

char* JsonWriter::put_number(char* at, std::int64_t value) {
  return std::to_chars(at, at + kLongestNumber, value).ptr;
}
char* JsonWriter::put_number(char* at, std::uint64_t value) {
  return std::to_chars(at, at + kLongestNumber, value).ptr;
}

template <class T>
void JsonWriter::digits(T value, bool quote) {
  char* at = comma(out_.reserve(kLongestNumber + 3));
  if (quote) *at++ = '"';
  at = std::to_chars(at, at + kLongestNumber, value).ptr;
  if (quote) *at++ = '"';
  out_.commit(at);
}
template void JsonWriter::digits(std::int64_t value, bool quote);
template void JsonWriter::digits(std::uint64_t value, bool quote);

void JsonWriter::number(double value) {
  if (std::isnan(value)) return text("NaN");
  // Most are 1 or 0; the shortest form of any other takes far longer to find.
  if (const auto whole = static_cast<std::int64_t>(std::clamp(value, -1e6, 1e6)); static_cast<double>(whole) == value)
    return digits(whole, false);
  if (std::isinf(value)) return text(value < 0 ? "-Infinity" : "Infinity");
  digits(value, false);
}

}  // namespace wirespan
