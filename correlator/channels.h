// Follows elements through Go channels: which goroutine gets what which one sent. Both are seen on their way into the
// operation, not out of it: by then another may have come first. Where two did so at once, nothing is said of either.
// Where a select has several channels ready the runtime draws lots. Which one it was shows when somebody finds that the
// element is gone that nobody else can have taken: late, but for certain.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/generations.h"
#include "model/event.h"

namespace wirespan {

class Channels {
 public:
  struct Element {
    std::uint64_t work = 0;    // what the sender was working for; 0: not known (any more)
    std::uint64_t sender = 0;  // 0: the same
  };
  struct Given : Element {
    std::uint64_t task = 0;  // who receives
    bool waits = false;      // for the first of a channel: it has nothing yet
    std::uint64_t site = 0;  // where in the program it does so; 0: it was not seen to begin
    bool selects = false;    // in a select
    // Who takes something from the channel puts it back there: connections, buffers and tokens, not work.
    bool comes_back = false;
    // Not 0: the task may have taken it, and it will be said whether it did (`settled`) or not (never).
    std::uint64_t draw = 0;
    bool settled = false;
  };

  // What is known after a goroutine of the process that works for `work` began to send. Valid until the next call.
  const std::vector<Given>& sends(const event::Handover& send, std::uint64_t work);
  // What is known after a goroutine began to receive.
  const std::vector<Given>& receives(const event::Handover& receive);
  // A goroutine goes to receive, and what from which channel is not known.
  void asks(std::uint64_t task);

 private:
  struct Channel {
    std::unordered_map<std::uint64_t, Element> slots;    // of the buffer
    std::unordered_map<std::uint64_t, Element> blocked;  // of senders that wait for room or for a receiver
    // A receiver that found the channel empty was given what a sender was just about to send. If another takes that,
    // it was not so.
    struct Early {
      std::uint64_t task = 0;  // 0: none
      std::uint64_t place = 0;
      Element element;
    } early;
    std::vector<std::uint64_t> draws;   // in which its first element is drawn
    std::vector<std::uint64_t> takers;  // the last ones
    std::size_t next_taker = 0;
    std::uint32_t sent = 0;
    std::uint32_t sent_by_takers = 0;
    // The last operation, to notice the next one that saw the channel as it was before it.
    event::Handover::Role last = event::Handover::Role::kCalls;
    std::uint64_t last_place = 0;
    std::uint64_t last_other = 0;
    std::uint64_t last_task = 0;
    std::uint32_t last_queued = 0;
  };

  // A goroutine that waits, for as many channels as it likes.
  struct Receiver {
    bool given = false;  // something, since it began to
    std::uint64_t site = 0;
    bool selects = false;
  };

  // What a goroutine may have taken, first of what the channel had then.
  struct Candidate {
    std::uint64_t channel = 0;
    std::uint64_t place = 0;  // in the buffer
    std::uint64_t other = 0;  // the sender that waited first
    bool buffered = false;
    Element element;
  };
  struct Draw {
    std::uint64_t task = 0;
    bool over = false;  // the task is back for more: what is not gone now it did not take
    Receiver receiver;
    std::vector<Candidate> candidates;
  };
  // What an operation shows of where a channel's elements are taken.
  struct Front {
    bool buffered = false;
    std::uint64_t place = 0;
    std::uint64_t other = 0;
    [[nodiscard]] bool same(const Candidate& candidate) const {
      return buffered ? place == candidate.place : other == candidate.other;
    }
  };

  Channel& channel(std::uint64_t object);
  void begin(const event::Handover& receive);
  [[nodiscard]] bool drawn_by_others(const Channel& c, std::uint64_t channel, const Front& front) const;
  void draw(Channel& c, const event::Handover& receive, const Receiver& receiver);
  void look(Channel& c, std::uint64_t channel, const Front& front);
  void settle(Channel& c, std::uint64_t id, const Candidate& taken);
  static bool raced(const Channel& c, const event::Handover& now);
  static void note(Channel& c, const event::Handover& now);
  static bool comes_back(const Channel& c);
  static void note_taker(Channel& c, std::uint64_t task);
  static void note_sender(Channel& c, std::uint64_t task);
  void give(const Channel& c, std::uint64_t task, Element element, const Receiver& receiver);
  void give_early(Channel& c, const event::Handover& receive);
  void take_back(Channel& c, const event::Handover& receive);

  // They are dropped unseen and made anew, most for a single answer.
  Generations<std::uint64_t, Channel> channels_;
  std::unordered_map<std::uint64_t, Receiver> waiting_;
  std::unordered_map<std::uint64_t, Draw> draws_;
  std::unordered_map<std::uint64_t, std::uint64_t> drawing_;  // by task: its last draw
  std::uint64_t last_draw_ = 0;
  std::vector<Given> given_;
};

}  // namespace wirespan
