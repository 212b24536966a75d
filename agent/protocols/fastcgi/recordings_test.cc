// tests/tools/fastcgi_conversations.py makes the recordings.
#include <string>

#include "agent/protocols/testing/recordings_suite.h"

namespace wirespan::protocols::testing {
namespace {

// An answer's records are followed through all of it where there is one; of a request, all is wanted.
bool fits(const std::string& turn, std::size_t limit) {
  if (turn.size() <= limit) return true;
  constexpr char kStdout = 6;
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(turn[at])); };
  const std::size_t head = turn.find("\r\n\r\n");
  const std::size_t record = 8 + (byte(4) << 8U) + byte(5) + byte(6);
  return turn[1] == kStdout && head != std::string::npos && head + 4 <= limit && record + 16 >= turn.size();
}

}  // namespace

const char* recorded_protocol() {
  return "fastcgi";
}

bool heads_fit(const Recording& calls, std::size_t limit) {
  std::string turn;
  Call::Kind kind = Call::Kind::kClosed;
  for (const Call& call : calls) {
    if (call.kind != kind) {
      if (!fits(turn, limit)) return false;
      turn.clear();
      kind = call.kind;
    }
    turn += call.bytes;
  }
  return fits(turn, limit);
}

}  // namespace wirespan::protocols::testing
