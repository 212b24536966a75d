// Reads the few small protobuf messages a receiver answers with. Bounded; what is malformed ends it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace wirespan {

class ProtoReader {
 public:
  struct Field {
    std::uint32_t number = 0;
    std::uint64_t value = 0;  // varint, fixed32, fixed64
    std::string_view bytes;   // length-delimited
  };

  explicit ProtoReader(std::string_view message) : reader_(as_bytes(message)) {}

  // nullopt at the end, and at the first thing that is not protobuf. Groups are not.
  std::optional<Field> next();

 private:
  std::optional<std::uint64_t> varint();

  Reader reader_;
};

}  // namespace wirespan
