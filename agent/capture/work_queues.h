// Which queues of a Python process carry work from who serves requests to who does not: threads, or tasks of an event
// loop by their contexts. Most carry other things: callbacks (taken by the loop itself, outside of any context),
// connections and buffers (who takes one puts it back), requests (who takes one answers it), results (whose takers
// serve).
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/generations.h"
#include "model/event.h"

namespace wirespan {

// Of one process. Queues and objects by their addresses, who does something by its context, or else its thread's
// number. One thread.
class WorkQueues {
 public:
  static constexpr std::size_t kMostFollowed = 8;
  using Who = std::uint64_t;
  [[nodiscard]] static Who who(const Actor& actor) { return actor.task != 0 ? actor.task : actor.thread.tid; }

  // Told before the context does anything.
  void born(const event::Lineage& lineage);
  // It reads requests, or answers them: then whose context it was born of serves as well, as will its next child,
  // though not all others (aiohttp has one task for a connection, and one of that for each request).
  void serves(const Actor& actor, bool answers = false);
  // It reads responses: a loop does, in a context of the connection's, and puts them where who waits for them takes
  // them.
  void receives(const Actor& actor);
  // It serves, or its child does, or it was born of one that does.
  [[nodiscard]] bool serving(const Actor& actor) const { return serving(who(actor)); }
  void gave(std::uint64_t queue, std::uint64_t object, const Actor& actor);
  // How what is followed, or known of callbacks, has changed: with kLess there may be more as well.
  enum class Change : std::uint8_t { kNone, kMore, kLess };
  // Of a queue that is not known: 0.
  [[nodiscard]] Change took(std::uint64_t queue, std::uint64_t object, const Actor& actor);
  // Asked each sweep in which the process served something: a queue out of which nothing has come for long is gone, or
  // another thing by now.
  [[nodiscard]] Change drop_unused();
  // Those that carry work, the newest last.
  [[nodiscard]] const std::vector<std::uint64_t>& followed() const { return followed_; }
  [[nodiscard]] bool follows(std::uint64_t queue) const;
  // The queue of an event loop's callbacks, 0: none that is known.
  [[nodiscard]] std::uint64_t callbacks() const { return callbacks_; }
  // Whether of one of them who takes does not know the queue.
  [[nodiscard]] bool takes_unknown() const;

 private:
  struct Giver {
    Who who = 0;
    Who thread = 0;
    bool context = false;
  };
  struct Undecided {
    Who giver = 0;
    Who taker = 0;
  };
  struct Queue {
    std::unordered_map<std::uint64_t, Giver> inside;  // by object
    std::vector<Who> takers;                          // the last ones
    std::size_t next_taker = 0;
    std::unordered_set<Who> took;  // and those before them, up to a number
    std::unordered_set<Who> gave;
    std::uint32_t handed = 0;  // by who serves, or does the work of such, to another
    std::uint32_t other = 0;   // anything else that came out of it
    // Given by contexts of which nothing is known yet: that one serves shows with its first answer.
    std::vector<Undecided> undecided;
    std::size_t looked_at = 0;  // of the undecided, since what was taken since
    std::uint32_t by_loop = 0;
    std::uint32_t given = 0;
    std::uint32_t given_by_takers = 0;
    bool of_tasks = false;     // some give
    bool unknown = false;      // to who takes from it
    std::uint32_t unused = 0;  // sweeps since something was taken
  };

  struct Known {
    Who parent = 0;  // of a context
    bool serves = false;
    bool child_answers = false;
    bool receives = false;  // responses
  };
  [[nodiscard]] Known& known(Who who);
  [[nodiscard]] const Known* find(Who who) const;
  [[nodiscard]] bool serving(Who who) const;
  [[nodiscard]] bool gives_for_a_request(Who who) const;
  void acts(const Actor& actor);
  [[nodiscard]] std::uint64_t holder_of(std::uint64_t object) const;
  // Whether work was handed over: by who serves or does the work of such, to who does not do that already.
  [[nodiscard]] bool hands_over(std::uint64_t queue, Who giver, Who taker) const;
  // Whether it puts work into another queue, which is followed, and so serves, though that has not been seen yet.
  [[nodiscard]] bool gives_work(Who who, const Queue& queue) const;
  void decide(std::uint64_t address, Queue& queue) const;
  [[nodiscard]] bool carries_work(const Queue& queue) const;
  [[nodiscard]] Change follow(std::uint64_t address, const Queue& queue);

  std::unordered_map<std::uint64_t, Queue> queues_;
  Generations<Who, Known> known_;
  std::unordered_set<Who> workers_;  // who took from one that is followed
  std::unordered_set<Who> loops_;    // threads that run contexts
  std::vector<std::uint64_t> followed_;
  std::uint64_t callbacks_ = 0;
};

}  // namespace wirespan
