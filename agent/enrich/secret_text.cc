#include "agent/enrich/secret_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace wirespan {
namespace {

// Sixteen characters at once; gcc and clang make SSE2 or NEON of it.
using Block = std::uint8_t __attribute__((vector_size(16)));

// A character that every secret of some kind has:
//   '@' e-mail, '%' the same percent-encoded, 'I' AWS and Google keys, 'J' JSON web token, '_' GitHub, Stripe, 'x'
//   Slack, ' ' authorization schemes
constexpr std::array<char, 7> kSigns = {'@', '%', 'I', 'J', '_', 'x', ' '};

constexpr std::size_t kShortest = 6;  // a@b.co

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool alnum(char c) {
  return digit(c) || letter(c);
}
bool base64url(char c) {
  return alnum(c) || c == '-' || c == '_';
}
bool token_char(char c) {
  return base64url(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
}
bool local_part(char c) {
  return alnum(c) || c == '.' || c == '_' || c == '+' || c == '-';
}

template <class Predicate>
std::size_t run_end(std::string_view text, std::size_t at, Predicate accepts) {
  while (at < text.size() && accepts(text[at])) ++at;
  return at;
}

// `at` is where '@', or its percent-encoded form of `width` characters, stands.
std::optional<SecretRange> email(std::string_view text, std::size_t at, std::size_t width) {
  std::size_t begin = at;
  while (begin > 0 && at - begin < 64 && local_part(text[begin - 1])) --begin;
  // "https://REDACTED@host/" is what an address with credentials became: its host stays.
  if (begin == at || text.substr(begin, at - begin) == "REDACTED") return std::nullopt;
  const std::size_t domain = at + width;
  std::size_t end = run_end(text, domain, [](char c) { return alnum(c) || c == '.' || c == '-'; });
  while (end > domain && !alnum(text[end - 1])) --end;
  const std::string_view host = text.substr(domain, end - domain);
  const auto dot = host.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || host.size() - dot - 1 < 2) return std::nullopt;
  if (!std::all_of(host.begin() + static_cast<std::ptrdiff_t>(dot) + 1, host.end(), letter)) return std::nullopt;
  return SecretRange{begin, end};
}

struct Literal {
  std::string_view text;
  std::size_t trigger;  // index of its trigger character
  std::size_t least;    // characters that must follow
  bool upper_only;      // and are of A-Z and 0-9
  bool any_case;        // the literal itself
};
// Forms as their services document them.
constexpr std::array<Literal, 16> kLiterals = {{{"eyJ", 2, 16, false, false},  // JSON web token: base64 of '{"'
                                                {"AKIA", 2, 16, true, false},  // AWS access key ids
                                                {"ASIA", 2, 16, true, false},
                                                {"ABIA", 2, 16, true, false},
                                                {"AIza", 1, 30, false, false},  // Google API key
                                                {"ghp_", 3, 30, false, false},  // GitHub
                                                {"gho_", 3, 30, false, false},
                                                {"ghu_", 3, 30, false, false},
                                                {"ghs_", 3, 30, false, false},
                                                {"ghr_", 3, 30, false, false},
                                                {"github_pat_", 6, 30, false, false},
                                                {"sk_live_", 2, 16, false, false},  // Stripe
                                                {"rk_live_", 2, 16, false, false},
                                                {"xox", 0, 12, false, false},     // Slack: xoxb-, xoxp-, ...
                                                {"bearer ", 6, 8, false, true},   // RFC 6750
                                                {"basic ", 5, 8, false, true}}};  // RFC 7617

bool same(std::string_view text, const Literal& literal) {
  if (!literal.any_case) return text == literal.text;
  return std::equal(text.begin(), text.end(), literal.text.begin(), literal.text.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b; });
}

std::optional<SecretRange> literal_at(std::string_view text, std::size_t at, const Literal& literal) {
  if (at < literal.trigger) return std::nullopt;
  const std::size_t begin = at - literal.trigger;
  if (text.size() - begin < literal.text.size() + literal.least) return std::nullopt;
  if (!same(text.substr(begin, literal.text.size()), literal)) return std::nullopt;
  if (begin > 0 && alnum(text[begin - 1])) return std::nullopt;
  const std::size_t secret = begin + literal.text.size();
  if (literal.upper_only) {
    const std::size_t end = run_end(text, secret, [](char c) { return digit(c) || (c >= 'A' && c <= 'Z'); });
    if (end - secret < literal.least) return std::nullopt;
    return SecretRange{begin, end};
  }
  const std::size_t end = run_end(text, secret, token_char);
  if (end - secret < literal.least) return std::nullopt;
  // A scheme's name may stay; what follows is the secret.
  return SecretRange{literal.any_case ? secret : begin, end};
}

std::optional<SecretRange> token(std::string_view text, std::size_t at) {
  for (const Literal& literal : kLiterals) {
    if (literal.text[literal.trigger] != text[at]) continue;
    if (auto found = literal_at(text, at, literal)) return found;
  }
  return std::nullopt;
}

bool lower_is(char c, char wanted) {
  return c == wanted || c == wanted - 'a' + 'A';
}

// Whether the character at `at`, which is `c`, may belong to a secret: decides most cases at once.
bool worth_a_look(std::string_view text, std::size_t at) {
  const char before = at == 0 ? '\0' : text[at - 1];
  switch (text[at]) {
    case ' ':
      return lower_is(before, 'r') || lower_is(before, 'c');
    case 'J':
      return before == 'y';
    case 'I':
      return before == 'K' || before == 'S' || before == 'B' || before == 'A';
    case '_':  // sk_, rk_, github_, ghp_ and its like
      return before == 'k' || before == 'b' || (at >= 2 && text[at - 2] == 'h');
    case 'x':
      return text.substr(at, 3) == "xox";
    case '%':
      return text.substr(at, 3) == "%40";
    default:
      return true;
  }
}

// The earliest secret that has `c` in it.
void look_for(char c, std::string_view text, std::size_t from, std::optional<SecretRange>& best) {
  for (auto at = text.find(c, from); at != std::string_view::npos; at = text.find(c, at + 1)) {
    if (!worth_a_look(text, at)) continue;
    const auto found = c == '@' || c == '%' ? email(text, at, c == '@' ? 1 : 3) : token(text, at);
    if (!found || found->begin < from) continue;
    if (!best || found->begin < best->begin) best = found;
    return;
  }
}

bool luhn(std::string_view digits) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    auto d = static_cast<unsigned>(digits[digits.size() - 1 - i] - '0');
    if (i % 2 == 1) d = d > 4 ? 2 * d - 9 : 2 * d;
    sum += d;
  }
  return sum % 10 == 0;
}

constexpr std::size_t kShortestCard = 13;

bool card_char(char c) {
  return digit(c) || c == ' ' || c == '-';
}

// A card that begins at `at`, within `end`.
std::optional<SecretRange> card_at(std::string_view text, std::size_t at, std::size_t end) {
  // First digits of the networks' ranges: 2 (Mastercard), 3 to 6. Not 1: times in ns have 19 digits.
  if (text[at] < '2' || text[at] > '6' || (at > 0 && alnum(text[at - 1]))) return std::nullopt;
  std::array<char, 20> digits{};
  std::size_t count = 0;
  std::size_t last = at;
  for (std::size_t i = at; i < end && count < digits.size(); ++i) {
    if (digit(text[i])) {
      digits[count++] = text[i];
      last = i + 1;
    } else if (!digit(text[i - 1])) {
      break;  // two separators
    }
  }
  const bool whole = last == text.size() || !alnum(text[last]);
  if (count < kShortestCard || count > 19 || !whole || !luhn(std::string_view(digits.data(), count)))
    return std::nullopt;
  return SecretRange{at, last};
}

// Looks at every 13th character only, until one may be part of a card: UUIDs and numbers are everywhere.
std::optional<SecretRange> card(std::string_view text, std::size_t from) {
  for (std::size_t start = from; start + kShortestCard <= text.size();) {
    std::size_t k = start + kShortestCard;
    while (k > start && card_char(text[k - 1])) --k;
    if (k > start) {
      start = k;
      continue;
    }
    const std::size_t end = run_end(text, start + kShortestCard, card_char);
    for (; start < end; ++start) {
      if (auto found = card_at(text, start, end)) return found;
    }
  }
  return std::nullopt;
}

struct Found {
  Block signs{};   // not zero where there was one
  Block digits{};  // how many, per lane
};

void look_at(const char* sixteen, Found& found) {
  Block block;
  std::memcpy(&block, sixteen, sizeof block);
  for (const char sign : kSigns) found.signs |= reinterpret_cast<Block>(block == static_cast<std::uint8_t>(sign));
  found.digits -= reinterpret_cast<Block>((block - std::uint8_t{'0'}) < std::uint8_t{10});
}

struct Suspicion {
  bool sign = false;
  bool card = false;
};

// Nearly all text is cleared here, in a few ns.
Suspicion first_look(std::string_view text) {
  Found found;
  if (text.size() < sizeof(Block)) {
    std::array<char, sizeof(Block)> padded{};
    std::memcpy(padded.data(), text.data(), text.size());
    look_at(padded.data(), found);
  } else {
    // The last block overlaps the one before it: counting a digit twice does no harm. Lanes would overflow at 4 KiB.
    const std::size_t last = std::min<std::size_t>(text.size(), 4096) - sizeof(Block);
    for (std::size_t at = 0; at < last; at += sizeof(Block)) look_at(text.data() + at, found);
    look_at(text.data() + last, found);
    if (text.size() > 4096) return {true, true};
  }
  std::array<std::uint64_t, 2> signs{};
  std::array<std::uint64_t, 2> digits{};
  std::memcpy(signs.data(), &found.signs, sizeof found.signs);
  std::memcpy(digits.data(), &found.digits, sizeof found.digits);
  // Sums of neighbouring lanes in 16 bits each, then all of them in the top 16.
  constexpr std::uint64_t kEven = 0x00ff00ff00ff00ffU;
  std::uint64_t sum = 0;
  for (const std::uint64_t half : digits) sum += (half & kEven) + (half >> 8U & kEven);
  return {(signs[0] | signs[1]) != 0, (sum * 0x0001000100010001U) >> 48U >= kShortestCard};
}

}  // namespace

std::optional<SecretRange> find_secret(std::string_view text, std::size_t from, const SecretKinds& kinds) {
  if (text.size() < from + kShortest) return std::nullopt;
  const Suspicion suspicion = first_look(text.substr(from));
  std::optional<SecretRange> best;
  if (suspicion.sign) {
    for (const char sign : kSigns) {
      if (sign == '@' || sign == '%' ? kinds.email : kinds.token) look_for(sign, text, from, best);
    }
  }
  if (!best && suspicion.card && kinds.card) return card(text, from);
  return best;
}

}  // namespace wirespan
