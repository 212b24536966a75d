// Where the functions of Python's queues are. _queue.SimpleQueue, that of concurrent.futures: in a library of its own,
// or in the file that holds the interpreter. And collections.deque, of which queue.Queue and programs' own queues are
// made: in the latter.
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

// File offsets, with the arguments in place.
struct PythonDeque {
  std::uint64_t append = 0;
  std::uint64_t popleft = 0;
};

// As read_python_queue.
[[nodiscard]] Result<PythonDeque> read_python_deque(const std::string& path);

}  // namespace wirespan
