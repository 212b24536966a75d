#include "agent/enrich/uuid.h"

#include <bit>

namespace wirespan {
namespace {

void compress(std::array<std::uint32_t, 5>& state, const std::uint8_t* block) {
  std::array<std::uint32_t, 80> w{};
  for (std::size_t i = 0; i < 16; ++i) {
    w[i] = static_cast<std::uint32_t>(block[4 * i]) << 24U | static_cast<std::uint32_t>(block[4 * i + 1]) << 16U |
           static_cast<std::uint32_t>(block[4 * i + 2]) << 8U | static_cast<std::uint32_t>(block[4 * i + 3]);
  }
  for (std::size_t i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  auto [a, b, c, d, e] = state;
  for (std::size_t i = 0; i < 80; ++i) {
    std::uint32_t f = 0;
    std::uint32_t k = 0;
    if (i < 20) {
      f = (b & c) | (~b & d);
      k = 0x5a827999U;
    } else if (i < 40) {
      f = b ^ c ^ d;
      k = 0x6ed9eba1U;
    } else if (i < 60) {
      f = (b & c) | (b & d) | (c & d);
      k = 0x8f1bbcdcU;
    } else {
      f = b ^ c ^ d;
      k = 0xca62c1d6U;
    }
    const std::uint32_t next = std::rotl(a, 5) + f + e + k + w[i];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

}  // namespace

std::array<std::uint8_t, 20> sha1(std::string_view data) {
  std::array<std::uint32_t, 5> state = {0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U, 0xc3d2e1f0U};
  std::string padded(data);
  padded.push_back('\x80');
  while (padded.size() % 64 != 56) padded.push_back('\0');
  const std::uint64_t bits = std::uint64_t{data.size()} * 8;
  for (unsigned i = 0; i < 8; ++i) padded.push_back(static_cast<char>(bits >> (56U - 8U * i) & 0xffU));
  std::array<std::uint8_t, 64> block{};
  for (std::size_t at = 0; at < padded.size(); at += 64) {
    for (std::size_t i = 0; i < 64; ++i) block[i] = static_cast<std::uint8_t>(padded[at + i]);
    compress(state, block.data());
  }
  std::array<std::uint8_t, 20> out{};
  for (std::size_t i = 0; i < 20; ++i) out[i] = static_cast<std::uint8_t>(state[i / 4] >> (24U - 8U * (i % 4)));
  return out;
}

std::string uuid5(const std::array<std::uint8_t, 16>& name_space, std::string_view name) {
  std::string data(name_space.begin(), name_space.end());
  data.append(name);
  auto hash = sha1(data);
  hash[6] = static_cast<std::uint8_t>((hash[6] & 0x0fU) | 0x50U);
  hash[8] = static_cast<std::uint8_t>((hash[8] & 0x3fU) | 0x80U);
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out.push_back(kDigits[hash[i] >> 4U]);
    out.push_back(kDigits[hash[i] & 15U]);
  }
  return out;
}

}  // namespace wirespan
