#include "agent/protocols/common/identifiers.h"

#include <algorithm>
#include <array>

#include "agent/protocols/common/text.h"
#include "base/hash.h"

namespace wirespan::protocols {
namespace {

constexpr std::size_t kUuidSize = 36;
constexpr std::size_t kDateSize = 10;
// Of a number: shorter ones are counts, pages and versions.
constexpr std::size_t kMinRareDigits = 4;
// Longer tokens are content, not names.
constexpr std::size_t kMaxToken = 256;

bool is_uuid(std::string_view token) {
  if (token.size() != kUuidSize) return false;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? token[i] != '-' : !is_hex(token[i])) return false;
  }
  return true;
}

bool is_date(std::string_view token) {
  if (token.size() != kDateSize) return false;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool dash = i == 4 || i == 7;
    if (dash ? token[i] != '-' : !is_digit(token[i])) return false;
  }
  return true;
}

bool in_token(char c) {
  return is_digit(c) || is_alpha(c) || c == '-' || c == '_';
}

}  // namespace

TokenKind token_kind(std::string_view token) {
  std::size_t digits = 0;
  std::size_t letters = 0;
  std::size_t hex = 0;
  std::size_t run = 0;
  std::size_t longest_run = 0;  // of digits
  for (const char c : token) {
    digits += is_digit(c) ? 1U : 0U;
    run = is_digit(c) ? run + 1 : 0;
    longest_run = std::max(longest_run, run);
    letters += is_alpha(c) ? 1U : 0U;
    hex += is_hex(c) ? 1U : 0U;
  }
  if (digits == 0 && hex < 16) return TokenKind::kWord;
  if (digits == token.size()) return TokenKind::kNumber;
  if (is_uuid(token)) return TokenKind::kUuid;
  if (is_date(token)) return TokenKind::kDate;
  if (hex == token.size() && (hex >= 16 || (hex >= 8 && digits > 0))) return TokenKind::kHex;
  if (longest_run >= 4 || digits >= 5) return TokenKind::kMixed;
  if (token.size() >= 16 && digits >= 2 && letters > 0) return TokenKind::kMixed;
  return TokenKind::kWord;
}

std::uint64_t token_hash(std::string_view token) {
  std::uint64_t hash = token.size();
  std::uint64_t word = 0;
  unsigned filled = 0;
  for (const char c : token) {
    word |= std::uint64_t{static_cast<unsigned char>(lower(c))} << (8 * filled);
    if (++filled == 8) {
      hash = mix64(hash ^ word);
      word = 0;
      filled = 0;
    }
  }
  return mix64(hash ^ word);
}

void add_rare(std::vector<std::uint64_t>& values, std::string_view token) {
  if (values.size() >= kMaxRareValues || token.size() < kMinRareDigits || token.size() > kMaxToken) return;
  const TokenKind kind = token_kind(token);
  if (kind == TokenKind::kWord || kind == TokenKind::kDate) return;
  const std::uint64_t hash = token_hash(token);
  if (std::find(values.begin(), values.end(), hash) == values.end()) values.push_back(hash);
}

void add_rare_tokens(std::vector<std::uint64_t>& values, std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && values.size() < kMaxRareValues) {
    if (!in_token(text[at])) {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < text.size() && in_token(text[at])) ++at;
    add_rare(values, text.substr(begin, at - begin));
  }
}

}  // namespace wirespan::protocols
