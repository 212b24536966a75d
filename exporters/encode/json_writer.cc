#include "exporters/encode/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "exporters/encode/utf8.h"

namespace wirespan {
namespace {

constexpr bool plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\';
}

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out.append("\\\"");
      return;
    case '\\':
      out.append("\\\\");
      return;
    case '\n':
      out.append("\\n");
      return;
    case '\r':
      out.append("\\r");
      return;
    case '\t':
      out.append("\\t");
      return;
    default: {
      static constexpr std::string_view kDigits = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      out.append("\\u00");
      out.push_back(kDigits[byte >> 4U]);
      out.push_back(kDigits[byte & 15U]);
    }
  }
}

}  // namespace

void JsonWriter::open(char bracket) {
  comma();
  out_.push_back(bracket);
  needs_comma_ = false;
}

void JsonWriter::close(char bracket) {
  out_.push_back(bracket);
  needs_comma_ = true;
}

void JsonWriter::key(std::string_view key) {
  comma();
  out_.push_back('"');
  out_.append(key);
  out_.append("\":");
  needs_comma_ = false;
}

void JsonWriter::text(std::string_view value) {
  comma();
  out_.push_back('"');
  while (!value.empty()) {
    std::size_t run = 0;
    while (run < value.size() && plain(value[run])) ++run;
    out_.append(value.substr(0, run));
    value.remove_prefix(run);
    if (value.empty()) break;
    const std::size_t length = utf8_length(value);
    if (length == 0) {
      out_.append("\xEF\xBF\xBD");
    } else if (length == 1) {
      append_escaped(out_, value.front());
    } else {
      out_.append(value.substr(0, length));
    }
    value.remove_prefix(length == 0 ? 1 : length);
  }
  out_.push_back('"');
}

template <class T>
void JsonWriter::digits(T value) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  out_.append(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
}

void JsonWriter::number(std::int64_t value) {
  comma();
  digits(value);
}
void JsonWriter::number(std::uint64_t value) {
  comma();
  digits(value);
}
void JsonWriter::quoted(std::int64_t value) {
  comma();
  out_.push_back('"');
  digits(value);
  out_.push_back('"');
}
void JsonWriter::quoted(std::uint64_t value) {
  comma();
  out_.push_back('"');
  digits(value);
  out_.push_back('"');
}

void JsonWriter::number(double value) {
  if (std::isnan(value)) return text("NaN");
  if (std::isinf(value)) return text(value < 0 ? "-Infinity" : "Infinity");
  comma();
  digits(value);
}

void JsonWriter::boolean(bool value) {
  comma();
  out_.append(value ? "true" : "false");
}

}  // namespace wirespan
