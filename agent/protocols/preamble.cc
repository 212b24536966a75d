#include "agent/protocols/preamble.h"

#include <algorithm>
#include <string_view>

namespace wirespan::protocols {
namespace {

// "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n": at most 107 bytes (section 2.1).
constexpr std::string_view kVersion1 = "PROXY ";
constexpr std::size_t kMaxVersion1 = 107;
// Section 2.2: 12 fixed bytes, version and command, family, length of the rest.
constexpr std::string_view kVersion2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kFixedVersion2 = 16;

bool may_start_with(std::string_view text, std::string_view prefix) {
  const std::size_t same = std::min(text.size(), prefix.size());
  return text.substr(0, same) == prefix.substr(0, same);
}

}  // namespace

Preamble proxy_preamble(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  if (text.empty()) return {0, true};
  if (may_start_with(text, kVersion1)) {
    if (text.size() < kVersion1.size()) return {0, true};
    const std::size_t end = text.substr(0, kMaxVersion1).find("\r\n");
    if (end != std::string_view::npos) return {end + 2, false};
    return {0, text.size() < kMaxVersion1};
  }
  if (!may_start_with(text, kVersion2)) return {0, false};
  if (text.size() < kFixedVersion2) return {0, true};
  Reader reader(bytes.subspan(kVersion2.size()));
  const bool version2 = (*reader.u8() >> 4U) == 2;
  (void)reader.u8();
  const std::size_t size = kFixedVersion2 + *reader.be16();
  if (!version2) return {0, false};
  return bytes.size() < size ? Preamble{0, true} : Preamble{size, false};
}

}  // namespace wirespan::protocols
