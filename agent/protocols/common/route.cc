#include "agent/protocols/common/route.h"

#include <algorithm>

#include "agent/protocols/common/identifiers.h"
#include "agent/protocols/common/text.h"

namespace wirespan::protocols {
namespace {

constexpr std::size_t kMaxSegments = 12;
constexpr std::size_t kMaxSegment = 64;
constexpr std::size_t kMaxExtension = 8;

bool is_value(std::string_view segment) {
  return segment.size() > kMaxSegment ||
         std::any_of(segment.begin(), segment.end(), [](char c) { return c == '%' || c <= ' ' || c > '~'; });
}

bool is_email(std::string_view segment) {
  const std::size_t at = segment.find('@');
  return at != std::string_view::npos && at > 0 && segment.find('.', at) != std::string_view::npos;
}

// "" when the token may stay as it is.
std::string_view placeholder(std::string_view token) {
  switch (token_kind(token)) {
    case TokenKind::kWord:
      return {};
    case TokenKind::kDate:
      return "{date}";
    default:
      return "{id}";
  }
}

bool has_extension(std::string_view segment, std::size_t dot) {
  if (dot == std::string_view::npos || dot == 0) return false;
  const std::string_view extension = segment.substr(dot + 1);
  return !extension.empty() && extension.size() <= kMaxExtension && is_alpha(extension.front()) &&
         std::all_of(extension.begin(), extension.end(), [](char c) { return is_alpha(c) || is_digit(c); });
}

// "main.3f2a9c1b.js" -> "main.{id}.js"; numbers between dots are versions and stay, unless they are all of the stem.
void append_file(std::string& out, std::string_view stem) {
  if (const std::string_view whole = placeholder(stem); !whole.empty() && stem.find('.') == std::string_view::npos) {
    out.append(whole);
    return;
  }
  while (true) {
    const std::size_t dot = stem.find('.');
    const std::string_view part = stem.substr(0, dot);
    const bool version = token_kind(part) == TokenKind::kNumber && part.size() < 6;
    const std::string_view instead = version ? std::string_view() : placeholder(part);
    out.append(instead.empty() ? part : instead);
    if (dot == std::string_view::npos) return;
    out.push_back('.');
    stem.remove_prefix(dot + 1);
  }
}

void append_segment(std::string& out, std::string_view segment) {
  if (is_value(segment)) {
    out.append("{value}");
    return;
  }
  if (is_email(segment)) {
    out.append("{id}");
    return;
  }
  const std::size_t dot = segment.rfind('.');
  if (has_extension(segment, dot)) {
    append_file(out, segment.substr(0, dot));
    out.append(segment.substr(dot));
    return;
  }
  const std::string_view instead = placeholder(segment);
  out.append(instead.empty() ? segment : instead);
}

}  // namespace

void append_route(std::string& out, std::string_view path) {
  if (path.empty() || path.front() != '/') out.push_back('/');
  for (std::size_t segments = 0; !path.empty();) {
    if (path.front() == '/') {
      if (out.empty() || out.back() != '/') out.push_back('/');
      path.remove_prefix(1);
      continue;
    }
    const std::size_t end = std::min(path.find('/'), path.size());
    if (++segments > kMaxSegments) {
      out.push_back('*');
      return;
    }
    append_segment(out, path.substr(0, std::min(end, path.find(';'))));
    path.remove_prefix(end);
  }
}

}  // namespace wirespan::protocols
