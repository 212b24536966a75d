// Writes JSON (RFC 8259) straight into one string. It keeps the commas; the caller keeps the brackets balanced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wirespan {

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  // `key` is the caller's own: plain ASCII, nothing to escape.
  void key(std::string_view key);
  // Somebody else's, escaped as a value is.
  void text_key(std::string_view key) {
    text(key);
    out_.push_back(':');
    needs_comma_ = false;
  }

  // Bytes that are not UTF-8 become U+FFFD.
  void text(std::string_view value);
  void number(std::int64_t value);
  void number(std::uint64_t value);
  // In quotes, as proto3's JSON mapping has 64-bit integers.
  void quoted(std::int64_t value);
  void quoted(std::uint64_t value);
  // "NaN", "Infinity" and "-Infinity" in quotes, as proto3's JSON mapping has them.
  void number(double value);
  void boolean(bool value);

 private:
  void open(char bracket);
  void close(char bracket);
  void comma() {
    if (needs_comma_) out_.push_back(',');
    needs_comma_ = true;
  }
  template <class T>
  void digits(T value);

  std::string& out_;
  bool needs_comma_ = false;
};

}  // namespace wirespan
