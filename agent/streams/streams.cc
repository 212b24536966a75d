#include "agent/streams/streams.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

namespace wirespan {
namespace {

// No connection moves this much: a larger position is a decoding error, and sums of two stay below 2^63.
constexpr std::uint64_t kMaxPosition = std::uint64_t{1} << 62U;
constexpr std::size_t kMaxTail = 16;
// What a held call costs besides its bytes.
constexpr std::size_t kHeldOverhead = 256;

std::size_t index(Direction direction) {
  return static_cast<std::size_t>(direction);
}

std::size_t held_cost(const event::Data& data) {
  return kHeldOverhead + data.captured.size() + data.tail.size();
}

// What a sender claims against what is possible: captured and tail lie within the call.
bool consistent(const event::Data& data) {
  if (data.captured.size() >= data.length) return data.captured.size() == data.length && data.tail.empty();
  return data.tail.size() <= std::min<std::size_t>(kMaxTail, data.length);
}

event::Data clamped(const event::Data& data) {
  event::Data out = data;
  if (out.captured.size() > out.length) out.captured = out.captured.first(out.length);
  const std::size_t unseen = out.length - out.captured.size();
  if (unseen == 0) {
    out.tail = {};
  } else {
    out.tail = out.tail.last(std::min({out.tail.size(), kMaxTail, std::size_t{out.length}}));
  }
  return out;
}

}  // namespace

Streams::Streams(Sink<StreamItem>& next, Counters& counters, const StreamsOptions& options)
    : next_(next),
      options_(options),
      calls_(counters.get("streams.calls")),
      bytes_(counters.get("streams.bytes")),
      not_captured_bytes_(counters.get("streams.bytes.not_captured")),
      lost_bytes_(counters.get("streams.lost.bytes")),
      joined_late_(counters.get("streams.joined_late")),
      duplicate_calls_(counters.get("streams.dropped.duplicate_calls")),
      overlap_bytes_(counters.get("streams.dropped.overlap_bytes")),
      reordered_calls_(counters.get("streams.reordered_calls")),
      invalid_calls_(counters.get("streams.dropped.invalid_calls")),
      forgotten_(counters.get("streams.dropped.forgotten_connections")),
      hold_overflow_(counters.get("streams.reorder_overflow")),
      open_(counters.get("streams.connections")) {}

Streams::~Streams() = default;

void Streams::accept(const Event& event) {
  late_ = false;
  if (const auto* data = std::get_if<event::Data>(&event))
    return consistent(*data) ? on_data(*data) : on_data(clamped(*data));
  if (const auto* closed = std::get_if<event::Closed>(&event)) return on_closed(*closed);
  if (const auto* tick = std::get_if<event::Tick>(&event)) {
    last_tick_ = {};
    on_time(tick->time);
  }
  // Opened needs nothing: a connection without data must cost nothing (100,000 idle ones are normal).
}

void Streams::on_data(const event::Data& data) {
  calls_.add();
  if (!data.conn || data.length == 0 || data.position > kMaxPosition) {
    if (!data.conn || data.length != 0) invalid_calls_.add();
    return;
  }
  on_time(data.time);
  bytes_.add(data.length);
  Entry& e = *entry(data.conn);
  const std::size_t side = index(data.direction);
  std::uint64_t& next = e.next[side];

  if (!e.joined[side]) {
    e.joined[side] = true;
    if ((data.conn->adopted || data.conn->opened < since_) && data.position > 0) {
      joined_late_.add();
      gap(data, 0, data.position, Gap::Why::kJoinedLate);
      next = data.position;
    }
  }
  const bool alone = e.tid != 0 && e.tid == data.actor.thread.tid && data.time - e.alone_since >= options_.reorder_ns;
  if (e.tid != data.actor.thread.tid) {
    e.tid = data.actor.thread.tid;
    e.alone_since = data.time;
  }
  // While a call is awaited, what comes later waits with it, in either direction: an answer must not overtake its
  // request.
  const bool overtakes = !e.held.empty() && std::any_of(e.held.begin(), e.held.end(), [&](const Held& h) {
    return h.data.direction != data.direction && h.data.time < data.time;
  });
  if (data.position > next || overtakes) {
    hold(e, data);
    if (alone && !e.held.empty()) release(e);
    late_ = !e.held.empty();
    return;
  }
  forward(e, data);
  if (!e.held.empty()) drain(e);
}

void Streams::on_closed(const event::Closed& closed) {
  on_time(closed.time);
  if (!closed.conn) return;
  const auto found = entries_.find(closed.conn->id);
  if (found == entries_.end()) return;  // never moved a byte: nobody downstream knows it
  close(found->second, closed.time, closed.how);
}

void Streams::on_time(BootTime now) {
  while (!deadlines_.empty() && deadlines_.front().time <= now) {
    const ConnId conn = deadlines_.front().conn;
    deadlines_.pop_front();
    const auto found = entries_.find(conn);
    if (found == entries_.end()) continue;
    Entry& e = found->second;
    const bool due = std::any_of(e.held.begin(), e.held.end(),
                                 [&](const Held& h) { return now - h.data.time >= options_.reorder_ns; });
    if (due) {
      release(e);
    } else if (!e.held.empty()) {
      deadlines_.push_back({now + options_.reorder_ns, conn});
    }
  }
  // Times of different threads disagree by microseconds, so "now" may step back: then nothing is due.
  if (last_tick_.ns == 0 || now - last_tick_ >= options_.tick_ns) {
    last_tick_ = now;
    next_.accept(StreamTick{now});
  }
}

Streams::Entry* Streams::entry(const ConnectionPtr& conn) {
  if (last_ != nullptr && last_->conn->id == conn->id) {
    used(*last_);
    return last_;
  }
  const auto [it, fresh] = entries_.try_emplace(conn->id);
  Entry& e = it->second;
  if (fresh) {
    e.conn = conn;
    open_.set(entries_.size());
  }
  used(e);
  last_ = &e;
  if (entries_.size() > options_.max_connections && oldest_ != &e) {
    forgotten_.add();
    close(*oldest_, last_tick_, event::Closed::How::kForgotten);
  }
  return &e;
}

void Streams::used(Entry& e) {
  if (newest_ == &e) return;
  unlink(e);
  e.older = newest_;
  if (newest_ != nullptr) newest_->newer = &e;
  newest_ = &e;
  if (oldest_ == nullptr) oldest_ = &e;
}

void Streams::unlink(Entry& e) {
  if (e.older != nullptr) e.older->newer = e.newer;
  if (e.newer != nullptr) e.newer->older = e.older;
  if (oldest_ == &e) oldest_ = e.newer;
  if (newest_ == &e) newest_ = e.older;
  e.older = nullptr;
  e.newer = nullptr;
}

void Streams::close(Entry& e, BootTime time, event::Closed::How how) {
  release(e);
  next_.accept(StreamClosed{e.conn, time, how});
  unlink(e);
  if (last_ == &e) last_ = nullptr;
  entries_.erase(e.conn->id);
  open_.set(entries_.size());
}

void Streams::restart(BootTime since) {
  since_ = since;
  entries_.clear();
  deadlines_.clear();
  last_ = oldest_ = newest_ = nullptr;
  held_bytes_ = 0;
  open_.set(0);
}

// Precondition: data begins at or before what is expected.
void Streams::forward(Entry& e, const event::Data& data) {
  std::uint64_t& next = e.next[index(data.direction)];
  const std::uint64_t end = data.position + data.length;
  if (end <= next) {
    duplicate_calls_.add();
    return;
  }
  const std::uint64_t repeated = next - data.position;
  if (repeated > 0) overlap_bytes_.add(repeated);
  const std::uint64_t captured_end = data.position + data.captured.size();
  if (captured_end > next) {
    const Bytes bytes = data.captured.subspan(static_cast<std::size_t>(repeated));
    const std::uint64_t at = next;
    next = captured_end;
    next_.accept(Chunk{data.conn, data.direction, data.time, data.actor, at, bytes});
  }
  if (end > next) {
    not_captured_bytes_.add(end - next);
    const std::uint64_t from = next;
    next = end;
    Gap missing{data.conn, data.direction, data.time, data.actor, from, end - from, Gap::Why::kNotCaptured, data.tail};
    if (missing.tail.size() > missing.length)
      missing.tail = missing.tail.last(static_cast<std::size_t>(missing.length));
    next_.accept(missing);
  }
}

void Streams::gap(const event::Data& before, std::uint64_t from, std::uint64_t to, Gap::Why why) {
  next_.accept(Gap{before.conn, before.direction, before.time, before.actor, from, to - from, why, {}});
}

void Streams::hold(Entry& e, const event::Data& data) {
  reordered_calls_.add();
  const std::size_t cost = held_cost(data);
  if (e.held.empty()) deadlines_.push_back({data.time + options_.reorder_ns, e.conn->id});
  Held h{data, {data.captured.begin(), data.captured.end()}, {data.tail.begin(), data.tail.end()}};
  h.data.captured = h.captured;
  h.data.tail = h.tail;
  e.held.push_back(std::move(h));
  held_bytes_ += cost;

  std::size_t held_here = 0;
  for (const Held& one : e.held) held_here += held_cost(one.data);
  if (e.held.size() > options_.max_held_calls || held_here > options_.max_held_bytes ||
      held_bytes_ > options_.max_held_bytes_total) {
    hold_overflow_.add();
    release(e);
  }
}

// Forwards every held call that follows on.
void Streams::drain(Entry& e) {
  for (std::size_t i = 0; i < e.held.size();) {
    const Held& h = e.held[i];
    if (h.data.position > e.next[index(h.data.direction)]) {
      ++i;
      continue;
    }
    forward(e, h.data);
    drop_held(e, i);
    i = 0;
  }
}

// Forwards all held calls, each direction in order of position, with what is missing between them declared lost.
void Streams::release(Entry& e) {
  const auto before = [](const Held& a, const Held& b) {
    return a.data.direction == b.data.direction ? a.data.position < b.data.position : a.data.time < b.data.time;
  };
  while (!e.held.empty()) {
    std::size_t first = 0;
    for (std::size_t i = 1; i < e.held.size(); ++i) {
      if (before(e.held[i], e.held[first])) first = i;
    }
    const event::Data& data = e.held[first].data;
    std::uint64_t& next = e.next[index(data.direction)];
    if (data.position > next) {
      lost_bytes_.add(data.position - next);
      gap(data, next, data.position, Gap::Why::kLost);
      next = data.position;
    }
    forward(e, data);
    drop_held(e, first);
  }
  e.held.shrink_to_fit();
}

void Streams::drop_held(Entry& e, std::size_t at) {
  held_bytes_ -= held_cost(e.held[at].data);
  e.held.erase(e.held.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace wirespan
