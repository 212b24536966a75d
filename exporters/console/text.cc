#include "exporters/console/text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>

#include "exporters/encode/utf8.h"

namespace wirespan {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// Sorted. After Unicode 15: EastAsianWidth W and F (blocks, not single characters), and the combining marks names have.
constexpr Range kWide[] = {{0x1100, 0x115F},   {0x231A, 0x231B},   {0x2E80, 0x303E},   {0x3041, 0x33FF},
                           {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xA000, 0xA4CF},   {0xAC00, 0xD7A3},
                           {0xF900, 0xFAFF},   {0xFE30, 0xFE4F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},
                           {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
constexpr Range kZero[] = {{0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A}, {0x064B, 0x065F},
                           {0x093A, 0x094F}, {0x0E31, 0x0E3A}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200D},
                           {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};

template <std::size_t N>
bool in(const Range (&ranges)[N], char32_t c) {
  const auto* found = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                       [](char32_t value, const Range& range) { return value < range.first; });
  return found != std::begin(ranges) && c <= std::prev(found)->last;
}

// Of valid UTF-8.
char32_t decode(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  switch (character.size()) {
    case 1:
      return byte(0);
    case 2:
      return (byte(0) & 0x1FU) << 6U | (byte(1) & 0x3FU);
    case 3:
      return (byte(0) & 0x0FU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU);
    default:
      return (byte(0) & 0x07U) << 18U | (byte(1) & 0x3FU) << 12U | (byte(2) & 0x3FU) << 6U | (byte(3) & 0x3FU);
  }
}

bool obeyed_by_terminals(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

std::size_t width_of(char32_t c) {
  if (in(kZero, c)) return 0;
  return in(kWide, c) ? 2 : 1;
}

template <class Visitor>
void each_character(std::string_view text, Visitor&& visitor) {
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(1, utf8_length(text));
    if (!visitor(text.substr(0, length))) return;
    text.remove_prefix(length);
  }
}

template <class... Args>
std::string format(const char* pattern, Args... args) {
  std::array<char, 48> buffer;
  const int length = std::snprintf(buffer.data(), buffer.size(), pattern, args...);
  return {buffer.data(), static_cast<std::size_t>(std::clamp<int>(length, 0, static_cast<int>(buffer.size()) - 1))};
}

std::string three_digits(double value, std::string_view unit) {
  const char* pattern = value < 9.995 ? "%.2f %s" : value < 99.95 ? "%.1f %s" : "%.0f %s";
  return format(pattern, value, std::string(unit).c_str());
}

}  // namespace

std::string terminal_safe(std::string_view text) {
  std::string scratch;
  text = as_utf8(text, scratch);
  std::string out;
  out.reserve(text.size());
  each_character(text, [&](std::string_view character) {
    out.append(obeyed_by_terminals(decode(character)) ? std::string_view("\xEF\xBF\xBD") : character);
    return true;
  });
  return out;
}

std::size_t columns(std::string_view text) {
  std::size_t total = 0;
  each_character(text, [&](std::string_view character) {
    total += width_of(decode(character));
    return true;
  });
  return total;
}

std::string fit(std::string_view text, std::size_t width, std::string_view ellipsis) {
  const std::size_t whole = columns(text);
  if (whole <= width) return std::string(text) + std::string(width - whole, ' ');
  std::string out;
  if (width == 0) return out;
  std::size_t used = 0;
  each_character(text, [&](std::string_view character) {
    const std::size_t next = used + width_of(decode(character));
    if (next > width - 1) return false;
    out.append(character);
    used = next;
    return true;
  });
  out.append(ellipsis);
  return out + std::string(width - 1 - used, ' ');
}

std::string duration_text(std::uint64_t ns, std::string_view micro) {
  const auto value = static_cast<double>(ns);
  if (ns < 1000) return std::to_string(ns) + " ns";
  if (value < 999.5e3) return three_digits(value / 1e3, std::string(micro) + "s");
  if (value < 999.5e6) return three_digits(value / 1e6, "ms");
  const std::uint64_t seconds = ns / 1'000'000'000U;
  if (seconds < 120) return three_digits(value / 1e9, "s");
  if (seconds < 7200) {
    return format("%u m %02u s", static_cast<unsigned>(seconds / 60), static_cast<unsigned>(seconds % 60));
  }
  if (seconds < 100U * 3600) {
    return format("%u h %02u m", static_cast<unsigned>(seconds / 3600), static_cast<unsigned>(seconds / 60 % 60));
  }
  return count_text(seconds / 3600) + " h";
}

std::string count_text(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

}  // namespace wirespan
