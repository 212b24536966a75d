// A conversation as tests/tools/http_relay_record.py wrote it: every call of a client and a real server, in order.
//
// Text, one call a line, so that a recording can be read and a new one written by hand:
//   wirespan-conversation 1
//   # nginx 1.22.1, curl 7.88.1
//   1 > 120 "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"     connection, direction, microseconds, bytes
//   1 < 480 "HTTP/1.1 200 OK\r\n..."
//   1 x 900                                                closed ("r": reset)
// '>' is client to server. Escapes: \r \n \t \\ \" \xHH; "x"*N repeats the text N times.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wirespan::protocols::testing {

struct Call {
  enum class Kind : std::uint8_t { kToServer, kToClient, kClosed, kReset };
  std::uint32_t connection = 0;
  Kind kind{};
  std::uint64_t time_us = 0;
  std::string bytes;
};
using Recording = std::vector<Call>;

[[nodiscard]] Result<Recording> parse_recording(std::string_view text);
[[nodiscard]] Result<Recording> load_recording(const std::filesystem::path& path);

}  // namespace wirespan::protocols::testing
