#include "agent/enrich/secret_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace wirespan {
namespace {

enum Class : std::uint8_t {
  kPlain = 0,
  kDigit = 1,
  kTrigger = 2,  // a character that every secret of some kind has, and other text seldom
};

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = kDigit;
  for (const char c : {'@', '%', 'J', 'I', '_', 'x', '-', ' '}) table[static_cast<unsigned char>(c)] = kTrigger;
  return table;
}
constexpr auto kClasses = make_classes();

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
constexpr std::array<Literal, 17> kLiterals = {{{"eyJ", 2, 16, false, false},  // JSON web token: base64 of '{"'
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
                                                {"glpat-", 5, 16, false, false},  // GitLab
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

// The character before a blank or a dash decides most cases at once.
std::optional<SecretRange> token(std::string_view text, std::size_t at) {
  const char c = text[at];
  const char before = at == 0 ? '\0' : text[at - 1];
  if (c == ' ' && before != 'r' && before != 'R' && before != 'c' && before != 'C') return std::nullopt;
  if (c == '-' && before != 't') return std::nullopt;
  for (const Literal& literal : kLiterals) {
    if (literal.text[literal.trigger] != c) continue;
    if (auto found = literal_at(text, at, literal)) return found;
  }
  return std::nullopt;
}

std::optional<SecretRange> trigger(std::string_view text, std::size_t at, const SecretKinds& kinds) {
  const char c = text[at];
  if (c == '@') return kinds.email ? email(text, at, 1) : std::nullopt;
  if (c == '%') return kinds.email && text.substr(at, 3) == "%40" ? email(text, at, 3) : std::nullopt;
  return kinds.token ? token(text, at) : std::nullopt;
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

std::optional<SecretRange> card(std::string_view text, std::size_t from) {
  for (std::size_t at = from; at < text.size(); ++at) {
    // First digits of the networks' ranges: 2 (Mastercard), 3 to 6. Not 1: times in ns have 19 digits.
    if (text[at] < '2' || text[at] > '6' || (at > 0 && alnum(text[at - 1]))) continue;
    std::array<char, 20> digits{};
    std::size_t count = 0;
    std::size_t end = at;
    for (std::size_t i = at; i < text.size() && count < digits.size(); ++i) {
      if (digit(text[i])) {
        digits[count++] = text[i];
        end = i + 1;
      } else if ((text[i] != ' ' && text[i] != '-') || !digit(text[i - 1])) {
        break;
      }
    }
    if (count >= 13 && count <= 19 && (end == text.size() || !alnum(text[end])) &&
        luhn(std::string_view(digits.data(), count))) {
      return SecretRange{at, end};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<SecretRange> find_secret(std::string_view text, std::size_t from, const SecretKinds& kinds) {
  unsigned digits = 0;
  for (std::size_t i = from; i < text.size(); ++i) {
    const std::uint8_t kind = kClasses[static_cast<unsigned char>(text[i])];
    digits += kind & kDigit;
    if ((kind & kTrigger) == 0) continue;
    if (auto found = trigger(text, i, kinds); found && found->begin >= from) return found;
  }
  return kinds.card && digits >= 13 ? card(text, from) : std::nullopt;
}

}  // namespace wirespan
