// Small things about text that several formats share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace wirespan {

// Without `blank`s at both ends.
[[nodiscard]] constexpr std::string_view trim(std::string_view text, std::string_view blank = " \t") {
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// RFC 3986, 2.1. nullopt: a '%' without two hexadecimal digits after it.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

}  // namespace wirespan
