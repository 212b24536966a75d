#include "agent/protocols/common/text.h"

#include <algorithm>

namespace wirespan::protocols {
namespace {

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7f;
}

// Length of the UTF-8 sequence at the front, 0 if there is none (RFC 3629, section 4).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : 0xbf;
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

void append_clean(std::string& out, std::string_view text, std::size_t max) {
  const std::size_t limit = out.size() + max;
  if (std::all_of(text.begin(), text.end(), is_printable)) {
    out.append(text.substr(0, max));
    return;
  }
  while (!text.empty() && out.size() < limit) {
    const std::size_t length = utf8_length(text);
    if (length > 1) {
      if (out.size() + length > limit) return;
      out.append(text.substr(0, length));
    } else {
      out.push_back(is_printable(text.front()) ? text.front() : is_space(text.front()) ? ' ' : '?');
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

void append_uri(std::string& out, std::string_view text, std::size_t max) {
  const std::size_t limit = out.size() + max;
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    const bool plain = is_printable(c) && c != ' ';
    if (out.size() + (plain ? 1 : 3) > limit) return;
    if (plain) {
      out.push_back(c);
      continue;
    }
    const auto value = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kHex[value >> 4U]);
    out.push_back(kHex[value & 15U]);
  }
}

}  // namespace wirespan::protocols
