// Tokens that name one thing among many (a user, an order, a request): they must not become part of a span name, and
// seen in two messages they connect them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace wirespan::protocols {

enum class TokenKind : std::uint8_t {
  kWord,    // anything else
  kNumber,  // digits only
  kUuid,    // 8-4-4-4-12 hex digits
  kHex,     // at least 8 hex digits, one of them 0-9 (or 16 and more)
  kDate,    // YYYY-MM-DD
  kMixed,   // letters and digits: 4 digits in a row, 5 in all, or 16 characters with at least 2 digits
};
[[nodiscard]] TokenKind token_kind(std::string_view token);

// Fixed forever: both ends, and agents of different versions, must agree. ASCII letters count as lower case.
[[nodiscard]] std::uint64_t token_hash(std::string_view token);

constexpr std::size_t kMaxRareValues = 16;
// Adds the hash of a token that is rare enough to mean something, once.
void add_rare(std::vector<std::uint64_t>& values, std::string_view token);
// Every such token in `text`, split at what is neither letter, digit, '-' nor '_'.
void add_rare_tokens(std::vector<std::uint64_t>& values, std::string_view text);

}  // namespace wirespan::protocols
