// Where the HotSpot JVM of a living process keeps what tells its virtual threads apart. HotSpot says so itself, in the
// table gHotSpotVMStructs that its own serviceability agent reads; how the C library and java.lang.Thread lie is found
// by trying, on threads of the process that are known from HotSpot's own list.
#pragma once

#include <cstdint>
#include <string>

#include "agent/capture/mapped_file.h"
#include "base/result.h"
#include "bpf/abi/maps.h"

namespace wirespan {

// Where libjvm lies in a process. From /proc/PID/maps, whose text is `maps`.
[[nodiscard]] MappedFile java_mapping(std::uint32_t pid, const std::string& maps);

// Addresses of the table and of what says how it is to be read, before relocation.
struct JavaSymbols {
  std::uint64_t base = 0;  // of the file's first page
  std::uint64_t table = 0;
  std::uint64_t stride = 0;
  std::uint64_t type_name = 0;
  std::uint64_t field_name = 0;
  std::uint64_t is_static = 0;
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
};
// Error.what says why not, for people.
[[nodiscard]] Result<JavaSymbols> read_java_symbols(const std::string& path);

// EAGAIN: not yet, it is still starting. Else Error.what says why not, for people.
[[nodiscard]] Result<ws_java_process> read_java_process(std::uint32_t pid, const MappedFile& mapping,
                                                        const JavaSymbols& symbols);

}  // namespace wirespan
