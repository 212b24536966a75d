#include "agent/protocols/detector.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include "agent/protocols/preamble.h"

namespace wirespan::protocols {
namespace {

// After a hand-over the direction that did not announce it begins wherever its next byte is.
constexpr std::uint64_t kNextByte = std::numeric_limits<std::uint64_t>::max();
// A protocol may change its mind (state) without consuming, but not for ever.
constexpr unsigned kMaxIdleSteps = 16;
constexpr BootTime kAllTime{std::numeric_limits<std::uint64_t>::max()};

// The last bytes of a piece, as far as they lie within its last `length`.
Bytes tail_of(const Piece& piece, std::uint64_t length) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(piece.tail_size, length));
  return Bytes(piece.tail).subspan(piece.tail_size - size, size);
}

}  // namespace

Detector::Detector(ProtocolList protocols, Sink<MessageItem>& next, VerdictSink* verdicts, Counters& counters,
                   const DetectorOptions& options)
    : protocols_(std::move(protocols)),
      next_(next),
      verdicts_(verdicts),
      options_(options),
      connections_(counters.get("protocols.connections")),
      recognised_(counters.get("protocols.recognised")),
      not_recognised_(counters.get("protocols.ignored.not_recognised")),
      given_up_(counters.get("protocols.ignored.given_up")),
      skipped_bytes_(counters.get("protocols.bytes.skipped")),
      unrecognised_bytes_(counters.get("protocols.dropped.unrecognised_bytes")),
      overflow_(counters.get("protocols.dropped.buffer_overflow")),
      stuck_(counters.get("protocols.dropped.stuck")),
      peer_waits_(counters.get("protocols.peer_waits")),
      peer_missed_(counters.get("protocols.peer_missed")),
      preambles_(counters.get("protocols.proxy_preambles")),
      handed_over_(counters.get("protocols.handed_over")),
      buffered_counter_(counters.get("protocols.buffered_bytes")) {}

Detector::~Detector() = default;

void Detector::accept(const StreamItem& item) {
  if (const auto* chunk = std::get_if<Chunk>(&item)) return on_bytes(*chunk);
  if (const auto* gap = std::get_if<Gap>(&item)) return on_gap(*gap);
  if (const auto* closed = std::get_if<StreamClosed>(&item)) return on_closed(*closed);
  on_tick(std::get<StreamTick>(item).time);
}

std::size_t Detector::forget() {
  std::size_t half_read = 0;
  for (auto& [id, f] : flows_) {
    const Lane& received = f.lane(Direction::kReceived);
    if (f.conn->side == TcpSide::kPassive && received.queue != nullptr && received.skip == 0) ++half_read;
  }
  flows_.clear();
  waiting_.clear();
  last_ = nullptr;
  buffered_ = 0;
  connections_.set(0);
  buffered_counter_.set(0);
  return half_read;
}

Detector::Flow& Detector::flow(const ConnectionPtr& conn) {
  if (last_ != nullptr && last_->conn->id == conn->id) return *last_;
  const auto [it, fresh] = flows_.try_emplace(conn->id);
  if (fresh) {
    it->second.conn = conn;
    connections_.set(flows_.size());
  }
  last_ = &it->second;
  return *last_;
}

void Detector::on_bytes(const Chunk& chunk) {
  if (chunk.bytes.empty()) return;
  Flow& f = flow(chunk.conn);
  if (f.ignored) return;
  Piece piece;
  piece.position = chunk.position;
  piece.length = chunk.bytes.size();
  piece.touch = {chunk.time, chunk.actor};
  piece.turn_start = f.moved ? f.last_direction != chunk.direction : chunk.position == 0;
  f.moved = true;
  f.last_direction = chunk.direction;
  feed(f, chunk.direction, piece, chunk.bytes);
}

void Detector::on_gap(const Gap& gap) {
  if (gap.length == 0) return;
  Flow& f = flow(gap.conn);
  if (f.ignored) return;
  Piece piece;
  piece.position = gap.position;
  piece.length = gap.length;
  piece.touch = {gap.time, gap.actor};
  piece.gap = true;
  piece.why = gap.why;
  piece.turn_start = f.moved ? f.last_direction != gap.direction : gap.position == 0;
  piece.tail_size = static_cast<std::uint8_t>(std::min(gap.tail.size(), piece.tail.size()));
  std::copy_n(gap.tail.end() - piece.tail_size, piece.tail_size, piece.tail.begin());
  if (gap.why == Gap::Why::kNotCaptured) {  // the others passed at a time nobody knows
    f.moved = true;
    f.last_direction = gap.direction;
  }
  feed(f, gap.direction, piece, {});
}

void Detector::on_closed(const StreamClosed& closed) {
  const auto found = flows_.find(closed.conn->id);
  if (found == flows_.end()) return;
  Flow& f = found->second;
  // First without deciding that a request is missing: it may be the half head that waits in the other direction.
  for (const BootTime alone_until : {BootTime{}, kAllTime}) {
    drive_waiting(f, Direction::kReceived, Force{true, alone_until});
    drive_waiting(f, Direction::kSent, Force{true, alone_until});
  }
  if (f.conversation != nullptr) {
    using From = event::Closed::How;
    using To = ConversationEnded::How;
    Output out(next_, verdicts_, f.conn);
    f.conversation->closed(closed, out);
    const To how = closed.how == From::kReset       ? To::kReset
                   : closed.how == From::kForgotten ? To::kForgotten
                                                    : To::kClosed;
    next_.accept(ConversationEnded{f.conn, closed.time, how});
  }
  for (Lane& lane : f.lanes) {
    if (lane.queue != nullptr) drop_all(*lane.queue);
    settle(lane);
  }
  if (last_ == &f) last_ = nullptr;
  flows_.erase(found);
  connections_.set(flows_.size());
}

void Detector::on_tick(BootTime now) {
  while (!waiting_.empty() && waiting_.front().until <= now) {
    const Waiting w = waiting_.front();
    waiting_.pop_front();
    const auto found = flows_.find(w.conn);
    if (found == flows_.end()) continue;
    Lane& lane = found->second.lane(w.direction);
    lane.listed = false;
    if (!lane.waits_for_peer) continue;
    if (lane.wait_until > now) {
      lane.listed = true;
      waiting_.push_back({lane.wait_until, w.conn, w.direction});
      continue;
    }
    peer_missed_.add();
    drive_waiting(found->second, w.direction, Force{false, now + -options_.peer_wait_ns});
  }
  buffered_counter_.set(buffered_);
}

void Detector::feed(Flow& f, Direction d, const Piece& piece, Bytes bytes) {
  Lane& lane = f.lane(d);
  const bool direct = lane.queue == nullptr;
  PieceQueue& queue = direct ? scratch_ : *lane.queue;
  queue.push(piece, bytes);
  const Conversation* const before = f.conversation.get();
  const bool progress = drive(f, d, queue, {});
  if (direct && !queue.empty() && !f.ignored) {
    lane.queue = std::make_unique<PieceQueue>(std::move(scratch_));
    scratch_ = PieceQueue();
  } else if (direct) {
    scratch_.clear();
  }
  if (lane.queue != nullptr) lane.queue->keep();
  settle(lane);
  if (f.ignored) settle(f.lane(opposite(d)));
  const Lane& other = f.lane(opposite(d));
  if (progress && other.queue != nullptr && (other.waits_for_peer || before != f.conversation.get())) {
    drive_waiting(f, opposite(d), {});
  }
}

void Detector::drive_waiting(Flow& f, Direction d, Force force) {
  // Each round consumes something, so this ends.
  while (true) {
    Lane& lane = f.lane(d);
    if (lane.queue == nullptr) return;
    const Conversation* const before = f.conversation.get();
    const bool progress = drive(f, d, *lane.queue, force);
    settle(lane);
    d = opposite(d);
    if (f.ignored) settle(f.lane(d));
    if (!progress || (!f.lane(d).waits_for_peer && before == f.conversation.get())) return;
  }
}

bool Detector::drive(Flow& f, Direction d, PieceQueue& queue, Force force) {
  Lane& lane = f.lane(d);
  lane.waits_for_peer = false;
  Output out(next_, verdicts_, f.conn);
  bool progress = false;
  unsigned idle = 0;
  while (!queue.empty() && !f.ignored) {
    if (f.conversation == nullptr) {
      if (!recognise(f, d, queue, force)) break;
      progress = true;
      continue;
    }
    if (lane.skip > 0) {
      skip_some(f, d, queue);
      progress = true;
      continue;
    }
    const std::uint64_t at = queue.position();
    const Piece& front = queue.front();
    const bool turn_start = front.turn_start && queue.at_piece_start();
    Input in;
    bool go_on = false;
    if (front.gap) {
      const Hole hole{
          d, at, queue.front_left(), front.touch, turn_start, front.why, tail_of(front, queue.front_left())};
      go_on = apply(f, d, queue, f.conversation->missing(hole, out), in, force);
    } else {
      const PieceQueue::Run run = queue.run();
      const bool full =
          run.bytes.size() >= options_.max_lane_bytes || buffered_ + queue.cost() > options_.max_total_bytes;
      in.direction = d;
      in.position = at;
      in.bytes = run.bytes;
      in.turn_start = turn_start;
      in.cut = force.cut || run.ends_in_gap || full;
      in.alone = full || front.touch.time <= force.alone_until;
      in.pieces = run.pieces;
      const Step step = f.conversation->next(in, out);
      if (full && !std::holds_alternative<Parsed>(step)) overflow_.add();
      go_on = apply(f, d, queue, step, in, force);
    }
    if (!go_on) break;
    const bool moved =
        f.conversation == nullptr || f.ignored || lane.skip > 0 || queue.empty() || queue.position() != at;
    if (moved) {
      progress = true;
      idle = 0;
    } else if (++idle > kMaxIdleSteps) {
      stuck_.add();
      ignore(f, queue.front().touch.time);
    }
  }
  if (f.ignored) drop_all(queue);
  return progress;
}

// False when the lane must wait.
bool Detector::apply(Flow& f, Direction d, PieceQueue& queue, const Step& step, const Input& in, Force force) {
  Lane& lane = f.lane(d);
  if (const auto* parsed = std::get_if<Parsed>(&step)) {
    queue.pop(std::min(parsed->bytes, in.bytes.size()));
    return true;
  }
  if (const auto* skip = std::get_if<Skip>(&step)) {
    lane.skip = skip->bytes;
    lane.why = skip->why;
    return true;
  }
  if (const auto* over = std::get_if<HandOver>(&step)) {
    hand_over(f, d, queue, *over);
    return true;
  }
  if (std::holds_alternative<GiveUp>(step)) {
    given_up_.add();
    ignore(f, queue.front().touch.time);
    return true;
  }
  const bool wants_peer = std::holds_alternative<NeedPeer>(step);
  if (in.bytes.empty() || (wants_peer ? in.alone : in.cut)) {
    // It was told that there is no more; what it cannot use goes.
    drop(queue, in.bytes.empty() ? queue.front_left() : in.bytes.size());
    return true;
  }
  if (wants_peer && !force.cut) wait_for_peer(f, d, queue.front().touch.time);
  if (wants_peer && force.cut) lane.waits_for_peer = true;
  return false;
}

// True when something was recognised or dropped, false when more bytes are needed.
bool Detector::recognise(Flow& f, Direction d, PieceQueue& queue, Force force) {
  Lane& lane = f.lane(d);
  if (lane.origin == kNextByte) lane.origin = queue.position();
  const Piece& front = queue.front();
  const bool turn_start = front.turn_start && queue.at_piece_start();
  const bool from_start = queue.position() == lane.origin;
  if (turn_start || from_start) lane.ignoring = false;
  if (front.gap || lane.ignoring) {
    lane.ignoring = !front.gap || front.why == Gap::Why::kNotCaptured;
    lane.after_loss = front.gap && front.why == Gap::Why::kLost;
    if (!front.gap || front.why != Gap::Why::kJoinedLate) f.unseen_until = std::max(f.unseen_until, front.touch.time);
    drop(queue, queue.front_left());
    return true;
  }
  const PieceQueue::Run run = queue.run();
  const bool cut = force.cut || run.ends_in_gap || run.bytes.size() >= options_.max_opening_bytes ||
                   buffered_ + queue.cost() > options_.max_total_bytes;
  if (from_start) {
    const Preamble preamble = proxy_preamble(run.bytes);
    if (preamble.partial && !cut) return false;
    if (preamble.bytes > 0) {
      preambles_.add();
      queue.pop(preamble.bytes);
      lane.origin += preamble.bytes;
      return true;
    }
  }
  Opening opening{*f.conn, d, f.unseen_until, run.bytes, from_start, turn_start, cut, lane.after_loss, {}};
  if (PieceQueue* const other = f.lane(opposite(d)).queue.get(); other != nullptr && !other->empty()) {
    opening.other = other->run().bytes;
  }
  bool maybe = false;
  for (const auto& protocol : protocols_) {
    const Likeness likeness = protocol->recognise(opening);
    if (likeness == Likeness::kYes) {
      f.conversation = protocol->start(opening);
      f.tries = 0;
      recognised_.add();
      return true;
    }
    maybe = maybe || likeness == Likeness::kMaybe;
  }
  if (maybe && !opening.cut) return false;
  lane.ignoring = true;
  const BootTime time = front.touch.time;
  f.unseen_until = std::max(f.unseen_until, time);
  drop(queue, queue.front_left());
  if ((turn_start || from_start) && ++f.tries >= options_.max_tries) {
    not_recognised_.add();
    ignore(f, time);
  }
  return true;
}

void Detector::skip_some(Flow& f, Direction d, PieceQueue& queue) {
  Lane& lane = f.lane(d);
  const std::uint64_t count = std::min(lane.skip, queue.front_left());
  const Piece& front = queue.front();
  lane.skip -= count;
  (lane.why == Skip::Why::kBody ? skipped_bytes_ : unrecognised_bytes_).add(count);
  Conversation::Skipped part{d,  queue.position() + count, front.touch,
                             {}, lane.skip == 0,           front.gap && front.why == Gap::Why::kLost};
  if (!front.gap) {
    part.bytes = queue.front_bytes().first(static_cast<std::size_t>(count));
  } else if (count == queue.front_left()) {
    part.bytes = tail_of(front, count);
  }
  Output out(next_, verdicts_, f.conn);
  f.conversation->skipped(part, out);
  queue.pop(count);
}

void Detector::hand_over(Flow& f, Direction d, PieceQueue& queue, const HandOver& step) {
  const auto heir = std::find_if(protocols_.begin(), protocols_.end(),
                                 [&](const auto& protocol) { return !step.to.empty() && protocol->name() == step.to; });
  const BootTime time = queue.front().touch.time;
  if (!queue.front().gap) queue.pop(step.bytes);
  handed_over_.add();
  f.conversation.reset();
  next_.accept(ConversationEnded{f.conn, time, ConversationEnded::How::kHandedOver});
  for (Lane& lane : f.lanes) {
    lane.skip = 0;
    lane.ignoring = false;
    lane.origin = kNextByte;
  }
  f.tries = 0;
  f.unseen_until = {};
  if (heir != protocols_.end()) {
    f.conversation = (*heir)->start(Opening{*f.conn, d, {}, {}, true, true, false, false, {}});
  }
}

void Detector::wait_for_peer(Flow& f, Direction d, BootTime since) {
  Lane& lane = f.lane(d);
  lane.waits_for_peer = true;
  lane.wait_until = since + options_.peer_wait_ns;
  if (lane.listed) return;
  peer_waits_.add();
  lane.listed = true;
  waiting_.push_back({lane.wait_until, f.conn->id, d});
}

void Detector::drop(PieceQueue& queue, std::uint64_t bytes) {
  unrecognised_bytes_.add(bytes);
  queue.pop(bytes);
}

void Detector::drop_all(PieceQueue& queue) {
  while (!queue.empty()) drop(queue, queue.front_left());
}

void Detector::ignore(Flow& f, BootTime time) {
  f.ignored = true;
  if (f.conversation != nullptr) {
    Output out(next_, verdicts_, f.conn);
    f.conversation->closed(StreamClosed{f.conn, time, event::Closed::How::kForgotten}, out);
    f.conversation.reset();
    next_.accept(ConversationEnded{f.conn, time, ConversationEnded::How::kForgotten});
  }
  for (Lane& lane : f.lanes) {
    lane.skip = 0;
    if (lane.queue != nullptr) drop_all(*lane.queue);  // freed later: it may be in use
  }
  if (verdicts_ != nullptr) verdicts_->set(f.conn->id, Verdict::kIgnore);
}

// Brings buffered_ up to date after a lane's queue changed; an empty queue is freed.
void Detector::settle(Lane& lane) {
  buffered_ -= lane.cost;
  lane.cost = 0;
  if (lane.queue == nullptr) return;
  if (lane.queue->empty()) {
    lane.queue.reset();
    return;
  }
  lane.cost = lane.queue->cost();
  buffered_ += lane.cost;
}

}  // namespace wirespan::protocols
