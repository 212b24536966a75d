#include "correlator/inference/span_file.h"

#include <zlib.h>

#include <cerrno>
#include <charconv>
#include <memory>

namespace wirespan::inference {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 20U;
constexpr std::size_t kMaxLine = std::size_t{1} << 16U;

// A cursor over one line. Escapes in strings are kept as written: the values are compared, never shown.
class Line {
 public:
  explicit Line(std::string_view text) : text_(text) {}

  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool string(std::string_view& out) {
    if (!take('"')) return false;
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2U : 1U;
    if (at_ >= text_.size()) return false;
    out = text_.substr(begin, at_ - begin);
    ++at_;
    return true;
  }
  // A number, true, false or null; "" for null.
  bool word(std::string_view& out) {
    skip_space();
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}' && text_[at_] != ' ') ++at_;
    out = text_.substr(begin, at_ - begin);
    if (out == "null") out = {};
    return at_ > begin;
  }
  [[nodiscard]] char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

bool integer(std::string_view text, std::int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse(std::string_view text, FileSpan& span) {
  Line line(text);
  bool has_start = false;
  bool has_end = false;
  std::string_view kind;
  if (!line.take('{')) return false;
  if (line.take('}')) return false;
  do {
    std::string_view name;
    std::string_view value;
    if (!line.string(name) || !line.take(':')) return false;
    if (!(line.peek() == '"' ? line.string(value) : line.word(value))) return false;
    if (name == "span_id")
      span.id = value;
    else if (name == "service")
      span.service = value;
    else if (name == "instance")
      span.instance = value;
    else if (name == "op")
      span.op = value;
    else if (name == "peer_service")
      span.peer_service = value;
    else if (name == "wire_span_id")
      span.wire_id = value;
    else if (name == "io")
      span.io = value;
    else if (name == "conn")
      span.conn = value;
    else if (name == "kind")
      kind = value;
    else if (name == "start_us")
      has_start = integer(value, span.start_us);
    else if (name == "end_us")
      has_end = integer(value, span.end_us);
    else if (name == "tid_start" && !value.empty() && !integer(value, span.tid_start))
      return false;
    else if (name == "tid_end" && !value.empty() && !integer(value, span.tid_end))
      return false;
  } while (line.take(','));
  if (!line.take('}')) return false;
  span.client = kind == "client";
  return has_start && has_end && !span.id.empty() && (span.client || kind == "server");
}

struct CloseGz {
  void operator()(gzFile_s* f) const { gzclose(f); }
};

}  // namespace

Result<SpanFile> read_span_file(const std::string& path) {
  // zlib reads a plain file as it is.
  const std::unique_ptr<gzFile_s, CloseGz> file(gzopen(path.c_str(), "rb"));
  if (!file) return errno_error("open " + path);
  gzbuffer(file.get(), 1U << 17U);
  SpanFile out;
  std::size_t number = 0;
  std::string rest;
  while (true) {
    std::string& block = out.blocks.emplace_back();
    block.reserve(kBlock + kMaxLine);
    block = rest;
    rest.clear();
    const std::size_t kept = block.size();
    block.resize(kept + kBlock);
    const int got = gzread(file.get(), block.data() + kept, kBlock);
    if (got < 0) {
      int code = 0;
      return Error{"read " + path + ": " + gzerror(file.get(), &code), EIO, {}};
    }
    block.resize(kept + static_cast<std::size_t>(got));
    const bool last = static_cast<std::size_t>(got) < kBlock;
    std::string_view left = block;
    while (!left.empty()) {
      std::size_t end = left.find('\n');
      if (end == std::string_view::npos) {
        if (!last) break;
        end = left.size();
      }
      const std::string_view line = left.substr(0, end);
      left.remove_prefix(std::min(end + 1, left.size()));
      ++number;
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      FileSpan span;
      if (!parse(line, span)) {
        return Error{path + ": line " + std::to_string(number) + " is not a span", EINVAL,
                     "Write one JSON object with span_id, service, kind, start_us and end_us a line"};
      }
      out.spans.push_back(span);
    }
    if (left.size() > kMaxLine)
      return Error{path + ": line " + std::to_string(number + 1) + " is too long", EINVAL, {}};
    rest.assign(left);
    if (last) return out;
  }
}

}  // namespace wirespan::inference
