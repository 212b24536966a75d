// The table gHotSpotVMStructs, in which HotSpot says where it keeps what its own serviceability agent asks for: where
// fields lie in its structures, where static ones are, how large a structure is.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "agent/capture/process_memory.h"
#include "base/result.h"

namespace wirespan {

// Addresses of the tables and of what says how they are to be read, before relocation.
struct JavaSymbols {
  std::uint64_t base = 0;  // of the file's first page
  std::uint64_t table = 0;
  std::uint64_t stride = 0;
  std::uint64_t type_name = 0;
  std::uint64_t field_name = 0;
  std::uint64_t is_static = 0;
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint64_t types = 0;
  std::uint64_t types_stride = 0;
  std::uint64_t types_name = 0;
  std::uint64_t types_size = 0;
};
// Error.what says why not, for people.
[[nodiscard]] Result<JavaSymbols> read_java_symbols(const std::string& path);

// Of one process, as far as we ask. Names are HotSpot's: "JavaThread::_vthread".
class JavaTable {
 public:
  // bias: of libjvm in the process. EAGAIN: not yet, it is still starting.
  [[nodiscard]] static Result<JavaTable> read(const ProcessMemory& memory, std::uint64_t bias,
                                              const JavaSymbols& symbols);

  [[nodiscard]] bool has(const char* field) const { return fields_.contains(field); }
  // 0: there is none such, or none that may be believed.
  [[nodiscard]] std::uint16_t offset(const char* field) const;
  // Of a static one; 0: there is none such.
  [[nodiscard]] std::uint64_t address(const char* field) const;
  // In bytes; 0: not known.
  [[nodiscard]] std::uint64_t size(const char* type) const;

 private:
  struct Field {
    std::uint64_t offset = 0;
    std::uint64_t address = 0;
  };
  std::map<std::string, Field> fields_;
  std::map<std::string, std::uint64_t> sizes_;
};

}  // namespace wirespan
