#include "agent/protocols/http1/framing.h"

#include <algorithm>

#include "agent/protocols/common/text.h"

namespace wirespan::http1 {
namespace {

// Chunk extensions and trailer lines beyond this are an attack; servers refuse them earlier.
constexpr std::size_t kMaxLine = 16384;

}  // namespace

Body request_body(const Head& head) {
  // RFC 9112 6.3, rule 4: not chunked at last, so the length cannot be told; the server must answer 400 and close.
  if (head.transfer_encoding) return {head.chunked ? Body::Kind::kChunked : Body::Kind::kUnknown, 0};
  if (head.bad_length) return {Body::Kind::kUnknown, 0};                                        // rule 5
  if (head.content_length.value_or(0) > 0) return {Body::Kind::kLength, *head.content_length};  // rule 6
  return {Body::Kind::kNone, 0};                                                                // rule 7
}

Body response_body(const Head& head, Asked asked) {
  if (head.status == 101) return {Body::Kind::kTunnel, 0};  // RFC 9110 15.2.2
  const bool success = head.status >= 200 && head.status < 300;
  if (asked == Asked::kConnect && success) return {Body::Kind::kTunnel, 0};  // rule 2
  if (asked == Asked::kHead || head.status < 200 || head.status == 204 || head.status == 304) {
    return {Body::Kind::kNone, 0};  // rule 1
  }
  // Transfer-Encoding overrides Content-Length (rule 3); not chunked at last, the body ends with the connection (4).
  if (head.transfer_encoding) return {head.chunked ? Body::Kind::kChunked : Body::Kind::kUntilClose, 0};
  if (head.bad_length) return {Body::Kind::kUnknown, 0};  // rule 5: the user agent must close
  if (head.content_length) {                              // rule 6
    return {*head.content_length > 0 ? Body::Kind::kLength : Body::Kind::kNone, *head.content_length};
  }
  return {Body::Kind::kUntilClose, 0};  // rule 8
}

ChunkLine chunk_line(std::string_view text) {
  ChunkLine out;
  std::size_t at = 0;
  for (; at < text.size() && protocols::is_hex(text[at]); ++at) {
    if (out.size >= (std::uint64_t{1} << 58U)) {
      out.state = ChunkLine::State::kBad;
      return out;
    }
    out.size = out.size * 16 + static_cast<std::uint64_t>(protocols::hex_value(text[at]));
  }
  if (at == text.size()) return out;
  // Some senders pad the size with spaces (RFC 9112 7.1 says they must not).
  const char after = text[at];
  if (at == 0 || (after != '\r' && after != '\n' && after != ';' && after != ' ' && after != '\t')) {
    out.state = ChunkLine::State::kBad;
    return out;
  }
  const std::size_t end = text.find('\n', at);
  if (end == std::string_view::npos) {
    if (text.size() > kMaxLine) out.state = ChunkLine::State::kBad;
    return out;
  }
  out.state = ChunkLine::State::kComplete;
  out.bytes = end + 1;
  return out;
}

TrailerLine trailer_line(std::string_view text) {
  TrailerLine out;
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) {
    out.bad = text.size() > kMaxLine;
    return out;
  }
  out.bytes = end + 1;
  out.empty = end == 0 || (end == 1 && text.front() == '\r');
  return out;
}

void LastChunkWatch::add(std::string_view bytes, std::uint64_t length) {
  if (bytes.size() < length && bytes.size() < last_.size()) size_ = 0;  // what precedes `bytes` is not known
  for (const char c : bytes.substr(bytes.size() - std::min(bytes.size(), last_.size()))) {
    if (size_ == last_.size()) {
      std::move(last_.begin() + 1, last_.end(), last_.begin());
      --size_;
    }
    last_[size_++] = c;
  }
}

bool LastChunkWatch::seen() const {
  const std::string_view last(last_.data(), size_);
  if (in_trailer_) return last.ends_with("\r\n\r\n");
  // The five alone are enough when a call begins with them: no sender splits a line end.
  return last == "\r\n0\r\n\r\n" || last == "0\r\n\r\n";
}

}  // namespace wirespan::http1
