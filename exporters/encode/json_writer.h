// Writes JSON (RFC 8259) straight into a buffer. It keeps the commas; the caller keeps the brackets balanced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "exporters/encode/byte_buffer.h"

namespace wirespan {

class JsonWriter {
 public:
  explicit JsonWriter(ByteBuffer& out) : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  // `key` is the caller's own: plain ASCII, nothing to escape.
  void key(std::string_view key) {
    char* at = comma(out_.reserve(key.size() + 4));
    *at++ = '"';
    at = put(at, key);
    *at++ = '"';
    *at++ = ':';
    out_.commit(at);
    needs_comma_ = false;
  }
  // Somebody else's, escaped as a value is.
  void text_key(std::string_view key) {
    text(key);
    more(":");
  }
  // JSON as it stands, for what is written often: opening(R"({"key":)") goes where a value may, and a value follows;
  // more(R"(,"value":)") behind a value, and a value follows; closing("}}") ends both.
  void opening(std::string_view json) {
    out_.commit(put(comma(out_.reserve(json.size() + 1)), json));
    needs_comma_ = false;
  }
  void more(std::string_view json) {
    out_.append(json);
    needs_comma_ = false;
  }
  void closing(std::string_view json) {
    out_.append(json);
    needs_comma_ = true;
  }

  // Bytes that are not UTF-8 become U+FFFD.
  void text(std::string_view value) {
    char* at = comma(out_.reserve(value.size() + 3));
    *at++ = '"';
    if (plain(value)) {
      at = put(at, value);
      *at++ = '"';
      out_.commit(at);
    } else {
      out_.commit(at);
      escaped(value);
    }
  }
  // Values of the open array or object that will be written again: from begin_part(), where one may stand, to the end
  // of the last one; repeat() writes them once more.
  [[nodiscard]] std::size_t begin_part() {
    out_.commit(comma(out_.reserve(1)));
    needs_comma_ = false;
    return out_.size();
  }
  [[nodiscard]] std::size_t written() const { return out_.size(); }
  void repeat(std::size_t at, std::size_t size) {
    char* to = comma(out_.reserve(size + 1));
    std::memcpy(to, out_.data() + at, size);
    out_.commit(to + size);
  }

  // A value of at most so many bytes, written through a plain pointer from start_value() to finish_value().
  [[nodiscard]] char* start_value(std::size_t most) { return comma(out_.reserve(most + 1)); }
  void finish_value(const char* end) { out_.commit(end); }
  static char* put(char* at, std::string_view bytes) { return copy_run(at, bytes.data(), bytes.size()); }
  static char* put_hex(char* at, std::string_view bytes);
  // At most kLongestNumber bytes.
  static char* put_number(char* at, std::int64_t value);
  static char* put_number(char* at, std::uint64_t value);
  static constexpr std::size_t kLongestNumber = 32;
  // Nothing to escape: ASCII without control characters, quotes and backslashes. Eight bytes at a time.
  static bool plain(std::string_view text) {
    constexpr std::uint64_t kOnes = 0x0101010101010101U;
    constexpr std::uint64_t kHigh = 0x8080808080808080U;
    const auto has_zero = [](std::uint64_t x) { return (x - kOnes) & ~x & kHigh; };
    const auto bad = [&](std::uint64_t x) {
      return (x & kHigh) | ((x - kOnes * 0x20) & ~x & kHigh) | has_zero(x ^ kOnes * '"') | has_zero(x ^ kOnes * '\\');
    };
    std::uint64_t seen = 0;
    std::size_t at = 0;
    for (; at + 8 <= text.size(); at += 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, text.data() + at, 8);
      seen |= bad(eight);
    }
    if (at == text.size()) return seen == 0;
    if (at > 0) {  // the last eight, some of them once more
      std::uint64_t last = 0;
      std::memcpy(&last, text.data() + text.size() - 8, 8);
      return (seen | bad(last)) == 0;
    }
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte >= 0x80 || c == '"' || c == '\\') return false;
    }
    return true;
  }

  // Bytes as lower-case hexadecimal, in quotes.
  void hex(std::string_view bytes);
  void number(std::int64_t value) { digits(value, false); }
  void number(std::uint64_t value) { digits(value, false); }
  // In quotes, as proto3's JSON mapping has 64-bit integers.
  void quoted(std::int64_t value) { digits(value, true); }
  void quoted(std::uint64_t value) { digits(value, true); }
  // "NaN", "Infinity" and "-Infinity" in quotes, as proto3's JSON mapping has them.
  void number(double value);
  void boolean(bool value) {
    opening(value ? "true" : "false");
    needs_comma_ = true;
  }

 private:
  [[nodiscard]] char* comma(char* at) {
    if (needs_comma_) *at++ = ',';
    needs_comma_ = true;
    return at;
  }
  void open(char bracket) {
    char* at = comma(out_.reserve(2));
    *at++ = bracket;
    out_.commit(at);
    needs_comma_ = false;
  }
  void close(char bracket) {
    char* at = out_.reserve(1);
    *at++ = bracket;
    out_.commit(at);
    needs_comma_ = true;
  }
  void escaped(std::string_view value);
  template <class T>
  void digits(T value, bool quote);

  ByteBuffer& out_;
  bool needs_comma_ = false;
};

}  // namespace wirespan
