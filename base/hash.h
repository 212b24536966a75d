// Hashes that both ends of a connection, on different hosts, compute alike: fixed forever, independent of endianness
// and of the standard library. Finaliser of splitmix64 (Steele, Lea, Flood 2014).
#pragma once

#include <cstdint>

namespace wirespan {

constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

constexpr std::uint64_t combine64(std::uint64_t seed, std::uint64_t value) {
  return mix64(seed ^ mix64(value));
}

}  // namespace wirespan
