// What the file that holds a CPython interpreter tells (an executable or libpython): where it keeps what we read, and
// where its functions that make a contextvars.Context are. Trusts no length in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wirespan {

// In PyThreadState, bytes. Proven in the running process before anything is believed (bpf/core/python.h).
struct PythonOffsets {
  std::uint16_t thread_id = 0;
  std::uint16_t context = 0;
  std::uint16_t data_stack = 0;  // datastack_chunk; 0: the release has none
};

struct PythonExecutable {
  unsigned minor = 0;  // of 3.x
  PythonOffsets offsets;
  std::uint64_t context_type = 0;  // address of PyContext_Type before relocation
  std::uint64_t base = 0;          // of the file's first page before relocation
  bool relocated = false;
  std::vector<std::uint64_t> births;  // file offsets of instructions that return a new context
};

// By release: from real interpreters' DWARF (3.8.18, 3.9.18, 3.10.13, 3.11.7, 3.12.1, 3.13.0). nullopt: none that we
// know, and then nobody guesses.
[[nodiscard]] std::optional<PythonOffsets> python_offsets_of(unsigned minor);

// "python3.11", "libpython3.12.so.1.0": 11, 12. 0: the name does not say.
[[nodiscard]] unsigned python_minor_of(std::string_view file_name);

// Error.what says why not, for people.
[[nodiscard]] Result<PythonExecutable> read_python_executable(const std::string& path, unsigned minor);

}  // namespace wirespan
