// A growing run of bytes that encoders write into with a plain pointer, and that is used again for the next batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace wirespan {

// memcpy without the call for the short runs that spans are made of: two moves that may overlap. Returns the end.
inline char* copy_run(char* to, const char* from, std::size_t size) {
  const auto two = [&](auto word) {
    auto last = word;
    std::memcpy(&word, from, sizeof word);
    std::memcpy(&last, from + size - sizeof last, sizeof last);
    std::memcpy(to, &word, sizeof word);
    std::memcpy(to + size - sizeof last, &last, sizeof last);
  };
  struct Sixteen {
    std::uint64_t half[2];
  };
  if (size > 2 * sizeof(Sixteen)) {
    std::memcpy(to, from, size);
  } else if (size >= sizeof(Sixteen)) {
    two(Sixteen{});
  } else if (size >= sizeof(std::uint64_t)) {
    two(std::uint64_t{});
  } else if (size >= sizeof(std::uint32_t)) {
    two(std::uint32_t{});
  } else {
    for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
  }
  return to + size;
}

class ByteBuffer {
 public:
  [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] char* data() { return bytes_.get(); }

  // Empties it, and gives memory back that one unusual batch took.
  void clear() {
    size_ = 0;
    if (capacity_ > kKeep) release();
  }

  // Room for `more` bytes behind what is there; commit() the end of what was written. In between use a local pointer:
  // the compiler has to assume that a byte written through one changes every member.
  [[nodiscard]] char* reserve(std::size_t more) {
    if (capacity_ - size_ < more) grow(more);
    return bytes_.get() + size_;
  }
  void commit(const char* end) { size_ = static_cast<std::size_t>(end - bytes_.get()); }

  void append(std::string_view text) { commit(copy_run(reserve(text.size()), text.data(), text.size())); }

 private:
  // Four times a usual batch.
  static constexpr std::size_t kKeep = 4U << 20U;

  void grow(std::size_t more);
  void release();

  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace wirespan
