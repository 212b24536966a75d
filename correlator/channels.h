// Follows elements through Go channels: which goroutine gets what which one sent. Both are seen on their way into the
// operation, not out of it: by then another may have come first. Where two did so at once, nothing is said of either.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "model/event.h"

namespace wirespan {

class Channels {
 public:
  struct Given {
    std::uint64_t task = 0;  // who receives
    std::uint64_t work = 0;  // what the sender was working for; 0: not known (any more)
  };

  // What is known after a goroutine of the process that works for `work` began to send. Valid until the next call.
  const std::vector<Given>& sends(const event::Handover& send, std::uint64_t work);
  // What is known after a goroutine began to receive.
  const std::vector<Given>& receives(const event::Handover& receive);

 private:
  struct Channel {
    std::unordered_map<std::uint64_t, std::uint64_t> slots;    // buffered: what their senders worked for
    std::unordered_map<std::uint64_t, std::uint64_t> blocked;  // senders that wait for room or for a receiver
    std::unordered_map<std::uint64_t, bool> waiting;           // receivers: has one been given something since?
    // A receiver that found the channel empty was given what a sender was just about to send. If another takes that,
    // it was not so.
    struct Early {
      std::uint64_t task = 0;  // 0: none
      std::uint64_t place = 0;
      std::uint64_t sender = 0;
      std::uint64_t work = 0;
    } early;
    // The last operation, to notice the next one that saw the channel as it was before it.
    event::Handover::Role last = event::Handover::Role::kCalls;
    std::uint64_t last_place = 0;
    std::uint64_t last_other = 0;
    std::uint64_t last_task = 0;
    std::uint32_t last_queued = 0;
  };

  Channel& channel(std::uint64_t object);
  static bool raced(const Channel& c, const event::Handover& now);
  static void note(Channel& c, const event::Handover& now);
  void give_early(Channel& c, const event::Handover& receive);
  void take_back(Channel& c, const event::Handover& receive);

  // Two generations: channels are dropped unseen and made anew, most for a single answer.
  std::unordered_map<std::uint64_t, Channel> young_;
  std::unordered_map<std::uint64_t, Channel> old_;
  std::vector<Given> given_;
};

}  // namespace wirespan
