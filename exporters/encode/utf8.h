// Text from the wire is bytes; OTLP's string fields must be UTF-8, and a receiver refuses the whole batch for one that
// is not (protobuf, proto3 specification "string").
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace wirespan {

[[nodiscard]] bool is_utf8(std::string_view text);
[[nodiscard]] std::string_view repaired_utf8(std::string_view text, std::string& scratch);

// Eight bytes at a time: nearly all text is ASCII.
[[nodiscard]] inline bool is_ascii(std::string_view text) {
  std::uint64_t seen = 0;
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data() + at, 8);
    seen |= eight;
  }
  for (; at < text.size(); ++at) seen |= static_cast<unsigned char>(text[at]);
  return (seen & 0x8080808080808080U) == 0;
}

// `text` itself when it is UTF-8, else a copy in `scratch` with U+FFFD for every byte that is not part of a character.
[[nodiscard]] inline std::string_view as_utf8(std::string_view text, std::string& scratch) {
  return is_ascii(text) ? text : repaired_utf8(text, scratch);
}

// Length in bytes of the character `text` begins with (RFC 3629: no overlong forms, no surrogates), 0 when it is none.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

}  // namespace wirespan
