// Where the runtime of each Go release keeps what the agent reads in a process's memory. Bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace wirespan {

struct GoOffsets {
  std::uint16_t goid = 0;    // struct g
  std::uint16_t parent = 0;  // struct g: parentGoid
  std::uint16_t m = 0;       // struct g
  std::uint16_t next = 0;    // struct p: goidcache
  std::uint16_t sendx = 0;   // struct hchan, this and the following
  std::uint16_t recvx = 0;
  std::uint16_t recvq = 0;
  std::uint16_t sendq = 0;
  bool operator==(const GoOffsets&) const = default;
};

// By release, "go1.22.1": generated from real executables' DWARF, see go_offsets/table.sh. nullopt: none that we know,
// a development version or a fork ("devel go1.27-abcdef"), and then nobody guesses.
[[nodiscard]] std::optional<GoOffsets> go_offsets_of(std::string_view version);

// From the DWARF of the executable behind `fd` itself, where it has some. Takes up to a second for large executables.
[[nodiscard]] std::optional<GoOffsets> go_offsets_from_dwarf(int fd);

}  // namespace wirespan
