// Name-based UUIDs (RFC 9562, 5.5: version 5, SHA-1), which the conventions ask for where an id must be stable.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace wirespan {

// The namespace the semantic conventions give for service.instance.id.
inline constexpr std::array<std::uint8_t, 16> kServiceInstanceNamespace = {
    0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee, 0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20};

[[nodiscard]] std::string uuid5(const std::array<std::uint8_t, 16>& name_space, std::string_view name);

// FIPS 180-4. For names only: SHA-1 is no protection against anybody.
[[nodiscard]] std::array<std::uint8_t, 20> sha1(std::string_view data);

}  // namespace wirespan
