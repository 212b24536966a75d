#include "model/ids.h"

#include <algorithm>

namespace wirespan {
namespace {

template <std::size_t N>
bool any_bit(const std::array<std::uint8_t, N>& bytes) {
  return std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b != 0; });
}

template <std::size_t N>
std::string to_hex(const std::array<std::uint8_t, N>& bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out(2 * N, '0');
  for (std::size_t i = 0; i < N; ++i) {
    out[2 * i] = kDigits[bytes[i] >> 4U];
    out[2 * i + 1] = kDigits[bytes[i] & 15U];
  }
  return out;
}

std::optional<unsigned> digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10U;
  return std::nullopt;
}

template <class Id>
std::optional<Id> parse_hex(std::string_view hex) {
  Id id;
  if (hex.size() != 2 * id.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    const auto high = digit(hex[2 * i]);
    const auto low = digit(hex[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    id.bytes[i] = static_cast<std::uint8_t>(*high << 4U | *low);
  }
  return id;
}

void put_be64(std::uint8_t* out, std::uint64_t value) {
  for (unsigned i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(value >> (56U - 8U * i));
}

}  // namespace

bool TraceId::valid() const {
  return any_bit(bytes);
}
std::string TraceId::hex() const {
  return to_hex(bytes);
}
std::optional<TraceId> TraceId::from_hex(std::string_view hex) {
  return parse_hex<TraceId>(hex);
}
TraceId TraceId::from_u64(std::uint64_t high, std::uint64_t low) {
  TraceId id;
  put_be64(id.bytes.data(), high);
  put_be64(id.bytes.data() + 8, low);
  return id;
}

bool SpanId::valid() const {
  return any_bit(bytes);
}
std::string SpanId::hex() const {
  return to_hex(bytes);
}
std::optional<SpanId> SpanId::from_hex(std::string_view hex) {
  return parse_hex<SpanId>(hex);
}
SpanId SpanId::from_u64(std::uint64_t value) {
  SpanId id;
  put_be64(id.bytes.data(), value);
  return id;
}
std::uint64_t SpanId::to_u64() const {
  std::uint64_t value = 0;
  for (const std::uint8_t b : bytes) value = value << 8U | b;
  return value;
}

SpanId span_id_of(const ExchangeKey& key, SpanRole role) {
  const std::uint64_t value = combine64(key.hash(), role == SpanRole::kClient ? 1 : 2);
  return SpanId::from_u64(value == 0 ? 1 : value);
}

}  // namespace wirespan
