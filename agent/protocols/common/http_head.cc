#include "agent/protocols/common/http_head.h"

#include <cstring>
#include <string>

#include "agent/protocols/common/text.h"

namespace wirespan::protocols {
namespace {

// More than this many fields of one kind are noise or an attack.
constexpr std::size_t kMaxListed = 32;
constexpr std::size_t kMaxFieldValue = 4096;

void set_once(std::string_view& fact, std::string_view value) {
  if (fact.empty()) fact = value;
}

// The position of the last LF of the field line at the front with its continuation lines, npos if it is not complete.
std::size_t field_end(std::string_view text) {
  std::size_t end = find_byte(text, '\n', 0);
  while (end != std::string_view::npos && end + 1 < text.size() && (text[end + 1] == ' ' || text[end + 1] == '\t')) {
    end = find_byte(text, '\n', end + 1);
  }
  return end;
}

}  // namespace

void clear(HttpHead& head) {
  head.facts = {};
  head.carried.clear();
  head.captured.clear();
}

HttpField add_http_field(std::string_view name, std::string_view value, const HttpHeaderList& wanted, HttpHead& head) {
  if (!wanted.empty() && head.captured.size() < kMaxListed) {
    if (const std::string_view key = wanted.key(name); !key.empty()) head.captured.emplace_back(key, value);
  }
  const HttpFieldName known = http_field(name);
  HttpRequestFacts& facts = head.facts;
  switch (known.field) {
    case HttpField::kOther:
      if (const std::string_view id = wanted.id(name); !id.empty() && head.carried.size() < kMaxListed)
        head.carried.emplace_back(id, value);
      break;
    case HttpField::kHost:
      set_once(facts.authority, value);
      break;
    case HttpField::kUserAgent:
      facts.user_agent = value;
      break;
    case HttpField::kForwarded:
      set_once(facts.forwarded, value);
      break;
    case HttpField::kXForwardedFor:
      set_once(facts.x_forwarded_for, value);
      break;
    case HttpField::kXForwardedHost:
      set_once(facts.x_forwarded_host, value);
      break;
    case HttpField::kXForwardedProto:
      set_once(facts.x_forwarded_proto, value);
      break;
    case HttpField::kCarried:
      if (head.carried.size() < kMaxListed) head.carried.emplace_back(known.name, value);
      break;
    case HttpField::kConnection:
    case HttpField::kExpect:
    case HttpField::kContentLength:
    case HttpField::kTransferEncoding:
    case HttpField::kUpgrade:
      break;
  }
  return known.field;
}

void add_captured(Message& message, const HttpHead& head) {
  if (head.captured.empty()) return;
  std::string value;
  for (const auto& [key, raw] : head.captured) {
    value.clear();
    append_clean(value, raw, kMaxFieldValue);
    message.attributes.add(key, value);
  }
}

std::size_t find_byte(std::string_view text, char c, std::size_t from) {
  if (from >= text.size()) return std::string_view::npos;
  const void* at = std::memchr(text.data() + from, c, text.size() - from);
  return at == nullptr ? std::string_view::npos : static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
}

std::optional<std::size_t> head_end(std::string_view text, std::size_t from) {
  std::size_t line = find_byte(text, '\n', from);
  while (line != std::string_view::npos) {
    if (line + 1 < text.size() && text[line + 1] == '\n') return line + 2;
    if (line + 2 < text.size() && text[line + 1] == '\r' && text[line + 2] == '\n') return line + 3;
    line = find_byte(text, '\n', line + 1);
  }
  return std::nullopt;
}

bool HttpFieldLines::next() {
  while (!rest_.empty()) {
    const std::size_t end = field_end(rest_);
    if (end == std::string_view::npos) return false;
    const std::string_view field = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    const std::size_t colon = field.find(':');
    // Spaces before the colon are an error that recipients forgive or refuse (RFC 9112 5.1); we only watch.
    if (colon == 0 || colon == std::string_view::npos) continue;
    name_ = trim(field.substr(0, colon));
    value_ = trim(field.substr(colon + 1));
    return true;
  }
  return false;
}

}  // namespace wirespan::protocols
