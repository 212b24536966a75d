#include "agent/enrich/redact.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <variant>

#include "base/hash.h"

namespace wirespan {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Keys whose values come from the kernel or from wirespan itself, or are host names.
bool harmless(std::string_view key) {
  switch (key.empty() ? '\0' : key[0]) {
    case 'n':
      return key.starts_with("network.");
    case 'w':
      return key.starts_with("wirespan.");
    case 'h':
      return key == "http.request.method";
    case 'u':
      return key == "url.scheme";
    case 's':
      return key == "server.address";
    case 'c':
      return key == "client.address";
    default:
      return false;
  }
}

// "http.request.header.<name>", "rpc.grpc.request.metadata.<name>" -> name.
std::string_view header_name(std::string_view key) {
  if (key.starts_with("http.re")) {
    for (const std::string_view start : {"http.request.header.", "http.response.header."}) {
      if (key.starts_with(start)) return key.substr(start.size());
    }
  } else if (key.starts_with("rpc.")) {
    constexpr std::string_view kMetadata = ".metadata.";
    if (const auto at = key.find(kMetadata); at != std::string_view::npos) return key.substr(at + kMetadata.size());
  }
  return {};
}

}  // namespace

bool names_a_secret(std::string_view name) {
  // "sig" and "key" only as whole words: "design", "monkey".
  static constexpr std::array<std::string_view, 18> kParts = {
      "authorization", "cookie",    "token", "secret", "passw",   "api-key",    "apikey",     "api_key",   "session",
      "credential",    "signature", "csrf",  "xsrf",   "private", "access-key", "access_key", "accesskey", "auth_"};
  static constexpr std::array<std::string_view, 9> kWords = {"auth", "code", "jwt",  "key", "pwd",
                                                             "sid",  "sig",  "pass", "otp"};
  if (name.size() > 128) return true;
  std::array<char, 128> buffer{};
  std::transform(name.begin(), name.end(), buffer.begin(), lower);
  const std::string_view text(buffer.data(), name.size());
  return std::any_of(kParts.begin(), kParts.end(),
                     [text](std::string_view part) { return text.find(part) != std::string_view::npos; }) ||
         std::find(kWords.begin(), kWords.end(), text) != kWords.end();
}

namespace {

bool redact_kinds(std::string& text, const SecretKinds& kinds) {
  bool any = false;
  for (std::size_t from = 0;;) {
    const auto found = find_secret(text, from, kinds);
    if (!found) return any;
    // Where a scheme's credentials were already replaced there is nothing new to hide.
    if (text.compare(found->begin, found->end - found->begin, kRedacted) != 0) {
      text.replace(found->begin, found->end - found->begin, kRedacted);
      any = true;
    }
    from = found->begin + kRedacted.size();
  }
}

}  // namespace

bool redact_text(std::string& text, const SecretKinds& kinds) {
  // find_secret looks for cards last; here one may stand before a token.
  const bool tokens = redact_kinds(text, {.email = kinds.email, .card = false, .token = kinds.token});
  const bool cards = kinds.card && redact_kinds(text, {.email = false, .card = true, .token = false});
  return tokens || cards;
}

Redactor::Redactor(RedactionRules rules, Counters& counters)
    : rules_(std::move(rules)), redacted_(counters.get("enrich.redacted.values")) {}

void Redactor::apply(Span& span) {
  if (!rules_.enabled) return;
  apply(span.attributes);
  for (SpanLink& link : span.links) apply(link.attributes);
  if (!span.status_message.empty() && redact_text(span.status_message, rules_.kinds)) redacted_.add();
  std::string& clean = clean_names_[span.name.size() % clean_names_.size()];
  if (span.name == clean) return;
  if (redact_text(span.name, rules_.kinds)) return redacted_.add();
  clean = span.name;
}

bool Redactor::apply(Attributes& attributes) {
  if (!rules_.enabled) return false;
  bool any = false;
  const bool by_kind_only = rules_.keys.empty();
  attributes.visit_marked(
      [&](std::string_view key, const AttributeValue& value, bool, bool literal_key, bool literal_value) {
        const auto* text = std::get_if<std::string_view>(&value);
        if (any || text == nullptr || (by_kind_only && literal_value)) return;
        const bool spared = by_kind_only && literal_key ? known_harmless(key) : exempt(key);
        any = !spared && replacement(key, *text, value_);
      });
  if (!any) return false;
  rebuilt_.clear();
  attributes.visit([&](std::string_view key, const AttributeValue& value, bool in_array) {
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      std::string_view kept = *text;
      if (!exempt(key) && replacement(key, *text, value_)) {
        kept = value_;
        redacted_.add();
      }
      return in_array ? rebuilt_.add(key, kept) : rebuilt_.set(key, kept);
    }
    std::visit([&](auto v) { rebuilt_.set(key, v); }, value);
  });
  std::swap(attributes, rebuilt_);
  return true;
}

bool Redactor::known_harmless(std::string_view literal) {
  // NOLINTNEXTLINE(*-reinterpret-cast)
  const auto address = reinterpret_cast<std::uintptr_t>(literal.data());
  KnownKey& known = known_keys_[mix64(address) % known_keys_.size()];
  if (known.literal != literal.data()) known = {literal.data(), harmless(literal)};
  return known.harmless;
}

bool Redactor::exempt(std::string_view key) const {
  return harmless(key) && (rules_.keys.empty() || !rules_.keys.contains(key));
}

bool Redactor::replacement(std::string_view key, std::string_view value, std::string& out) const {
  if (value.empty() || value == kRedacted) return false;
  if (!rules_.keys.empty() && rules_.keys.contains(key)) {
    out = kRedacted;
    return true;
  }
  if (const auto name = header_name(key); !name.empty()) {
    if (rules_.forced_headers.contains(name)) return false;
    if (names_a_secret(name)) {
      out = kRedacted;
      return true;
    }
  }
  if (key == "url.query") {
    const bool needed = query_needs(value);
    if (needed) {
      out.clear();
      redact_query(value, out);
    }
    if (!find_secret(needed ? out : value, 0, rules_.kinds)) return needed;
    if (!needed) out = value;
    return redact_text(out, rules_.kinds) || needed;
  }
  if (key == "url.full" && redact_url(value, out)) {
    redact_text(out, rules_.kinds);
    return true;
  }
  if (!find_secret(value, 0, rules_.kinds)) return false;
  out = value;
  return redact_text(out, rules_.kinds);
}

namespace {

// Calls visit(name, value, has_value, separator) for each parameter; the separator is what stands before it.
template <class Visitor>
void each_parameter(std::string_view query, Visitor&& visit) {
  char separator = '\0';
  while (true) {
    const auto end = query.find_first_of("&;");
    const std::string_view pair = query.substr(0, end);
    const auto equals = pair.find('=');
    const bool has_value = equals != std::string_view::npos;
    visit(pair.substr(0, equals), has_value ? pair.substr(equals + 1) : std::string_view(), has_value, separator);
    if (end == std::string_view::npos) return;
    separator = query[end];
    query.remove_prefix(end + 1);
  }
}

bool must_hide(const RedactionRules& rules, std::string_view name, std::string_view value) {
  if (value.empty() || value == kRedacted) return false;
  if (rules.query == RedactionRules::Query::kNone) return false;
  if (rules.query_keep.contains(name)) return false;
  return rules.query == RedactionRules::Query::kAll || names_a_secret(name);
}

}  // namespace

bool Redactor::query_needs(std::string_view query) const {
  bool needed = false;
  each_parameter(query, [&](std::string_view name, std::string_view value, bool, char) {
    needed = needed || must_hide(rules_, name, value);
  });
  return needed;
}

void Redactor::redact_query(std::string_view query, std::string& out) const {
  each_parameter(query, [&](std::string_view name, std::string_view value, bool has_value, char separator) {
    if (separator != '\0') out.push_back(separator);
    out.append(name);
    if (!has_value) return;
    out.push_back('=');
    out.append(must_hide(rules_, name, value) ? kRedacted : value);
  });
}

bool Redactor::redact_url(std::string_view url, std::string& out) const {
  const std::string_view before = url;
  out.clear();
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos) {
    const std::size_t authority = scheme + 3;
    const auto end = std::min(url.find_first_of("/?#", authority), url.size());
    const auto at = url.substr(0, end).rfind('@');
    if (at != std::string_view::npos && at >= authority) {
      const bool password = url.substr(authority, at - authority).find(':') != std::string_view::npos;
      out.append(url.substr(0, authority)).append(kRedacted);
      if (password) out.append(":").append(kRedacted);
      url.remove_prefix(at);
    }
  }
  const auto question = url.find('?');
  const auto hash = url.find('#');
  const auto path = std::min({question, hash, url.size()});
  out.append(url.substr(0, path));
  if (question != std::string_view::npos && question < hash) {
    out.push_back('?');
    redact_query(url.substr(question + 1, hash == std::string_view::npos ? hash : hash - question - 1), out);
  }
  if (hash != std::string_view::npos) {
    // OAuth answers put tokens behind '#'.
    out.push_back('#');
    redact_query(url.substr(hash + 1), out);
  }
  return out != before;
}

}  // namespace wirespan
