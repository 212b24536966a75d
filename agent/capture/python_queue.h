// Where the functions of _queue.SimpleQueue are, the queue of concurrent.futures: in a library of its own, or in the
// file that holds the interpreter. Without symbols: by the table that names them to Python. Trusts no length in the
// file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace wirespan {

// File offsets.
struct PythonQueue {
  std::vector<std::uint64_t> puts;  // entries, with the first two arguments in place
  std::vector<std::uint64_t> gets;  // instructions that return what was taken
};

// Error.what says why not, for people; ENOENT: it has no such table.
[[nodiscard]] Result<PythonQueue> read_python_queue(const std::string& path);

}  // namespace wirespan
