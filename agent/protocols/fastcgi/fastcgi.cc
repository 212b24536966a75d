#include "agent/protocols/fastcgi/fastcgi.h"

#include <algorithm>

#include "agent/protocols/common/text.h"
#include "agent/protocols/fastcgi/conversation.h"
#include "agent/protocols/fastcgi/record.h"

namespace wirespan::fastcgi {
namespace {

using protocols::Likeness;
using protocols::Opening;

// A web server that asks what the application can do before its first request: GET_VALUES of a name of the
// specification (section 4.1).
Likeness asks_values(Bytes bytes) {
  constexpr std::string_view kNames = "FCGI_";
  constexpr std::size_t kLengths = 2;
  if (bytes.size() >= 2 && bytes[1] != static_cast<std::uint8_t>(Type::kGetValues)) return Likeness::kNo;
  if (bytes.empty() || bytes[0] != 1) return Likeness::kNo;
  const auto h = header(bytes);
  if (!h) return Likeness::kMaybe;
  if (!h->from_server() || h->content < kLengths + kNames.size()) return Likeness::kNo;
  const std::string_view text = as_text(bytes.subspan(kHeaderSize));
  if (text.size() < kLengths + kNames.size()) return Likeness::kMaybe;
  return text.substr(kLengths, kNames.size()) == kNames ? Likeness::kYes : Likeness::kNo;
}

// The first record of an answer, with the line every answer begins with (RFC 3875 6.3).
bool answers(Bytes bytes) {
  const auto h = header(bytes);
  if (!h || h->type != Type::kStdout || !h->from_application()) return false;
  const std::string_view text = as_text(bytes.subspan(kHeaderSize)).substr(0, h->content);
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::size_t colon = line.find(':');
  return line.size() < text.size() && colon != 0 && colon != std::string_view::npos &&
         std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colon), protocols::is_token_char);
}

}  // namespace

FastCgi::FastCgi(const protocols::Options& options) : shared_(std::make_shared<Shared>(options)) {}

std::string_view FastCgi::name() const {
  return kProtocol;
}

Likeness FastCgi::recognise(const Opening& opening) const {
  const TcpSide side = opening.conn.side;
  const Direction answering = side == TcpSide::kActive ? Direction::kReceived : Direction::kSent;
  if (side != TcpSide::kUnknown && opening.direction == answering) {
    // Its request is seen a little later, by another thread's event.
    const auto h = header(opening.bytes);
    if (!opening.from_start || !h || !h->from_application()) return Likeness::kNo;
    return answers(opening.bytes) ? Likeness::kYes : Likeness::kMaybe;
  }
  // Where it is not known that a record begins, the one behind must fit as well.
  switch (begins_request(opening.bytes, !opening.from_start).beginning) {
    case Beginning::kYes:
      return Likeness::kYes;
    case Beginning::kPartial:
      return Likeness::kMaybe;
    case Beginning::kNo:
      break;
  }
  return opening.from_start ? asks_values(opening.bytes) : Likeness::kNo;
}

std::unique_ptr<protocols::Conversation> FastCgi::start(const Opening& opening) {
  const bool answer = answers(opening.bytes);
  const Direction requests = answer ? opposite(opening.direction) : opening.direction;
  // Of what was dropped nobody knows where a record ended.
  const bool all_seen = opening.from_start && opening.unseen_until.ns == 0;
  return std::make_unique<FastCgiConversation>(shared_, requests, all_seen, opening.unseen_until);
}

}  // namespace wirespan::fastcgi

namespace wirespan::protocols {

std::unique_ptr<Protocol> make_fastcgi(const Options& options);
std::unique_ptr<Protocol> make_fastcgi(const Options& options) {
  return std::make_unique<fastcgi::FastCgi>(options);
}

}  // namespace wirespan::protocols
