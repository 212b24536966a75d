#include "agent/protocols/http1/conversation.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "agent/protocols/common/text.h"

namespace wirespan::http1 {
namespace {

using protocols::GiveUp;
using protocols::HandOver;
using protocols::Hole;
using protocols::Input;
using protocols::NeedMore;
using protocols::NeedPeer;
using protocols::Output;
using protocols::Parsed;
using protocols::Skip;
using protocols::Step;

// Deeper pipelines exist in no browser or benchmark; past it answers are not matched any more.
constexpr std::size_t kMaxPending = 1024;
// Turns in a row that begin no message: whatever this is, it is not HTTP any more.
constexpr std::uint8_t kMaxStrangeTurns = 16;
// A start line not complete is looked at anew with every call up to here, then only for its end.
constexpr std::size_t kShortLine = 256;

}  // namespace

HttpConversation::HttpConversation(std::shared_ptr<Shared> shared, Direction requests, Direction known, bool from_start,
                                   BootTime unseen_until)
    : shared_(std::move(shared)), requests_(requests) {
  if (!from_start) lane(opposite(known)).state = State::kResync;
  blind(unseen_until);
}

Step HttpConversation::next(const Input& in, Output& out) {
  Lane& l = lane(in.direction);
  if (in.turn_start && l.message && open_ended(l) && begins(in)) {
    // A message begins, so the one before is over. Whatever answered or asked in between was not seen.
    finish(l, State::kResync, out);
    if (in.direction == requests_) lose_pending(in.touch_at(0).time, out);
  }
  switch (l.state) {
    case State::kStart:
      return at_start(l, in, out);
    case State::kResync:
      return resync(l, in, out);
    case State::kBody:
      // The length of an orphan's body may be wrong: it may answer a HEAD.
      if (orphan_ && in.direction != requests_) return Skip{std::min(l.left, in.front_call())};
      return Skip{l.left};
    case State::kChunkData:
      return Skip{l.left};
    case State::kChunkSize:
      return in_chunks(l, in, out);
    case State::kTrailer:
      return in_trailer(l, in, out);
    case State::kChunkLost:
    case State::kUntilClose:
    case State::kUntilTurn:
      return Skip{in.front_call()};
  }
  return GiveUp{};
}

// Where the message in the lane ends cannot be told from its own bytes, or not with certainty.
bool HttpConversation::open_ended(const Lane& l) const {
  // An answer to nothing we saw may have no body (HEAD, CONNECT), whatever its head says.
  return l.state == State::kUntilTurn || l.state == State::kChunkLost ||
         (orphan_ && &l == &lanes_[index(responding())]);
}

bool HttpConversation::begins(const Input& in) const {
  std::string_view text = as_text(in.bytes);
  text.remove_prefix(empty_lines(text));
  if (in.direction != requests_) return start_line(text) == StartLine::kResponse;
  return start_line(text) == StartLine::kRequest && known_method(text);
}

Step HttpConversation::at_start(Lane& l, const Input& in, Output& out) {
  const std::string_view text = as_text(in.bytes);
  const bool requesting = in.direction == requests_;
  if (l.scanned == 0) {
    if (const std::size_t empty = empty_lines(text); empty > 0) return Parsed{empty};
    // What follows CONNECT belongs to the tunnel if the answer is 2xx.
    if (requesting && tunnel_asked() && !in.alone) return NeedPeer{};
  }
  if (!l.line_seen) {
    const bool no_line =
        l.scanned > kShortLine && std::memchr(text.data() + l.scanned, '\n', text.size() - l.scanned) == nullptr;
    const StartLine line = no_line && !in.cut ? StartLine::kPartial : start_line(text);
    const bool partial = line == StartLine::kPartial || (line == StartLine::kPartialRequest && requesting);
    if (partial && !in.cut) {
      l.scanned = static_cast<std::uint32_t>(text.size());
      return NeedMore{};
    }
    const bool ours =
        requesting ? line == StartLine::kRequest || line == StartLine::kPartialRequest : line == StartLine::kResponse;
    if (!ours) {
      l.scanned = 0;
      // The first bytes of the protocol asked for, seen before the 101 that agrees to it.
      if (requesting && !pending_.empty() && pending_.back().upgrade && !in.alone) return NeedPeer{};
      if (partial) unseen(l, in.touch_at(0).time, out);
      if (!requesting) blind(in.pieces.front().touch.time);
      l.state = State::kResync;
      return Skip{in.front_call(), Skip::Why::kUnrecognised};
    }
    l.line_seen = true;
  }
  // An empty line may begin with the last line end already looked at.
  const auto end = head_end(text, l.scanned > 3 ? l.scanned - 3 : 0);
  if (!end && !in.cut) {
    l.scanned = static_cast<std::uint32_t>(text.size());
    return NeedMore{};
  }
  const std::size_t size = end.value_or(text.size());
  strange_turns_ = 0;
  if (requesting) {
    request(l, in, size, !end, out);
    return Parsed{size};
  }
  return response(l, in, size, !end, out);
}

// Nothing is known of the bytes here. A body must not be taken for a message, so only the beginning of a turn counts.
Step HttpConversation::resync(Lane& l, const Input& in, Output& out) {
  if (in.turn_start) {
    std::string_view text = as_text(in.bytes);
    text.remove_prefix(empty_lines(text));
    const StartLine line = start_line(text);
    if (line == StartLine::kPartial && !in.cut) return NeedMore{};
    const bool requesting = in.direction == requests_;
    const bool whole = !l.after_loss || known_method(text);  // "ST /" may be what is left of "POST /"
    const bool ours = requesting ? whole && (line == StartLine::kRequest || line == StartLine::kPartialRequest)
                                 : line == StartLine::kResponse;
    if (ours) {
      l.state = State::kStart;
      return at_start(l, in, out);
    }
    if (++strange_turns_ > kMaxStrangeTurns) return GiveUp{};
  }
  if (in.direction != requests_) blind(in.pieces.front().touch.time);
  l.after_loss = false;
  return Skip{in.front_call(), Skip::Why::kUnrecognised};
}

MessagePtr HttpConversation::make(const Input& in, MessageKind kind, std::size_t size, bool cut, Output& out) {
  MessagePtr m = out.make(kProtocol, kind, in.direction);
  m->position = in.position;
  m->first_byte = in.touch_at(0);
  m->last_byte = in.touch_at(size - 1);
  if (cut) {
    m->incomplete = "head";
    want_more(out);
  }
  protocols::add_captured(*m, shared_->head);
  return m;
}

void HttpConversation::request(Lane& l, const Input& in, std::size_t size, bool cut, Output& out) {
  Head& head = shared_->head;
  parse_head(as_text(in.bytes).substr(0, size), shared_->semantics.request_headers(), head);
  head.facts.scheme = "http";
  head.facts.version = head.minor_version == 0 ? "1.0" : "1.1";
  const bool target_known = head.line_complete || head.target.find('?') != std::string_view::npos;
  if (!target_known || !protocols::split_target(head.target, head.facts)) head.facts.path = {};

  // A new request says that the response before is over, if nothing else could.
  Lane& answering = responses();
  // After a loss, where nothing speaks against requests that were lost with it waiting for answers still.
  const bool after_loss = l.after_loss && (pipelined_ || !answered_);
  const bool at_rest = in.turn_start && pending_.empty() && !after_loss;
  if (after_loss) unsure_ = true;
  l.after_loss = false;
  if (answering.message && open_ended(answering)) {
    finish(answering, State::kResync, out);
    // Answers to earlier requests may have gone by in it.
    lose_pending(in.touch_at(0).time, out);
  }
  if (at_rest && !answering.message) unsure_ = false;
  if (!pending_.empty()) {
    pipelined_ = true;
    want_more(out);
  }
  if (pending_.size() >= kMaxPending) lose_pending(in.touch_at(0).time, out);

  const MessagePtr m = make(in, MessageKind::kRequest, size, cut, out);
  shared_->semantics.request(*m, head.facts);
  for (const auto& [name, value] : head.carried) protocols::add_carried(*m, name, value);
  if (unsure_ || m->first_byte.time <= blind_until_) {
    m->expects_response = false;
    m->incomplete = "lost";
  } else {
    const Asked asked = head.facts.method == "HEAD"      ? Asked::kHead
                        : head.facts.method == "CONNECT" ? Asked::kConnect
                                                         : Asked::kOther;
    // Pipelined and cut: others may follow in what was not captured.
    unsure_ = cut && !pending_.empty();
    pending_.push_back({m->first_byte.time, asked, !head.upgrade.empty()});
  }
  const Body body = cut ? Body{Body::Kind::kUnknown, 0} : request_body(head);
  begin(l, m, body, in.position + size, out);
}

Step HttpConversation::response(Lane& l, const Input& in, std::size_t size, bool cut, Output& out) {
  Head& head = shared_->head;
  // Time tells an answer that overtook its request's event from one to a request that passed before we came: nothing
  // is answered before it was asked.
  if (!pending_.empty() && pending_.front().begun <= blind_until_) lose_pending(in.touch_at(0).time, out);
  const bool answers = !pending_.empty() && pending_.front().begun <= in.touch_at(0).time;
  if (pending_.empty() && !in.alone) return NeedPeer{};
  parse_head(as_text(in.bytes).substr(0, size), shared_->semantics.response_headers(), head);

  const bool interim = is_interim(head.status);
  const Asked asked = answers ? pending_.front().asked : Asked::kOther;
  if (!interim) {
    Lane& asking = requests();
    if (answers && asking.message && open_ended(asking) && pending_.size() == 1) finish(asking, State::kResync, out);
    if (answers) pending_.erase(pending_.begin());
    orphan_ = !answers;
    answered_ = true;
  }
  const MessagePtr m = make(in, MessageKind::kResponse, size, cut, out);
  m->interim = interim;
  if (!answers) {
    m->unasked = true;
    m->name = "HTTP";
  }
  shared_->semantics.response(*m, head.status);
  Body body = response_body(head, asked);
  if (cut && body.kind != Body::Kind::kTunnel) body = {Body::Kind::kUnknown, 0};
  if (interim) body = {Body::Kind::kNone, 0};
  begin(l, m, body, in.position + size, out);
  if (body.kind != Body::Kind::kTunnel) return Parsed{size};
  if (requests().message) finish(requests(), State::kResync, out);
  return HandOver{size, head.status == 101 ? protocols::trim(head.upgrade) : std::string_view()};
}

void HttpConversation::begin(Lane& l, const MessagePtr& m, const Body& body, std::uint64_t position, Output& out) {
  l.message = m;
  l.body = position;
  l.at = position;
  l.left = body.length;
  l.scanned = 0;
  l.line_seen = false;
  l.sized = true;
  out.begin(m);
  switch (body.kind) {
    case Body::Kind::kNone:
      l.sized = shared_->head.content_length == std::uint64_t{0};
      return finish(l, State::kStart, out);
    case Body::Kind::kTunnel:
      l.sized = false;
      return finish(l, State::kStart, out);
    case Body::Kind::kLength:
      l.state = State::kBody;
      return;
    case Body::Kind::kChunked:
      l.state = State::kChunkSize;
      return;
    case Body::Kind::kUntilClose:
      l.state = State::kUntilClose;
      return;
    case Body::Kind::kUnknown:
      l.sized = false;
      if (m->incomplete.empty()) m->incomplete = "head";
      l.state = State::kUntilTurn;
      return;
  }
}

Step HttpConversation::in_chunks(Lane& l, const Input& in, Output& out) {
  const ChunkLine line = chunk_line(as_text(in.bytes));
  if (line.state == ChunkLine::State::kPartial && !in.cut) return NeedMore{};
  if (line.state != ChunkLine::State::kComplete) {
    l.state = State::kChunkLost;
    l.last_chunk.reset();
    return Parsed{0};
  }
  touched(l, in.touch_at(line.bytes - 1), in.position + line.bytes, out);
  l.state = line.size == 0 ? State::kTrailer : State::kChunkData;
  l.left = line.size + 2;  // with its CRLF
  return Parsed{line.bytes};
}

Step HttpConversation::in_trailer(Lane& l, const Input& in, Output& out) {
  const TrailerLine line = trailer_line(as_text(in.bytes));
  if (line.bytes == 0) {
    if (!in.cut && !line.bad) return NeedMore{};
    l.state = State::kChunkLost;
    l.last_chunk.reset(true);
    return Parsed{0};
  }
  touched(l, in.touch_at(line.bytes - 1), in.position + line.bytes, out);
  if (line.empty) finish(l, State::kStart, out);
  return Parsed{line.bytes};
}

Step HttpConversation::missing(const Hole& hole, Output& out) {
  Lane& l = lane(hole.direction);
  const bool lost = hole.why == Gap::Why::kLost;
  l.after_loss = lost;
  const bool counted = l.state == State::kBody || l.state == State::kChunkData;
  if (lost && !counted) {
    if (l.message) l.message->incomplete = "lost";
    // Whole messages may be among what was lost.
    if (hole.direction == requests_) {
      unsure_ = true;
    } else {
      blind(hole.touch.time);
    }
  }
  switch (l.state) {
    case State::kBody:
    case State::kChunkData:
      return Skip{l.left};
    case State::kChunkSize:
    case State::kTrailer:
      l.last_chunk.reset(l.state == State::kTrailer);
      l.state = State::kChunkLost;
      return Skip{hole.length};
    case State::kChunkLost:
    case State::kUntilClose:
    case State::kUntilTurn:
      return Skip{hole.length};
    case State::kStart:
      l.state = State::kResync;
      l.scanned = 0;
      l.line_seen = false;
      if (!lost) want_more(out);
      if (hole.why != Gap::Why::kJoinedLate) unseen(l, hole.touch.time, out);
      return Skip{hole.length, Skip::Why::kUnrecognised};
    case State::kResync:
      if (hole.direction != requests_ && hole.why != Gap::Why::kJoinedLate) blind(hole.touch.time);
      return Skip{hole.length, Skip::Why::kUnrecognised};
  }
  return GiveUp{};
}

void HttpConversation::skipped(const Skipped& part, Output& out) {
  Lane& l = lane(part.direction);
  if (!l.message) return;
  const std::uint64_t length = part.end - l.at;
  if (part.lost) {
    l.at = part.end;
  } else {
    touched(l, part.touch, part.end, out);
  }
  switch (l.state) {
    case State::kBody:
      l.left -= std::min(l.left, length);
      if (l.left > 0) return;
      if (part.lost) l.message->incomplete = "lost";  // when it was over
      finish(l, State::kStart, out);
      return;
    case State::kChunkData:
      l.left -= std::min(l.left, length);
      if (l.left == 0) l.state = State::kChunkSize;
      return;
    case State::kChunkLost:
      if (part.direction != requests_) blind(part.touch.time);
      l.last_chunk.add(as_text(part.bytes), length);
      if (l.last_chunk.seen()) finish(l, State::kStart, out);
      return;
    case State::kUntilTurn:
      if (part.direction != requests_) blind(part.touch.time);
      return;
    default:
      return;
  }
}

void HttpConversation::closed(const StreamClosed& closed, Output& out) {
  for (const Direction d : {requests_, responding()}) {
    Lane& l = lane(d);
    if (!l.message) continue;
    const bool by_close = l.state == State::kUntilClose || l.state == State::kChunkLost || l.state == State::kUntilTurn;
    if (by_close && closed.how == event::Closed::How::kClosed) {
      finish(l, State::kResync, out);
      continue;
    }
    // Not ended: the end of the conversation, which follows, says why.
    if (l.message->incomplete.empty()) l.message->incomplete = "cut";
    set_size(l);
    l.message.reset();
  }
}

void HttpConversation::touched(Lane& l, const Touch& touch, std::uint64_t position, Output& out) {
  l.at = position;
  if (l.message) out.touch(l.message, touch);
}

void HttpConversation::set_size(const Lane& l) {
  if (!l.sized) return;
  const bool requesting = l.message->kind == MessageKind::kRequest;
  l.message->attributes.set(requesting ? Literal("http.request.body.size") : Literal("http.response.body.size"),
                            l.at - l.body);
}

void HttpConversation::finish(Lane& l, State next, Output& out) {
  set_size(l);
  out.end(l.message);
  l.message.reset();
  l.state = next;
}

// Messages passed that nobody could see.
void HttpConversation::unseen(const Lane& l, BootTime time, Output& out) {
  if (&l == &responses()) {
    lose_pending(time, out);
    blind(time);
  }
  unsure_ = true;
}

// Which response answers which request cannot be known for those open now.
void HttpConversation::lose_pending(BootTime time, Output& out) {
  if (pending_.empty()) return;
  pending_.clear();
  unsure_ = true;
  Lane& asking = requests();
  if (asking.message && open_ended(asking)) finish(asking, State::kResync, out);
  out.lost(time);
}

void HttpConversation::want_more(Output& out) {
  if (wants_more_) return;
  wants_more_ = true;
  out.want(Verdict::kMore);
}

bool HttpConversation::tunnel_asked() const {
  return !pending_.empty() && pending_.back().asked == Asked::kConnect;
}

}  // namespace wirespan::http1
