// Where a living Node process keeps its async ids: four doubles (Environment::async_hooks, async_id_fields) that an
// AliasedBuffer points to, {isolate, count, byte offset, pointer}. Looked for in memory, so that no release has to be
// known: Node 12 to 24 and on.
#pragma once

#include <cstdint>
#include <string>

#include "agent/capture/mapped_file.h"
#include "base/result.h"

namespace wirespan {

// The program or library that has Node in it, from /proc/PID/maps, whose text is `maps`. No path: it runs no Node.
[[nodiscard]] MappedFile node_mapping(std::uint32_t pid, const std::string& maps);

// Address of the main thread's ids. EAGAIN: not there, perhaps not yet. Else Error.what says why not, for people.
[[nodiscard]] Result<std::uint64_t> find_async_ids(std::uint32_t pid, const std::string& maps);

}  // namespace wirespan
