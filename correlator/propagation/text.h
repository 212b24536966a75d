// What the header formats have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/ids.h"
#include "model/message.h"

namespace wirespan::propagation {

// RFC 9110, 5.6.3: spaces and tabs around a field value are not part of it.
[[nodiscard]] std::string_view trim_ows(std::string_view text);

[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);

// The value when there is exactly one header of that name: two that disagree tell nothing.
[[nodiscard]] std::optional<std::string_view> only_value(const CarriedHeaders& headers, std::string_view name);

// Cuts `text` behind the first `separator` and returns what was before it; all of it when there is none.
[[nodiscard]] std::string_view cut(std::string_view& text, char separator);

// 1 to 32 hex digits of either case, leading zeros left out or not (B3, Jaeger and X-Ray are written both ways).
// nullopt when malformed or zero.
[[nodiscard]] std::optional<TraceId> loose_trace_id(std::string_view hex);
// 1 to 16 digits.
[[nodiscard]] std::optional<SpanId> loose_span_id(std::string_view hex);

// RFC 4648, both alphabets, padded or not; nullopt when malformed or longer than `most` bytes.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> decode_base64(std::string_view text, std::size_t most);
[[nodiscard]] std::string encode_base64(std::string_view bytes);

}  // namespace wirespan::propagation
