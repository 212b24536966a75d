// Bounded access to bytes somebody else wrote. Parsers use nothing else: no pointer arithmetic in protocols.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace wirespan {

using Bytes = std::span<const std::uint8_t>;

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};  // NOLINT(*-reinterpret-cast)
}
inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};  // NOLINT(*-reinterpret-cast)
}

// Reads forward through a span; nullopt when fewer bytes are left than asked for, and nothing is consumed then.
class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

  std::optional<std::uint8_t> u8() { return integer<std::uint8_t>(false); }
  std::optional<std::uint16_t> be16() { return integer<std::uint16_t>(true); }
  std::optional<std::uint32_t> be32() { return integer<std::uint32_t>(true); }
  std::optional<std::uint64_t> be64() { return integer<std::uint64_t>(true); }
  std::optional<std::uint16_t> le16() { return integer<std::uint16_t>(false); }
  std::optional<std::uint32_t> le32() { return integer<std::uint32_t>(false); }
  std::optional<std::uint64_t> le64() { return integer<std::uint64_t>(false); }

  std::optional<Bytes> take(std::size_t count) {
    if (count > left()) return std::nullopt;
    const Bytes out = bytes_.subspan(at_, count);
    at_ += count;
    return out;
  }

 private:
  template <class T>
  std::optional<T> integer(bool big_endian) {
    if (sizeof(T) > left()) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      const std::size_t shift = 8 * (big_endian ? sizeof(T) - 1 - i : i);
      value |= static_cast<std::uint64_t>(bytes_[at_ + i]) << shift;
    }
    at_ += sizeof(T);
    return static_cast<T>(value);
  }

  Bytes bytes_;
  std::size_t at_ = 0;
};

}  // namespace wirespan
