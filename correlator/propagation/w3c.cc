#include "correlator/propagation/w3c.h"

#include <algorithm>
#include <array>

#include "correlator/propagation/text.h"

namespace wirespan {
namespace {

using propagation::cut;
using propagation::equal_ignoring_case;
using propagation::trim_ows;

constexpr std::size_t kVersion00Size = 55;
constexpr std::size_t kMostMembers = 32;
constexpr std::size_t kMostState = 512;
constexpr std::size_t kLongMember = 128;

std::optional<std::uint8_t> hex_byte(std::string_view hex) {
  unsigned value = 0;
  for (const char c : hex) {
    unsigned digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10U;
    } else {
      return std::nullopt;
    }
    value = value << 4U | digit;
  }
  return static_cast<std::uint8_t>(value);
}

bool key_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool key_char(char c) {
  return key_start(c) || c == '_' || c == '-' || c == '*' || c == '/';
}
bool key_part(std::string_view part, std::size_t most) {
  return !part.empty() && part.size() <= most && key_start(part.front()) &&
         std::all_of(part.begin() + 1, part.end(), key_char);
}

bool valid_key(std::string_view key) {
  const auto at = key.find('@');
  if (at == std::string_view::npos) return key_part(key, 256);
  return key_part(key.substr(0, at), 241) && key_part(key.substr(at + 1), 14);
}

// The member is trimmed, so the last character is no space.
bool valid_value(std::string_view value) {
  return !value.empty() && value.size() <= 256 &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e && c != ',' && c != '='; });
}

// Members in order; false when any is malformed.
struct Members {
  std::array<std::string_view, kMostMembers> member;
  std::array<std::string_view, kMostMembers> key;
  std::size_t count = 0;

  bool add(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || count == kMostMembers) return false;
    const std::string_view name = text.substr(0, equals);
    if (!valid_key(name) || !valid_value(text.substr(equals + 1))) return false;
    if (std::find(key.begin(), key.begin() + count, name) != key.begin() + count) return false;
    member[count] = text;
    key[count++] = name;
    return true;
  }
  bool add_all(std::string_view header) {
    while (!header.empty()) {
      const std::string_view text = trim_ows(cut(header, ','));
      if (!text.empty() && !add(text)) return false;
    }
    return true;
  }
  [[nodiscard]] std::size_t length() const {
    std::size_t sum = count == 0 ? 0 : count - 1;
    for (std::size_t i = 0; i < count; ++i) sum += member[i].size();
    return sum;
  }
  void drop(std::size_t index) {
    std::copy(member.begin() + index + 1, member.begin() + count, member.begin() + index);
    --count;
  }
  void shorten() {
    for (std::size_t i = count; i-- > 0 && length() > kMostState;) {
      if (member[i].size() > kLongMember) drop(i);
    }
    while (length() > kMostState) --count;
  }
};

}  // namespace

std::optional<RemoteContext> parse_traceparent(std::string_view value) {
  value = trim_ows(value);
  if (value.size() < kVersion00Size || value[2] != '-' || value[35] != '-' || value[52] != '-') return std::nullopt;
  const auto version = hex_byte(value.substr(0, 2));
  if (!version || *version == 0xff) return std::nullopt;
  if (value.size() > kVersion00Size && (*version == 0 || value[kVersion00Size] != '-')) return std::nullopt;
  const auto trace = TraceId::from_hex(value.substr(3, 32));
  const auto span = SpanId::from_hex(value.substr(36, 16));
  const auto flags = hex_byte(value.substr(53, 2));
  if (!trace || !trace->valid() || !span || !span->valid() || !flags) return std::nullopt;
  const auto known = static_cast<std::uint8_t>(*flags & (kFlagSampled | kFlagRandom));
  return RemoteContext{*trace, *span, known, {}, kTraceparent};
}

std::string join_tracestate(const CarriedHeaders& headers) {
  Members members;
  for (const auto& [name, value] : headers) {
    if (equal_ignoring_case(name, kTracestate) && !members.add_all(value)) return {};
  }
  members.shorten();
  std::string out;
  out.reserve(members.length());
  for (std::size_t i = 0; i < members.count; ++i) {
    if (i != 0) out.push_back(',');
    out.append(members.member[i]);
  }
  return out;
}

std::optional<RemoteContext> extract_w3c(const CarriedHeaders& headers) {
  const auto value = propagation::only_value(headers, kTraceparent);
  if (!value) return std::nullopt;
  auto context = parse_traceparent(*value);
  if (context) context->trace_state = join_tracestate(headers);
  return context;
}

std::string to_traceparent(const RemoteContext& context) {
  static constexpr std::string_view kFlags = "00010203";
  const auto flags = static_cast<std::size_t>(context.flags & (kFlagSampled | kFlagRandom));
  return "00-" + context.trace.hex() + "-" + context.span.hex() + "-" + std::string(kFlags.substr(2 * flags, 2));
}

}  // namespace wirespan
