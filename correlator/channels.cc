#include "correlator/channels.h"

#include <utility>

namespace wirespan {
namespace {

constexpr std::size_t kMostChannels = 4096;  // of a generation
constexpr std::size_t kMostElements = 4096;  // of a channel

template <class Map>
void put(Map& map, std::uint64_t key, typename Map::mapped_type value) {
  if (map.size() >= kMostElements && !map.contains(key)) map.clear();
  map[key] = value;
}

std::uint64_t take(std::unordered_map<std::uint64_t, std::uint64_t>& map, std::uint64_t key) {
  const auto it = map.find(key);
  if (it == map.end()) return 0;
  const std::uint64_t value = it->second;
  map.erase(it);
  return value;
}

}  // namespace

Channels::Channel& Channels::channel(std::uint64_t object) {
  if (const auto it = young_.find(object); it != young_.end()) return it->second;
  if (young_.size() >= kMostChannels) {
    old_ = std::move(young_);
    young_.clear();
  }
  const auto before = old_.find(object);
  if (before == old_.end()) return young_[object];
  Channel& kept = young_[object] = std::move(before->second);
  old_.erase(before);
  return kept;
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

const std::vector<Channels::Given>& Channels::sends(const event::Handover& send, std::uint64_t work) {
  given_.clear();
  Channel& c = channel(send.object);
  const bool race = raced(c, send);
  note(c, send);
  if (send.other != 0) {
    // Handed to the receiver that waits first. It waits for longer than we look, if it was not seen to begin. When one
    // in a select is done with it, and asks for more, is not seen.
    if (send.other == event::Handover::kSelecting) return given_;
    const auto receiver = c.waiting.find(send.other);
    given_.push_back({send.other, receiver != c.waiting.end() && receiver->second ? 0 : work});
    put(c.waiting, send.other, true);
  } else if (send.queued >= send.capacity) {
    put(c.blocked, send.actor.task, work);
  } else {
    put(c.slots, send.place, race ? 0 : work);
  }
  return given_;
}

// The channel was empty. A sender that saw nobody wait may be about to find this receiver.
void Channels::give_early(Channel& c, const event::Handover& receive) {
  const std::uint64_t task = receive.actor.task;
  std::uint64_t work = 0;
  if (c.last == event::Handover::Role::kSends && c.last_other == 0) {
    work = take(receive.capacity > 0 ? c.slots : c.blocked, receive.capacity > 0 ? receive.place : c.last_task);
  }
  if (work != 0) c.early = {task, receive.place, c.last_task, work};
  put(c.waiting, task, work != 0);
  given_.push_back({task, work});
}

void Channels::take_back(Channel& c, const event::Handover& receive) {
  Channel::Early& early = c.early;
  if (early.task == 0) return;
  if (early.task == receive.actor.task) {
    early = {};  // it got it, and wants more
    return;
  }
  const bool taken = receive.queued > 0 ? receive.place == early.place : receive.other == early.sender;
  if (!taken) return;
  if (receive.queued > 0) {
    put(c.slots, early.place, early.work);
  } else {
    put(c.blocked, early.sender, early.work);
  }
  if (const auto it = c.waiting.find(early.task); it != c.waiting.end()) it->second = false;
  given_.push_back({early.task, 0});
  early = {};
}

const std::vector<Channels::Given>& Channels::receives(const event::Handover& receive) {
  given_.clear();
  Channel& c = channel(receive.object);
  const std::uint64_t task = receive.actor.task;
  const bool race = raced(c, receive) && (receive.queued > 0 || receive.other != 0);
  if (race) given_.push_back({c.last_task, 0});
  take_back(c, receive);
  c.waiting.erase(task);
  if (receive.queued > 0) {
    const std::uint64_t work = take(c.slots, receive.place);
    // The buffer was full: the element of the sender that waits first takes the place.
    if (receive.other != 0) put(c.slots, receive.place, take(c.blocked, receive.other));
    given_.push_back({task, race ? 0 : work});
  } else if (receive.other != 0) {
    given_.push_back({task, race ? 0 : take(c.blocked, receive.other)});
  } else {
    give_early(c, receive);
  }
  note(c, receive);
  return given_;
}

}  // namespace wirespan
