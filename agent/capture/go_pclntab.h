// Names and addresses of a Go executable's functions from .gopclntab, which stripping leaves: the runtime needs it.
// Source: Go's src/runtime/symtab.go (pcHeader, functab, _func) and src/debug/gosym/pclntab.go; Go 1.20 and newer
// (magic 0xfffffff1), little-endian, 64 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace wirespan {

// A view of the section's bytes, hostile or not: what does not fit is not there.
class GoPclntab {
 public:
  // nullopt: not such a table.
  [[nodiscard]] static std::optional<GoPclntab> parse(Bytes section);

  struct Function {
    std::string_view name;
    std::uint64_t offset = 0;  // of its entry, from the start of the text (runtime.text)
  };
  [[nodiscard]] std::size_t size() const { return count_; }
  // nullopt: beyond the end, or damaged.
  [[nodiscard]] std::optional<Function> at(std::size_t index) const;
  // Address of the text, where the table still says it (before Go 1.26, executables at fixed addresses); else 0.
  [[nodiscard]] std::uint64_t text_start() const { return text_start_; }

 private:
  Bytes names_;
  Bytes functions_;  // functab, and the _func structs behind it
  std::size_t count_ = 0;
  std::uint64_t text_start_ = 0;
};

}  // namespace wirespan
