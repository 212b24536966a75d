// What an executable tells of the tokio in it (Rust's runtime of tasks): where it keeps the running task, and where its
// functions that wake and begin tasks are. From its own symbols, which stripping removes. Trusts no length in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/capture/mapped_file.h"
#include "agent/capture/process_memory.h"
#include "base/result.h"
#include "bpf/abi/maps.h"

namespace wirespan {

// Addresses are those before relocation.
struct TokioExecutable {
  std::string version;  // "1.45.0", "" when no path of its sources is in it
  std::uint64_t base = 0;
  bool relocated = false;
  std::int32_t context = 0;              // the thread-local CONTEXT, from the thread pointer
  std::uint16_t words = 0;               // of it
  std::int32_t current = 0;              // in it the running task's Id, as its code says; 0: that does not tell
  bool tagged = false;                   // the word before that says whether it counts
  std::vector<std::uint64_t> schedules;  // functions that stand in the tasks' tables
  struct Range {
    std::uint64_t address = 0;
    std::uint64_t size = 0;
  };
  std::vector<Range> tables;  // where those lie
  // File offsets at which to probe the functions that wake a task, one of each; and those that take in a new one,
  // or one that may block its thread (none: inlined away).
  std::vector<std::uint64_t> wakes_by_value;
  std::vector<std::uint64_t> wakes_by_reference;
  std::vector<std::uint64_t> spawns;
  std::vector<std::uint64_t> spawns_blocking;
  // Those that send and get through a oneshot, and that let go of a semaphore; none of the first two where the program
  // was optimized as a whole.
  std::vector<std::uint64_t> replies;
  std::vector<std::uint64_t> gets;
  std::vector<std::uint64_t> lets_go;
};

// The executable of a process. From /proc/PID/maps, whose text is `maps`. An empty path: it cannot be told.
[[nodiscard]] MappedFile executable_mapping(std::uint32_t pid, const std::string& maps);

// Error.code ENOENT: there is no tokio in it. Else Error.what says why it is not understood, for people.
[[nodiscard]] Result<TokioExecutable> read_tokio_executable(const std::string& path);

// The rest is read from the living process, whose tables are relocated.
[[nodiscard]] Result<ws_tokio_process> read_tokio_process(const ProcessMemory& memory, std::uint64_t start,
                                                          const TokioExecutable& executable);

// Of a task's table of functions, the words from `schedule` on: the offset of its Id among three, 0: none such.
// For tests.
[[nodiscard]] std::uint16_t id_offset_in_table(const std::vector<std::uint64_t>& words);

// Sets where the running task is named. False: not certain yet.
[[nodiscard]] bool learn_current(const ws_tokio_guess& guess, ws_tokio_process& process);

}  // namespace wirespan
