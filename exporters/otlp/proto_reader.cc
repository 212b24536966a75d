#include "exporters/otlp/proto_reader.h"

namespace wirespan {

std::optional<std::uint64_t> ProtoReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto byte = reader_.u8();
    if (!byte) return std::nullopt;
    value |= static_cast<std::uint64_t>(*byte & 0x7FU) << shift;
    if ((*byte & 0x80U) == 0) return value;
  }
  return std::nullopt;
}

std::optional<ProtoReader::Field> ProtoReader::next() {
  const auto tag = varint();
  if (!tag || *tag >> 3U > UINT32_MAX) return std::nullopt;
  Field field;
  field.number = static_cast<std::uint32_t>(*tag >> 3U);
  switch (*tag & 7U) {
    case 0: {
      const auto value = varint();
      if (!value) return std::nullopt;
      field.value = *value;
      return field;
    }
    case 1: {
      const auto value = reader_.le64();
      if (!value) return std::nullopt;
      field.value = *value;
      return field;
    }
    case 2: {
      const auto length = varint();
      if (!length) return std::nullopt;
      const auto bytes = reader_.take(*length);
      if (!bytes) return std::nullopt;
      field.bytes = as_text(*bytes);
      return field;
    }
    case 5: {
      const auto value = reader_.le32();
      if (!value) return std::nullopt;
      field.value = *value;
      return field;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace wirespan
