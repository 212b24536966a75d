// What the Go linker wrote into an executable about itself.
#pragma once

#include <string>

namespace wirespan {

// "go1.22.1", or "" when the file is not a Go program. Source: cmd/go's debug/buildinfo: section .go.buildinfo, a magic
// of 14 bytes, pointer size, flags; bit 1 of the flags (Go 1.18): the version follows at offset 32 as varint length and
// text. Older ones keep it behind pointers: they are answered with "go".
[[nodiscard]] std::string go_version_of(const std::string& path);

}  // namespace wirespan
