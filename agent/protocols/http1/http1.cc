#include "agent/protocols/http1/http1.h"

#include "agent/protocols/http1/conversation.h"
#include "agent/protocols/http1/framing.h"

namespace wirespan::http1 {
namespace {

using protocols::Likeness;
using protocols::Opening;

// On a connection joined in the middle nobody knows whether these bytes begin a message or lie in a body. Believed is
// only a request that is all there and ends with its call, or announces a body; sent by the end that connected.
bool believable(const Opening& opening, std::string_view text) {
  const TcpSide side = opening.conn.side;
  const Direction wrong = side == TcpSide::kActive ? Direction::kReceived : Direction::kSent;
  if (side != TcpSide::kUnknown && opening.direction == wrong) return false;
  const auto size = head_end(text, 0);
  if (!size) return false;
  Head head;
  const protocols::HttpHeaderList none("", {});
  parse_head(text.substr(0, *size), none, head);
  if (head.minor_version > 0 && head.facts.authority.empty()) return false;  // Host: RFC 9112 3.2
  return request_body(head).kind != Body::Kind::kNone || (*size == text.size() && !opening.cut);
}

}  // namespace

Http1::Http1(const protocols::Options& options) : shared_(std::make_shared<Shared>(options)) {}

std::string_view Http1::name() const {
  return kProtocol;
}

Likeness Http1::recognise(const Opening& opening) const {
  std::string_view text = as_text(opening.bytes);
  text.remove_prefix(empty_lines(text));
  switch (start_line(text)) {
    case StartLine::kNone:
      return Likeness::kNo;
    case StartLine::kPartial:
      return opening.from_start || opening.turn_start ? Likeness::kMaybe : Likeness::kNo;
    case StartLine::kPartialRequest:
      // A target longer than what was captured of it.
      if (!opening.from_start && !opening.turn_start) return Likeness::kNo;
      return opening.cut ? Likeness::kYes : Likeness::kMaybe;
    case StartLine::kResponse:
      return opening.from_start || opening.turn_start ? Likeness::kYes : Likeness::kNo;
    case StartLine::kRequest:
      if (opening.from_start) return Likeness::kYes;
      if (opening.after_loss && !known_method(text)) return Likeness::kNo;
      return opening.turn_start || believable(opening, text) ? Likeness::kYes : Likeness::kNo;
  }
  return Likeness::kNo;
}

std::unique_ptr<protocols::Conversation> Http1::start(const Opening& opening) {
  std::string_view text = as_text(opening.bytes);
  text.remove_prefix(empty_lines(text));
  const bool response = start_line(text) == StartLine::kResponse;
  const Direction requests = response ? opposite(opening.direction) : opening.direction;
  return std::make_unique<HttpConversation>(shared_, requests, opening.direction, opening.from_start,
                                            opening.unseen_until);
}

}  // namespace wirespan::http1

namespace wirespan::protocols {

std::unique_ptr<Protocol> make_http1(const Options& options);
std::unique_ptr<Protocol> make_http1(const Options& options) {
  return std::make_unique<http1::Http1>(options);
}

}  // namespace wirespan::protocols
