#include "agent/protocols/testing/recording.h"

#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

#include "agent/protocols/common/text.h"

namespace wirespan::protocols::testing {
namespace {

std::optional<std::uint64_t> take_number(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (error != std::errc()) return std::nullopt;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  return value;
}

// One quoted text with its optional repeat count.
std::optional<std::string> take_text(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  if (line.empty() || line.front() != '"') return std::nullopt;
  std::string out;
  std::size_t at = 1;
  for (; at < line.size() && line[at] != '"'; ++at) {
    if (line[at] != '\\') {
      out.push_back(line[at]);
      continue;
    }
    if (++at == line.size()) return std::nullopt;
    const char c = line[at];
    if (c == 'x') {
      if (at + 2 >= line.size() || !is_hex(line[at + 1]) || !is_hex(line[at + 2])) return std::nullopt;
      out.push_back(static_cast<char>(hex_value(line[at + 1]) * 16 + hex_value(line[at + 2])));
      at += 2;
    } else {
      out.push_back(c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c);
    }
  }
  if (at >= line.size()) return std::nullopt;
  line.remove_prefix(at + 1);
  if (!line.empty() && line.front() == '*') {
    line.remove_prefix(1);
    const auto count = take_number(line);
    if (!count || *count * out.size() > (1U << 24U)) return std::nullopt;
    std::string repeated;
    for (std::uint64_t i = 0; i < *count; ++i) repeated += out;
    return repeated;
  }
  return out;
}

std::optional<Call> parse_call(std::string_view line) {
  Call call;
  const auto connection = take_number(line);
  if (!connection || line.size() < 2) return std::nullopt;
  call.connection = static_cast<std::uint32_t>(*connection);
  const char kind = line[1];
  line.remove_prefix(2);
  const auto time = take_number(line);
  if (!time) return std::nullopt;
  call.time_us = *time;
  switch (kind) {
    case '>':
      call.kind = Call::Kind::kToServer;
      break;
    case '<':
      call.kind = Call::Kind::kToClient;
      break;
    case 'x':
      call.kind = Call::Kind::kClosed;
      return call;
    case 'r':
      call.kind = Call::Kind::kReset;
      return call;
    default:
      return std::nullopt;
  }
  while (line.find('"') != std::string_view::npos) {
    const auto text = take_text(line);
    if (!text) return std::nullopt;
    call.bytes += *text;
  }
  return call;
}

}  // namespace

Result<Recording> parse_recording(std::string_view text) {
  constexpr std::string_view kMagic = "wirespan-conversation 1";
  if (!text.starts_with(kMagic)) return Error{"not a wirespan-conversation", 0, ""};
  text.remove_prefix(std::min(text.find('\n'), text.size()));
  Recording out;
  std::size_t number = 1;
  while (!text.empty()) {
    text.remove_prefix(1);
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end);
    if (line.empty() || line.front() == '#') continue;
    auto call = parse_call(line);
    if (!call) return Error{"line " + std::to_string(number) + ": not a call", 0, ""};
    out.push_back(std::move(*call));
  }
  return out;
}

Result<Recording> load_recording(const std::filesystem::path& path) {
  const std::ifstream file(path);
  if (!file) return errno_error("open " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return parse_recording(text.str());
}

}  // namespace wirespan::protocols::testing
