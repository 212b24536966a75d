#include "correlator/async_work.h"

#include <algorithm>
#include <limits>

namespace wirespan {
namespace {

constexpr std::size_t kMostStretches = 16'384;
constexpr std::size_t kMostRemembered = 8192;
constexpr std::size_t kMostLines = 65'536;

}  // namespace

AsyncWork::Line& AsyncWork::line_of(ConnId conn) {
  if (lines_.size() >= kMostLines && !lines_.contains(conn)) lines_.clear();
  return lines_[conn];
}

const AsyncWork::Stretch* AsyncWork::stretch_of(std::uint64_t id) const {
  const auto after = std::upper_bound(stretches_.begin(), stretches_.end(), id,
                                      [](std::uint64_t value, const Stretch& s) { return value < s.first; });
  return after == stretches_.begin() ? nullptr : &*std::prev(after);
}

void AsyncWork::begin_stretch(std::uint64_t first, Work work, bool mixed) {
  if (!stretches_.empty() && stretches_.back().first >= first) {
    stretches_.back().work = work;
    stretches_.back().mixed = mixed;
    return;
  }
  if (!stretches_.empty() && stretches_.back().work == work && stretches_.back().mixed == mixed) return;
  if (stretches_.size() >= kMostStretches) stretches_.pop_front();
  stretches_.push_back({first, work, mixed});
}

void AsyncWork::end_turn(std::uint64_t given) {
  if (begun_) return;
  if (const auto it = lines_.find(from_); it != lines_.end()) it->second.read.last = given;
}

void AsyncWork::unsure() {
  end_turn(last_.given);
  turn_ = now_ = {};
  begun_ = true;
  queued_ = 0;
  begin_stretch(last_.given + 1, {}, true);
  for (auto& [conn, line] : lines_) {
    if (!line.parsed) line.work = {};
  }
}

void AsyncWork::observe(const event::Async& event, const IsOpen& is_open) {
  if (event.given < last_.given) {
    *this = AsyncWork();  // another program runs in the process now
  } else if (event.sequence != last_.sequence + 1) {
    unsure();
  }
  how_ = 0;
  cause_ = 0;
  heard_.reset();
  switch (event.where) {
    case Where::kBegins:
      end_turn(event.given);
      begun_ = true;
      from_ = {};
      since_ = event.given + 1;
      now_ = turn_ = {};
      break;
    case Where::kReceives:
      received(event);
      break;
    case Where::kResolves:
      resolved(event, is_open);
      break;
    case Where::kMakes:
      now_ = done_for(event, is_open);
      taken(event);
      break;
    case Where::kSets:
      now_ = done_for(event, is_open);
      // After a loss the last number may be of something that was not told.
      if (event.sequence == last_.sequence + 1) set_timer(event);
      break;
    case Where::kConnects:
    case Where::kSends:
      now_ = done_for(event, is_open);
      sent(event);
      break;
  }
  begin_stretch(event.given + 1, turn_, begun_);
  last_ = event;
  if (event.where != Where::kSets) told_ = event.given;
}

void AsyncWork::received(const event::Async& event) {
  end_turn(event.given);
  resolved_ = false;
  begun_ = false;
  from_ = event.connection;
  since_ = event.given + 1;
  turn_ = {};
  if (const auto it = lines_.find(event.connection); it != lines_.end()) {
    it->second.waiting = false;
    it->second.read = {since_, std::numeric_limits<std::uint64_t>::max()};
    if (!it->second.shared) turn_ = it->second.work;
  }
  now_ = turn_;
}

void AsyncWork::resolved(const event::Async& event, const IsOpen& is_open) {
  std::optional<Work> made_for;
  if (event.execution != 0) made_for = owner(event.execution, event.trigger == 0, is_open);
  now_ = done_for(event, is_open);
  if (event.execution == 0) return;
  const bool first = !begun_ && !std::exchange(resolved_, true);
  if (first && event.execution < since_ && (how_ & kInTurn) == 0 && now_.request != 0 && turn_.via != 0) {
    // What had led to the call is what had when the context was made.
    const std::uint64_t before = made_for && made_for->request == now_.request ? made_for->via : now_.via;
    heard_ = {turn_.via, {now_.request, before == turn_.via ? 0 : before, now_.doubt}, now_.request == turn_.request};
    now_.via = turn_.via;
  }
  // What was read may go on as well, and nobody tells which of the two does.
  const bool both = !begun_ && turn_.request != 0 && now_.request != 0 && turn_.request != now_.request;
  turn_ = both && turn_.doubt == 0 ? Work() : now_;
}

void AsyncWork::set_timer(const event::Async& event) {
  // Where a turn is one's alone its numbers are as well; where a promise was resolved they are of who waited for that.
  if ((now_.request == 0 && now_.via == 0) || event.given <= last_.given || !begun_) return;
  if (turn_.request != 0 && turn_.request != now_.request) return;
  remembered_.use(event.given, kMostRemembered) = {now_, true};
}

void AsyncWork::taken(const event::Async& event) {
  // In the scope of something older of which nothing is known it is not for whose turn it is that it is taken.
  const bool foreign = event.execution != 0 && event.execution < since_ && !begun_ && (how_ & kInTurn) != 0;
  queued_ = foreign ? event.execution : 0;
  queued_by_ = event.trigger;
  queued_for_ = foreign ? led_to(event) : Work();
  if (!foreign && now_.request != 0) remembered_.use(event.given + 1, kMostRemembered) = {now_, false};
}

void AsyncWork::sent(const event::Async& event) {
  Line& line = line_of(event.connection);
  if (line.server) return;
  const Span fresh{told_ + 1, event.given};
  if (event.where == Where::kConnects) {
    line = Line();
    line.connecting = true;
    line.born = fresh;
    line.own = event.trigger;
    line.work = now_;
    return;
  }
  line.written = fresh;
  if (line.connecting) {
    line.connecting = false;
    line.own = event.trigger;
    if (now_.request == 0) now_ = line.work;
  }
  if (reuses(event, line)) how_ |= kReused;
  if (queued_ != 0 && event.trigger == queued_ && (how_ & kReused) != 0 && (how_ & kInTurn) != 0) {
    now_ = queued_for_;
    cause_ = queued_by_;
  }
  if (line.parsed) {
    // Should what is written now not be told of, it is nobody's answer that comes.
    if (now_.request != 0 && now_.request != line.work.request) line.work = {now_.request, 0, now_.doubt};
    return;
  }
  if (line.waiting && line.work.request != now_.request) line.shared = true;
  line.waiting = true;
  line.work = now_;
}

bool AsyncWork::reuses(const event::Async& event, const Line& line) const {
  if (from_ == event.connection && !begun_ && (how_ & kInTurn) != 0) return true;
  return line.read.holds(event.trigger);
}

std::optional<Work> AsyncWork::owner(std::uint64_t id, bool made_known, const IsOpen& is_open) const {
  if (!begun_) {
    const auto line = lines_.find(from_);
    if (line != lines_.end() && line->second.owns(id)) return std::nullopt;
  }
  Work work;
  if (const Known* const known = remembered_.peek(id)) {
    work = known->work;
  } else if (const Stretch* const stretch = stretch_of(id)) {
    work = stretch->work;
    // Callbacks of others may have run in between, of which nobody told.
    if (stretch->mixed && !made_known) work.doubt |= kMixed;
  }
  if (work.request == 0 || !is_open(work.request)) return std::nullopt;
  return work;
}

Work AsyncWork::led_to(const event::Async& event) const {
  for (const std::uint64_t id : {event.execution, event.trigger}) {
    if (id == 0 || id >= since_) continue;
    if (const Known* const known = remembered_.peek(id)) {
      if (known->work.request == 0 && known->work.via != 0) return known->work;
    } else if (const Stretch* const stretch = stretch_of(id)) {
      if (!stretch->mixed && stretch->work.request == 0 && stretch->work.via != 0) return stretch->work;
    }
  }
  return {};
}

Work AsyncWork::done_for(const event::Async& event, const IsOpen& is_open) {
  const std::uint64_t id = event.execution;
  const std::uint64_t trigger = event.trigger;
  if (id == 0) {
    how_ = kInTurn;
    return turn_;
  }
  std::optional<Work> work;
  if (id < since_) {
    work = owner(id, trigger == 0, is_open);
    const Stretch* const stretch = stretch_of(id);
    const Known* const known = remembered_.peek(id);
    const bool mixed = known != nullptr ? known->by_timer : stretch != nullptr && stretch->mixed;
    if (trigger != 0 && trigger < since_ && (!work || mixed)) {
      // What made it says more than what else went on then.
      if (const std::optional<Work> made = owner(trigger, false, is_open)) work = made;
    }
  } else if (trigger != 0 && trigger < since_) {
    work = owner(trigger, false, is_open);
  } else if (trigger != 0 && begun_) {
    work = owner(trigger, false, is_open);
    if (!work) return led_to(event);
  } else if (const Stretch* const stretch = stretch_of(id)) {
    // Made since, in the middle of what goes on.
    how_ = kInTurn;
    return stretch->work;
  }
  if (work) {
    // Two ways say the same, and what led here is what was read, not what went on when the number was given.
    if (work->request == turn_.request) {
      work->via = turn_.via;
      // One guess may have led to both.
      work->doubt &= turn_.doubt | kReused;
    }
    remembered_.use(id, kMostRemembered) = {*work, false};
    return *work;
  }
  if (begun_) return led_to(event);
  how_ = kInTurn;
  const Stretch* const stretch = id < since_ ? nullptr : stretch_of(id);
  return stretch != nullptr ? stretch->work : turn_;
}

void AsyncWork::reading(ConnId conn, Work work, bool server) {
  Line& line = line_of(conn);
  line.parsed = true;
  line.server = server;
  line.shared = false;
  line.work = work;
  if (begun_ || from_ != conn || last_.where != Where::kReceives) return;
  turn_ = now_ = work;
  begin_stretch(since_, work, false);
}

void AsyncWork::calls(ConnId conn, Work work) {
  Line& line = line_of(conn);
  line.parsed = true;
  line.shared = false;
  line.work = work;
}

void AsyncWork::serves(ConnId conn) {
  line_of(conn).server = true;
}

}  // namespace wirespan
