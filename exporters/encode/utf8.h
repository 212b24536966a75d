// Text from the wire is bytes; OTLP's string fields must be UTF-8, and a receiver refuses the whole batch for one that
// is not (protobuf, proto3 specification "string").
#pragma once

#include <string>
#include <string_view>

namespace wirespan {

[[nodiscard]] bool is_utf8(std::string_view text);

// `text` itself when it is UTF-8, else a copy in `scratch` with U+FFFD for every byte that is not part of a character.
[[nodiscard]] std::string_view as_utf8(std::string_view text, std::string& scratch);

// Length in bytes of the character `text` begins with (RFC 3629: no overlong forms, no surrogates), 0 when it is none.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

}  // namespace wirespan
