// Ids are types.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/hash.h"

namespace wirespan {

// One end of a connection, unique for the life of the agent. Capture makes it from the socket's inode number and a
// generation, so a reused inode number is a new ConnId.
enum class ConnId : std::uint64_t {};

// W3C trace-id, big-endian as on the wire. All zero is invalid (W3C Trace Context level 2, 3.2.2.3).
struct TraceId {
  std::array<std::uint8_t, 16> bytes{};
  [[nodiscard]] bool valid() const;
  [[nodiscard]] std::string hex() const;
  // 32 lower-case hex digits, else nullopt.
  [[nodiscard]] static std::optional<TraceId> from_hex(std::string_view hex);
  [[nodiscard]] static TraceId from_u64(std::uint64_t high, std::uint64_t low);
  auto operator<=>(const TraceId&) const = default;
};

struct SpanId {
  std::array<std::uint8_t, 8> bytes{};
  [[nodiscard]] bool valid() const;
  [[nodiscard]] std::string hex() const;
  // 16 lower-case hex digits, else nullopt.
  [[nodiscard]] static std::optional<SpanId> from_hex(std::string_view hex);
  [[nodiscard]] static SpanId from_u64(std::uint64_t value);
  [[nodiscard]] std::uint64_t to_u64() const;
  auto operator<=>(const SpanId&) const = default;
};

enum class SpanRole : std::uint8_t { kClient, kServer };

// The identity of an exchange that both ends compute alone (docs/adr/0002): where its request begins, as the absolute
// TCP sequence number (A), and the first sequence number of the answering direction (R). Neither changes through NAT,
// neither depends on which thread reads when; pipelining cannot make it ambiguous. Unix sockets, which have no sequence
// numbers, use the pair's socket inode numbers and byte counts mixed with the host's boot id.
struct ExchangeKey {
  std::uint64_t a = 0;
  std::uint64_t r = 0;
  std::uint64_t stream = 0;  // stream id of a multiplexed protocol, else 0
  [[nodiscard]] bool valid() const { return a != 0 || r != 0; }
  [[nodiscard]] std::uint64_t hash() const { return combine64(combine64(combine64(0x7769726573706eU, a), r), stream); }
  auto operator<=>(const ExchangeKey&) const = default;
};

// The span id of one end of an exchange: the other end's agent computes the same.
[[nodiscard]] SpanId span_id_of(const ExchangeKey& key, SpanRole role);

}  // namespace wirespan

template <>
struct std::hash<wirespan::ExchangeKey> {
  std::size_t operator()(const wirespan::ExchangeKey& key) const noexcept { return key.hash(); }
};
template <>
struct std::hash<wirespan::TraceId> {
  std::size_t operator()(const wirespan::TraceId& id) const noexcept {
    std::uint64_t h = 0;
    for (const std::uint8_t b : id.bytes) h = (h << 8U | h >> 56U) ^ b;
    return wirespan::mix64(h);
  }
};
template <>
struct std::hash<wirespan::SpanId> {
  std::size_t operator()(const wirespan::SpanId& id) const noexcept { return wirespan::mix64(id.to_u64()); }
};
