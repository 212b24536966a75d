// tests/tools/http_conversations.py makes the recordings.
#include <string>

#include "agent/protocols/testing/recordings_suite.h"

namespace wirespan::protocols::testing {

const char* recorded_protocol() {
  return "http1";
}

// Each turn is short, or has one head, which is.
bool heads_fit(const Recording& calls, std::size_t limit) {
  std::string turn;
  Call::Kind kind = Call::Kind::kClosed;
  const auto fits = [&] {
    if (turn.size() <= limit) return true;
    const std::size_t end = turn.find("\r\n\r\n");
    return end != std::string::npos && end + 4 <= limit && turn.find("HTTP/1.", end) == std::string::npos;
  };
  for (const Call& call : calls) {
    if (call.kind != kind) {
      if (!fits()) return false;
      turn.clear();
      kind = call.kind;
    }
    turn += call.bytes;
  }
  return fits();
}

}  // namespace wirespan::protocols::testing
