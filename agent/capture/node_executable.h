// Where in a file of Node's the functions are that tell what its event loop turns to without a socket. By name:
// official builds keep their symbols.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace wirespan {

struct NodeExecutable {
  // Offsets in the file, of functions' entries.
  std::vector<std::uint64_t> begins;    // the loop turns to timers, immediates, results, connections
  std::vector<std::uint64_t> makes;     // a socket is made, or taken for something else
  std::vector<std::uint64_t> sets;      // a timer is set
  std::vector<std::uint64_t> resolves;  // a promise is resolved or rejected
};

// Error.what says why not, for people.
[[nodiscard]] Result<NodeExecutable> read_node_executable(const std::string& path);

}  // namespace wirespan
