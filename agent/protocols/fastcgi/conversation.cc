#include "agent/protocols/fastcgi/conversation.h"

#include <string>
#include <utility>

namespace wirespan::fastcgi {
namespace {

using protocols::GiveUp;
using protocols::Hole;
using protocols::Input;
using protocols::NeedMore;
using protocols::NeedPeer;
using protocols::Output;
using protocols::Parsed;
using protocols::Skip;
using protocols::Step;

// Requests at once on one connection; web servers that multiplex open far fewer, most one.
constexpr std::size_t kMaxOpen = 256;
// The head of an answer: web servers take 4 to 8 KiB.
constexpr std::size_t kMaxHead = 16384;
// Turns in a row that begin no request where one is looked for.
constexpr std::uint8_t kMaxStrangeTurns = 16;

}  // namespace

FastCgiConversation::FastCgiConversation(std::shared_ptr<Shared> shared, Direction requests, bool from_start,
                                         BootTime unseen_until)
    : shared_(std::move(shared)), requests_(requests), blind_until_(unseen_until) {
  if (!from_start) answering().state = State::kResync;
}

Step FastCgiConversation::next(const Input& in, Output& out) {
  Lane& l = lane(in.direction);
  l.at = in.position;
  switch (l.state) {
    case State::kRecord:
      return at_record(l, in, out);
    case State::kBegin:
      return at_begin(l, in, out);
    case State::kParams:
      return at_params(l, in, out);
    case State::kHead:
      return at_head(l, in, out);
    case State::kEnd:
      return at_end(l, in, out);
    case State::kContent:
      return Skip{l.left + l.padding};
    case State::kAdrift:
    case State::kResync:
      return requesting(in.direction) ? asking_adrift(l, in, out) : adrift(l, in, out);
  }
  return GiveUp{};
}

Step FastCgiConversation::at_record(Lane& l, const Input& in, Output& out) {
  const auto h = header(in.bytes);
  if (!h && in.bytes.size() < kHeaderSize && !in.cut) return NeedMore{kHeaderSize - in.bytes.size()};
  const bool ours = h && (requesting(in.direction) ? h->from_server() : h->from_application());
  if (!ours) {
    lose_place(l, in.position, in.touch_at(0), false, out);
    return Skip{in.front_call(), Skip::Why::kUnrecognised};
  }
  l.record = *h;
  l.position = in.position;
  l.touch = in.touch_at(0);
  if (h->id == 0) {  // management: no exchange
    content(l, h->content, h->padding, false);
    return Parsed{kHeaderSize};
  }
  return requesting(in.direction) ? at_asking_record(l, in, out) : at_answering_record(l, in, out);
}

Step FastCgiConversation::at_asking_record(Lane& l, const Input& in, Output& out) {
  const Header& h = l.record;
  Open* const open = find(h.id);
  if (h.type == Type::kBeginRequest) {
    // The id is in use until its END_REQUEST: that is on its way through another thread's event, or was not seen.
    const bool in_use = open != nullptr && !open->hopeless && !lost_place(answering());
    if (in_use && !in.alone) {
      open->reused = l.touch.time;
      return NeedPeer{};
    }
    l.state = State::kBegin;
    return Parsed{kHeaderSize};
  }
  const Touch& last = in.touch_at(kHeaderSize - 1);
  touched(in.direction, open, last, out);
  if (h.type == Type::kParams && open != nullptr && open->request == nullptr) {
    if (h.content > 0) {
      l.state = State::kParams;
      return Parsed{kHeaderSize};
    }
    request(*open, {}, false, last, out);
  }
  if (h.type == Type::kAbortRequest && open != nullptr) open->aborted = true;
  const bool body = h.type == Type::kStdin || h.type == Type::kData;
  if (body && open != nullptr && h.content == 0) {
    const bool last_stream = (h.type == Type::kData) == (open->role == Role::kFilter);
    if (last_stream) end_request(*open, out);
  }
  content(l, h.content, h.padding, body);
  return Parsed{kHeaderSize};
}

Step FastCgiConversation::at_answering_record(Lane& l, const Input& in, Output& out) {
  const Header& h = l.record;
  Open* open = asked(l);
  if (open != nullptr && open->reused.ns != 0 && open->reused < l.touch.time) {
    // The end of this one was not seen: what comes answers the next.
    lose_all(l.touch.time, out);
    open = nullptr;
  }
  // Until its request's event comes by another way.
  if (open == nullptr && find(h.id) == nullptr && !in.alone) return NeedPeer{};
  if (open != nullptr) answer_begins(*open, l.position, l.touch);
  if (h.type == Type::kEndRequest) {
    l.state = State::kEnd;
    return Parsed{kHeaderSize};
  }
  if (open == nullptr) {
    // Of a request nobody saw: passed over, and counted.
    const std::uint64_t size = kHeaderSize + h.content + h.padding;
    content(l, size - h.padding, h.padding, false);
    return Skip{size, Skip::Why::kUnrecognised};
  }
  if (h.type == Type::kStdout && open->response == nullptr && h.content > 0) {
    l.state = State::kHead;
    return Parsed{kHeaderSize};
  }
  touched(in.direction, open, in.touch_at(kHeaderSize - 1), out);
  content(l, h.content, h.padding, h.type == Type::kStdout);
  return Parsed{kHeaderSize};
}

Step FastCgiConversation::at_begin(Lane& l, const Input& in, Output& out) {
  if (in.bytes.size() < kBodySize && !in.cut) return NeedMore{kBodySize - in.bytes.size()};
  const auto role = begin_body(in.bytes.first(std::min(in.bytes.size(), kBodySize)));
  if (!role) {
    lose_place(l, in.position, in.touch_at(0), false, out);
    return Skip{in.front_call(), Skip::Why::kUnrecognised};
  }
  const BootTime time = l.touch.time;
  strange_turns_ = 0;
  requests_lost_ = false;
  if (Open* const before = find(l.record.id); before != nullptr) {
    // Over, or its id would not be in use again. Where records could not be followed, that its end was not seen is
    // natural.
    const bool unfollowed = before->response != nullptr && answering().state == State::kAdrift;
    if (before->request == nullptr || before->hopeless) {
      forget(*before);
    } else if (unfollowed) {
      finish(*before, out);
    } else {
      lose_all(time, out);
    }
    if (answering().state == State::kAdrift) answering().state = State::kResync;
  }
  if (open_.size() >= kMaxOpen) {
    lose_all(time, out);
    open_.clear();
  }
  Open open;
  open.id = l.record.id;
  open.role = *role;
  open.position = l.position;
  open.begun = l.touch;
  open_.push_back(std::move(open));
  content(l, 0, l.record.padding, false);
  return Parsed{kBodySize};
}

Step FastCgiConversation::at_params(Lane& l, const Input& in, Output& out) {
  Open* const open = find(l.record.id);
  if (open == nullptr || open->request != nullptr) {
    content(l, l.record.content, l.record.padding, false);
    return Parsed{0};
  }
  const Joined joined = join(in.bytes, l.record, shared_->text);
  const bool whole = joined.end == Joined::End::kEnded;
  if (joined.end == Joined::End::kOpen && !in.cut) return NeedMore{};
  request(*open, joined.text, !whole, in.touch_at(joined.bytes - 1), out);
  content(l, joined.left, joined.padding, false);
  return Parsed{joined.bytes};
}

Step FastCgiConversation::at_head(Lane& l, const Input& in, Output& out) {
  Open* const open = asked(l);
  if (open == nullptr || open->response != nullptr) {
    content(l, l.record.content, l.record.padding, false);
    return Parsed{0};
  }
  // Nearly always in its first record.
  Joined joined;
  const std::size_t part = std::min<std::size_t>(in.bytes.size(), l.record.content);
  joined.text = as_text(in.bytes.first(part));
  auto end = protocols::head_end(joined.text, 0);
  if (end) {
    joined.bytes = part;
    joined.left = l.record.content - part;
    joined.padding = l.record.padding;
  } else {
    joined = join(in.bytes, l.record, shared_->text);
    end = protocols::head_end(joined.text, 0);
    const bool more = joined.end == Joined::End::kOpen && !in.cut && joined.text.size() < kMaxHead;
    if (!end && more) return NeedMore{};
  }
  const std::size_t size = end.value_or(joined.text.size());
  if (!end && joined.end == Joined::End::kOpen) want_more(out);
  const Touch& last = in.touch_at(joined.bytes == 0 ? 0 : joined.bytes - 1);
  response(*open, joined.text.substr(0, size), end.has_value(), last, out);
  open->answered += joined.text.size() - size;
  content(l, joined.left, joined.padding, true);
  return Parsed{joined.bytes};
}

Step FastCgiConversation::at_end(Lane& l, const Input& in, Output& out) {
  if (in.bytes.size() < kBodySize && !in.cut) return NeedMore{kBodySize - in.bytes.size()};
  const std::size_t size = std::min(in.bytes.size(), kBodySize);
  const auto status = end_body(in.bytes.first(size));
  const Touch& last = in.touch_at(size - 1);
  if (Open* const open = find(l.record.id); open != nullptr && open->begun.time <= l.touch.time) {
    if (open->response == nullptr) refused(*open, status.value_or(ProtocolStatus::kRequestComplete), last, out);
    touched(in.direction, open, last, out);
    finish(*open, out);
  }
  content(l, kBodySize - size, l.record.padding, false);
  return Parsed{size};
}

// Where the content ends, the next record begins.
void FastCgiConversation::content(Lane& l, std::uint64_t left, std::uint64_t padding, bool counts) {
  l.left = left;
  l.padding = padding;
  l.counts = counts;
  l.state = left + padding == 0 ? State::kRecord : State::kContent;
}

// Answers. Only the turn behind a request that was seen to begin is known to begin with a record.
Step FastCgiConversation::adrift(Lane& l, const Input& in, Output& out) {
  if (l.state == State::kAdrift) return Skip{in.front_call()};
  const BootTime time = in.pieces.front().touch.time;
  if (in.turn_start && !open_.empty()) {
    if (in.bytes.size() < kHeaderSize && !in.cut) return NeedMore{kHeaderSize - in.bytes.size()};
    const auto h = header(in.bytes);
    if (h && h->from_application() && h->id != 0) {
      const Open* const open = find(h->id);
      if (open != nullptr && open->begun.time <= time) {
        l.state = State::kRecord;
        return Parsed{0};
      }
    }
  }
  if (open_.empty() && in.turn_start && !in.alone) return NeedPeer{};
  blind(time, out);
  return Skip{in.front_call(), Skip::Why::kUnrecognised};
}

Step FastCgiConversation::asking_adrift(Lane& l, const Input& in, Output& out) {
  Skip pass{in.front_call(), only() != nullptr ? Skip::Why::kBody : Skip::Why::kUnrecognised};
  if (!in.turn_start) return pass;
  const BootTime time = in.pieces.front().touch.time;
  const Began began = begins_request(in.bytes, true);
  if (began.before > 0) pass.why = Skip::Why::kBody;  // what the request before left unread
  if (began.beginning == Beginning::kPartial && !in.cut) return NeedMore{};
  if (began.beginning == Beginning::kYes) {
    const auto h = header(in.bytes.subspan(began.before));
    const bool in_use = find(h->id) != nullptr && !lost_place(answering());
    // A body that looks like a request: an id is not used twice at once.
    if (in_use && in.alone) return pass;
    if (in_use) return NeedPeer{};
    l.state = State::kRecord;
    return Parsed{0};
  }
  // What this turn says is not known. If it is a request, the answer before is over.
  if (answering().state == State::kAdrift) {
    lose_all(time, out);
    answering().state = State::kResync;
  }
  if (open_.empty() && ++strange_turns_ > kMaxStrangeTurns) return GiveUp{};
  return pass;
}

FastCgiConversation::Open* FastCgiConversation::find(std::uint16_t id) {
  const auto found = std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.id == id; });
  return found == open_.end() ? nullptr : &*found;
}

// Time tells an answer that overtook its request's event from one to a request that passed unseen: nothing is answered
// before it was asked.
FastCgiConversation::Open* FastCgiConversation::asked(const Lane& l) {
  Open* const open = find(l.record.id);
  return open != nullptr && !open->hopeless && open->begun.time <= l.touch.time ? open : nullptr;
}

FastCgiConversation::Open* FastCgiConversation::only() {
  return open_.size() == 1 ? &open_.front() : nullptr;
}

void FastCgiConversation::request(Open& open, std::string_view params, bool cut, const Touch& last, Output& out) {
  RequestHead& head = shared_->request;
  parse_params(params, shared_->semantics.request_headers(), head);
  const MessagePtr m = out.make(kProtocol, MessageKind::kRequest, requests_);
  m->stream = open.id;
  m->position = open.position;
  m->first_byte = open.begun;
  m->last_byte = last;
  if (cut) {
    m->incomplete = "head";
    want_more(out);
  }
  protocols::add_captured(*m, head);
  shared_->semantics.request(*m, head.facts);
  for (const auto& [name, value] : head.carried) protocols::add_carried(*m, name, value);
  open.request = m;
  open.asked_length = head.content_length;
  open.hopeless = open.begun.time <= blind_until_;
  if (open.hopeless) {
    m->expects_response = false;
    m->incomplete = "lost";
  }
  out.begin(m);
  if (open.role == Role::kAuthorizer || open.hopeless) end_request(open, out);
}

void FastCgiConversation::answer_begins(Open& open, std::uint64_t position, const Touch& touch) {
  if (open.answer_begun.time.ns != 0) return;
  open.answer_position = position;
  open.answer_begun = touch;
}

// Null when it cannot be trusted to be one.
MessagePtr FastCgiConversation::answer(Open& open, const Touch& last, Output& out) {
  if (open.request == nullptr) request(open, {}, true, open.begun, out);
  if (open.hopeless) return nullptr;
  MessagePtr m = out.make(kProtocol, MessageKind::kResponse, opposite(requests_));
  m->stream = open.id;
  m->position = open.answer_position;
  m->first_byte = open.answer_begun;
  m->last_byte = last;
  return m;
}

void FastCgiConversation::response(Open& open, std::string_view text, bool complete, const Touch& last, Output& out) {
  const MessagePtr m = answer(open, last, out);
  if (m == nullptr) return;
  ResponseHead& head = shared_->response;
  parse_response(text, complete, shared_->semantics.response_headers(), head);
  if (!complete) m->incomplete = "head";
  protocols::add_captured(*m, head);
  if (head.status != 0) shared_->semantics.response(*m, head.status);
  open.response = m;
  open.answered_length = head.content_length;
  out.begin(m);
}

// Ended without an answer.
void FastCgiConversation::refused(Open& open, ProtocolStatus status, const Touch& last, Output& out) {
  const MessagePtr m = answer(open, last, out);
  if (m == nullptr) return;
  m->client_error = true;
  m->server_error = true;
  switch (status) {
    case ProtocolStatus::kCantMpxConn:
      m->error_type = "FCGI_CANT_MPX_CONN";
      break;
    case ProtocolStatus::kOverloaded:
      m->error_type = "FCGI_OVERLOADED";
      break;
    case ProtocolStatus::kUnknownRole:
      m->error_type = "FCGI_UNKNOWN_ROLE";
      break;
    case ProtocolStatus::kRequestComplete:
      // Who gave up was the web server, unless it did not; then the application said nothing at all.
      m->error_type = open.aborted ? "FCGI_ABORT_REQUEST" : "_OTHER";
      m->server_error = !open.aborted;
      break;
  }
  open.response = m;
  open.answered_sized = false;
  out.begin(m);
}

void FastCgiConversation::touched(Direction direction, Open* open, const Touch& touch, Output& out) {
  if (open == nullptr) return;
  const bool request = requesting(direction);
  const MessagePtr& m = request ? open->request : open->response;
  if (m != nullptr && !(request && open->request_ended)) out.touch(m, touch);
}

void FastCgiConversation::end_request(Open& open, Output& out) {
  if (open.request == nullptr || open.request_ended) return;
  open.request_ended = true;
  const auto size = open.asked_sized && open.asked > 0 ? std::optional(open.asked) : open.asked_length;
  if (size) open.request->attributes.set("http.request.body.size", *size);
  out.end(open.request);
}

void FastCgiConversation::finish(Open& open, Output& out) {
  end_request(open, out);
  if (open.response != nullptr) {
    const auto size = open.answered_sized ? std::optional(open.answered) : open.answered_length;
    if (size) open.response->attributes.set("http.response.body.size", *size);
    out.end(open.response);
  }
  forget(open);
}

Step FastCgiConversation::missing(const Hole& hole, Output& out) {
  Lane& l = lane(hole.direction);
  l.at = hole.position;
  const bool lost = hole.why == Gap::Why::kLost;
  const Touch& touch = lost ? l.touch : hole.touch;  // of what was lost, the time is not known
  switch (l.state) {
    case State::kContent:
      break;
    case State::kParams:
      if (Open* const open = find(l.record.id); open != nullptr && open->request == nullptr) {
        request(*open, {}, true, touch, out);
      }
      content(l, l.record.content, l.record.padding, false);
      break;
    case State::kHead:
      if (Open* const open = asked(l); open != nullptr && open->response == nullptr) {
        response(*open, {}, false, touch, out);
        open->answered_sized = false;
        want_more(out);
      }
      content(l, l.record.content, l.record.padding, false);
      break;
    case State::kEnd:
      if (Open* const open = find(l.record.id); open != nullptr && open->begun.time <= l.touch.time) {
        if (open->response == nullptr) refused(*open, ProtocolStatus::kRequestComplete, touch, out);
        if (!lost) touched(hole.direction, open, hole.touch, out);
        finish(*open, out);
      }
      content(l, kBodySize, l.record.padding, false);
      break;
    case State::kRecord:
    case State::kBegin:
      if (hole.why == Gap::Why::kJoinedLate) {
        l.state = State::kResync;
      } else {
        lose_place(l, hole.position, hole.touch, lost, out);
      }
      return Skip{hole.length, l.state == State::kAdrift && !lost ? Skip::Why::kBody : Skip::Why::kUnrecognised};
    case State::kAdrift:
    case State::kResync:
      if (lost) lose_place(l, hole.position, hole.touch, true, out);
      if (hole.why == Gap::Why::kNotCaptured && l.state == State::kResync && !requesting(hole.direction)) {
        blind(hole.touch.time, out);
      }
      return Skip{hole.length, l.state == State::kAdrift && !lost ? Skip::Why::kBody : Skip::Why::kUnrecognised};
  }
  return Skip{l.left + l.padding};
}

void FastCgiConversation::lose_place(Lane& l, std::uint64_t position, const Touch& touch, bool lost, Output& out) {
  l.last_size = 0;
  if (!lost) want_more(out);
  if (&l == &asking()) {
    requests_lost_ = requests_lost_ || lost;
    for (Open& open : open_) open.asked_sized = false;
    l.state = State::kAdrift;
    // An END_REQUEST found from now on may be another request's.
    if (lost && answering().state == State::kAdrift) {
      lose_all(touch.time, out);
      answering().state = State::kResync;
    }
    return;
  }
  // One request is open, and nothing says that others were: what comes is its answer, up to END_REQUEST.
  Open* const open = only();
  if (!lost && open != nullptr && !requests_lost_ && !open->hopeless && open->begun.time <= touch.time) {
    answer_begins(*open, position, touch);
    if (open->response == nullptr) response(*open, {}, false, touch, out);
    open->answered_sized = false;
    l.state = open->hopeless ? State::kResync : State::kAdrift;
    return;
  }
  blind(touch.time, out);
  l.state = State::kResync;
}

void FastCgiConversation::skipped(const Skipped& part, Output& out) {
  Lane& l = lane(part.direction);
  const std::uint64_t length = part.end - l.at;
  l.at = part.end;
  if (l.state == State::kContent) content_passed(l, part, length, out);
  if (l.state == State::kAdrift) adrift_passed(l, part, length, out);
}

void FastCgiConversation::content_passed(Lane& l, const Skipped& part, std::uint64_t length, Output& out) {
  const std::uint64_t bytes = std::min(length, l.left);
  Open* const open = requesting(part.direction) ? find(l.record.id) : asked(l);
  if (open != nullptr && l.counts) (requesting(part.direction) ? open->asked : open->answered) += bytes;
  if (!part.lost) touched(part.direction, open, part.touch, out);
  content(l, l.left - bytes, l.padding - std::min(length - bytes, l.padding), l.counts);
}

void FastCgiConversation::adrift_passed(Lane& l, const Skipped& part, std::uint64_t length, Output& out) {
  Open* const open = only();
  if (open == nullptr) return;
  if (!part.lost) touched(part.direction, open, part.touch, out);
  if (requesting(part.direction)) return;
  // The last bytes of what went by, over several calls.
  if (part.bytes.size() < length) l.last_size = 0;
  const Bytes fresh = part.bytes.last(std::min(part.bytes.size(), kEndSize));
  const std::size_t kept = std::min(l.last_size, kEndSize - fresh.size());
  std::copy(l.last.begin() + static_cast<std::ptrdiff_t>(l.last_size - kept),
            l.last.begin() + static_cast<std::ptrdiff_t>(l.last_size), l.last.begin());
  std::copy(fresh.begin(), fresh.end(), l.last.begin() + static_cast<std::ptrdiff_t>(kept));
  l.last_size = kept + fresh.size();
  if (!part.done || end_record(Bytes(l.last).first(l.last_size)) != open->id) return;
  finish(*open, out);
  l.state = State::kRecord;
}

void FastCgiConversation::closed(const StreamClosed& closed, Output& out) {
  const bool adrift = answering().state == State::kAdrift;
  while (!open_.empty()) {
    Open& open = open_.front();
    if (adrift && open.response != nullptr && closed.how == event::Closed::How::kClosed) {
      finish(open, out);
      continue;
    }
    // Not ended: the end of the conversation, which follows, says why.
    const bool half = open.asked_sized && open.asked_length.value_or(0) > open.asked;
    if (open.request != nullptr && half && open.request->incomplete.empty()) open.request->incomplete = "cut";
    if (!half) end_request(open, out);
    if (open.response != nullptr && open.response->incomplete.empty()) open.response->incomplete = "cut";
    forget(open);
  }
}

void FastCgiConversation::blind(BootTime time, Output& out) {
  blind_until_ = std::max(blind_until_, time);
  const bool open = std::any_of(open_.begin(), open_.end(), [&](const Open& o) { return o.begun.time <= time; });
  if (open) lose_all(time, out);
}

void FastCgiConversation::lose_all(BootTime time, Output& out) {
  // Those whose variables are still awaited are told as lost when they come.
  const auto told = [](const Open& open) { return open.request != nullptr; };
  const bool any = std::any_of(open_.begin(), open_.end(), [&](const Open& o) { return told(o) && !o.hopeless; });
  std::erase_if(open_, told);
  if (any) out.lost(time);
}

void FastCgiConversation::want_more(Output& out) {
  if (wants_more_) return;
  wants_more_ = true;
  out.want(Verdict::kMore);
}

}  // namespace wirespan::fastcgi
