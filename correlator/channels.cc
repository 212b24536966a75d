#include "correlator/channels.h"

#include <algorithm>
#include <utility>

namespace wirespan {
namespace {

constexpr std::size_t kMostChannels = 4096;  // of a generation
constexpr std::size_t kMostElements = 4096;  // of a channel
constexpr std::size_t kMostTakers = 64;      // of a channel
constexpr std::size_t kMostDraws = 256;      // of a channel
constexpr std::uint32_t kSentRemembered = 256;
// That a channel's elements come back to it is believed of at least so many, and when at least one sender in so many
// takes from it as well.
constexpr std::uint32_t kFewComeBack = 4;
constexpr std::uint32_t kMostOthersSend = 4;

template <class Map>
void put(Map& map, std::uint64_t key, typename Map::mapped_type value) {
  if (map.size() >= kMostElements && !map.contains(key)) map.clear();
  map[key] = value;
}

Channels::Element take(std::unordered_map<std::uint64_t, Channels::Element>& map, std::uint64_t key) {
  const auto it = map.find(key);
  if (it == map.end()) return {};
  const Channels::Element element = it->second;
  map.erase(it);
  return element;
}

}  // namespace

Channels::Channel& Channels::channel(std::uint64_t object) {
  return channels_.use(object, kMostChannels);
}

// An operation of the same kind that found the channel as the last one did, with none of the other kind in between.
bool Channels::raced(const Channel& c, const event::Handover& now) {
  return c.last == now.role && c.last_task != now.actor.task && c.last_place == now.place &&
         c.last_other == now.other && c.last_queued == now.queued;
}

void Channels::note(Channel& c, const event::Handover& now) {
  c.last = now.role;
  c.last_place = now.place;
  c.last_other = now.other;
  c.last_task = now.actor.task;
  c.last_queued = now.queued;
}

// One that comes back by chance is a worker that hands in work as well: a piece that is to be tried again, a part.
bool Channels::comes_back(const Channel& c) {
  return c.sent_by_takers >= kFewComeBack && c.sent_by_takers * kMostOthersSend >= c.sent;
}

void Channels::note_taker(Channel& c, std::uint64_t task) {
  if (std::ranges::find(c.takers, task) != c.takers.end()) return;
  if (c.takers.size() < kMostTakers)
    c.takers.push_back(task);
  else
    c.takers[c.next_taker++ % kMostTakers] = task;
}

void Channels::note_sender(Channel& c, std::uint64_t task) {
  ++c.sent;
  if (std::ranges::find(c.takers, task) != c.takers.end()) ++c.sent_by_takers;
  if (c.sent < kSentRemembered) return;
  c.sent /= 2;
  c.sent_by_takers /= 2;
}

void Channels::give(const Channel& c, std::uint64_t task, Element element, const Receiver& receiver) {
  Given given;
  given.work = element.work;
  given.sender = element.sender;
  given.task = task;
  given.site = receiver.site;
  given.selects = receiver.selects;
  given.comes_back = comes_back(c);
  given_.push_back(given);
}

// The task begins to receive: of what it drew before, what is there still was not taken.
void Channels::begin(const event::Handover& receive) {
  if (receive.select == event::Handover::Select::kAnother || receive.select == event::Handover::Select::kAnotherDrawn) {
    return;
  }
  asks(receive.actor.task);
}

void Channels::asks(std::uint64_t task) {
  waiting_.erase(task);
  const auto last = drawing_.find(task);
  if (last == drawing_.end()) return;
  if (const auto it = draws_.find(last->second); it != draws_.end()) it->second.over = true;
  drawing_.erase(last);
}

bool Channels::drawn_by_others(const Channel& c, std::uint64_t channel, const Front& front) const {
  return std::ranges::any_of(c.draws, [&](std::uint64_t id) {
    const auto it = draws_.find(id);
    return it != draws_.end() && std::ranges::any_of(it->second.candidates, [&](const Candidate& candidate) {
             return candidate.channel == channel && front.same(candidate);
           });
  });
}

void Channels::draw(Channel& c, const event::Handover& receive, const Receiver& receiver) {
  const std::uint64_t task = receive.actor.task;
  if (draws_.size() >= kMostElements) draws_.clear();
  if (drawing_.size() >= kMostElements) drawing_.clear();
  std::uint64_t& id = drawing_[task];
  if (id == 0) id = ++last_draw_;
  Draw& draw = draws_[id];
  draw.task = task;
  draw.receiver = receiver;
  Candidate candidate{receive.object, receive.place, receive.other, receive.capacity > 0, {}};
  const auto& from = candidate.buffered ? c.slots : c.blocked;
  const auto work = from.find(candidate.buffered ? candidate.place : candidate.other);
  if (work != from.end()) candidate.element = work->second;
  draw.candidates.push_back(candidate);
  if (c.draws.size() >= kMostDraws) c.draws.clear();
  c.draws.push_back(id);
  give(c, task, candidate.element, receiver);
  given_.back().draw = id;
}

void Channels::settle(Channel& c, std::uint64_t id, const Candidate& taken) {
  const auto it = draws_.find(id);
  if (taken.buffered) {
    if (taken.other != 0) {
      put(c.slots, taken.place, take(c.blocked, taken.other));
    } else if (const auto slot = c.slots.find(taken.place);
               slot != c.slots.end() && slot->second.work == taken.element.work) {
      c.slots.erase(slot);
    }
  } else {
    take(c.blocked, taken.other);
  }
  give(c, it->second.task, taken.element, it->second.receiver);
  given_.back().draw = id;
  given_.back().settled = true;
  draws_.erase(it);
}

// Elements that are gone were taken by who drew them, where that is one only.
void Channels::look(Channel& c, std::uint64_t channel, const Front& front) {
  std::vector<std::pair<std::uint64_t, Candidate>> gone;
  std::erase_if(c.draws, [&](std::uint64_t id) {
    const auto it = draws_.find(id);
    if (it == draws_.end()) return true;
    auto& candidates = it->second.candidates;
    const auto own = std::ranges::find(candidates, channel, &Candidate::channel);
    if (own == candidates.end()) return true;
    if (front.buffered != own->buffered) return false;
    const bool there = front.same(*own);
    if (there && !it->second.over) return false;
    if (!there) gone.emplace_back(id, *own);
    candidates.erase(own);
    if (there && candidates.empty()) draws_.erase(it);
    return true;
  });
  for (const auto& [id, candidate] : gone) {
    const auto others = std::ranges::count_if(gone, [&](const auto& one) {
      return candidate.buffered ? one.second.place == candidate.place : one.second.other == candidate.other;
    });
    if (others == 1)
      settle(c, id, candidate);
    else if (const auto it = draws_.find(id); it != draws_.end() && it->second.candidates.empty())
      draws_.erase(it);
  }
}

const std::vector<Channels::Given>& Channels::sends(const event::Handover& send, std::uint64_t work) {
  given_.clear();
  Channel& c = channel(send.object);
  if (send.capacity > 0 && send.queued <= send.capacity) {
    look(c, send.object, {true, (send.place + send.capacity - send.queued) % send.capacity, 0});
  }
  // Perhaps it does not.
  if (send.drawn()) work = 0;
  const bool race = raced(c, send);
  note(c, send);
  note_sender(c, send.actor.task);
  const Element element{work, send.drawn() ? 0 : send.actor.task};
  if (send.other != 0) {
    // Handed to the receiver that waits first. It waits for longer than we look, if it was not seen to begin. One that
    // was given something by another channel of its select may still be in this one's queue.
    const auto known = waiting_.find(send.other);
    Receiver receiver = known == waiting_.end() ? Receiver{} : known->second;
    give(c, send.other, receiver.given ? Element{} : element, receiver);
    receiver.given = true;
    put(waiting_, send.other, receiver);
  } else if (send.queued >= send.capacity) {
    put(c.blocked, send.actor.task, element);
  } else {
    put(c.slots, send.place, race ? Element{} : element);
  }
  return given_;
}

// The channel was empty. A sender that saw nobody wait may be about to find this receiver.
void Channels::give_early(Channel& c, const event::Handover& receive) {
  const std::uint64_t task = receive.actor.task;
  const bool selects = receive.select != event::Handover::Select::kNone;
  Element element;
  if (c.last == event::Handover::Role::kSends && c.last_other == 0) {
    element = take(receive.capacity > 0 ? c.slots : c.blocked, receive.capacity > 0 ? receive.place : c.last_task);
  }
  if (receive.select == event::Handover::Select::kAnother) {
    const auto before = waiting_.find(task);
    if (before != waiting_.end() && before->second.given) {
      // Two channels of one select may have something for it, and which comes first is not known.
      if (element.work != 0) give(c, task, {}, before->second);
      return;
    }
  }
  const bool given = element.work != 0;
  if (given) c.early = {task, receive.place, element};
  const Receiver receiver{given, receive.site, selects};
  put(waiting_, task, receiver);
  give(c, task, given ? element : Element{}, receiver);
  given_.back().waits = !given;
}

void Channels::take_back(Channel& c, const event::Handover& receive) {
  Channel::Early& early = c.early;
  if (early.task == 0) return;
  if (early.task == receive.actor.task) {
    early = {};  // it got it, and wants more
    return;
  }
  const bool taken = receive.queued > 0 ? receive.place == early.place : receive.other == early.element.sender;
  if (!taken) return;
  if (receive.queued > 0) {
    put(c.slots, early.place, early.element);
  } else {
    put(c.blocked, early.element.sender, early.element);
  }
  Receiver waits;
  if (const auto it = waiting_.find(early.task); it != waiting_.end()) {
    it->second.given = false;
    waits = it->second;
  }
  give(c, early.task, {}, waits);
  early = {};
}

const std::vector<Channels::Given>& Channels::receives(const event::Handover& receive) {
  given_.clear();
  Channel& c = channel(receive.object);
  const std::uint64_t task = receive.actor.task;
  note_taker(c, task);
  begin(receive);
  const Receiver receiver{true, receive.site, receive.select != event::Handover::Select::kNone};
  const Front front{receive.capacity > 0, receive.place, receive.other};
  look(c, receive.object, front);
  if (receive.queued > 0 || receive.other != 0) {
    if (receive.drawn() || drawn_by_others(c, receive.object, front)) {
      take_back(c, receive);
      draw(c, receive, receiver);
      c.last = event::Handover::Role::kCalls;  // who sees the same next draws as well
      return given_;
    }
  }
  const bool race = raced(c, receive) && (receive.queued > 0 || receive.other != 0);
  if (race) give(c, c.last_task, {}, {});
  take_back(c, receive);
  if (receive.queued > 0) {
    const Element element = take(c.slots, receive.place);
    // The buffer was full: the element of the sender that waits first takes the place.
    if (receive.other != 0) put(c.slots, receive.place, take(c.blocked, receive.other));
    give(c, task, race ? Element{} : element, receiver);
  } else if (receive.other != 0) {
    const Element element = take(c.blocked, receive.other);
    give(c, task, race ? Element{} : element, receiver);
  } else {
    give_early(c, receive);
  }
  note(c, receive);
  return given_;
}

}  // namespace wirespan
