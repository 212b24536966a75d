// Where an HTTP/1.x body ends (RFC 9112, sections 6 and 7). Pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/protocols/http1/head.h"

namespace wirespan::http1 {

// What of a request its response's framing depends on.
enum class Asked : std::uint8_t { kOther, kHead, kConnect };

struct Body {
  enum class Kind : std::uint8_t {
    kNone,
    kLength,
    kChunked,
    kUntilClose,
    kUnknown,  // the framing is an error; what follows cannot be told
    kTunnel,   // the connection changes over: 101, or 2xx to CONNECT
  };
  Kind kind = Kind::kNone;
  std::uint64_t length = 0;
};
[[nodiscard]] Body request_body(const Head& head);
[[nodiscard]] Body response_body(const Head& head, Asked asked);

// 1xx: another response follows (RFC 9110 15.2), but 101 is the last HTTP on the connection.
[[nodiscard]] inline bool is_interim(unsigned status) {
  return status < 200 && status != 101;
}

// A chunk-size line with its extensions (RFC 9112 7.1).
struct ChunkLine {
  enum class State : std::uint8_t { kComplete, kPartial, kBad } state = State::kPartial;
  std::uint64_t size = 0;  // of the chunk's data
  std::size_t bytes = 0;   // of the line, with its end
};
[[nodiscard]] ChunkLine chunk_line(std::string_view text);

// The line at the front with its end, nullopt if it does not end; `bad` when it is longer than any sane one.
struct TrailerLine {
  std::size_t bytes = 0;  // 0: not complete
  bool empty = false;     // ends the message
  bool bad = false;
};
[[nodiscard]] TrailerLine trailer_line(std::string_view text);

// Finds the last chunk ("0" CRLF CRLF behind a line end) at the end of a call when chunk sizes were not captured. A
// body may contain it too, but not likely at the very end of a call.
class LastChunkWatch {
 public:
  // in_trailer: the last chunk was seen, so an empty line ends the body.
  void reset(bool in_trailer = false) {
    size_ = 0;
    in_trailer_ = in_trailer;
  }
  // `bytes`: the last bytes of a part of `length` bytes.
  void add(std::string_view bytes, std::uint64_t length);
  [[nodiscard]] bool seen() const;

 private:
  std::array<char, 7> last_{};
  std::uint8_t size_ = 0;
  bool in_trailer_ = false;
};

}  // namespace wirespan::http1
