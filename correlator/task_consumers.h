// Tasks of tokio that make calls for requests others read: consumers of queues, or such as keep a connection. What they
// do between jobs tells which request their calls are for.
//
// A reply says so best: what the consumer did before that was for who gets it, whether or not anybody waited for it
// just then (a oneshot whose value is seen later). Where replies are not told as such, who is woken gets one, perhaps:
// one that wakes two requests' tasks after a call replied to one of them only.
//
// The last call before a reply was for that. Those before it, back to the last reply that was seen, are for it only if
// no other job lies between: where the consumer was seen to let go of a semaphore since (that of a channel with a
// bound, or the lock around one that is shared, as who takes the next job does) those it made after that; or where
// consumers that had nothing to do have been seen, over and over, to reply to who gave them something.
//
// Consumers that do several things at once give themselves away: by a call that had no response when they replied, or
// that is older than the request. One process.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/generations.h"
#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {

class TaskConsumers {
 public:
  // Whether what is found is to be believed, from now on.
  void believe(bool believed) { believed_ = believed; }

  // The response to a call woke `task`, which works for no request that is known; or `task` made it itself.
  void awaits(std::uint64_t task, const NodePtr& call, World& world);
  void made(std::uint64_t task, const NodePtr& call);
  // One it made was for another, who awaited the response.
  void passes_on(std::uint64_t task, const NodePtr& call);
  // Who works for a request woke it: to give it something to do, if it had nothing.
  void asked(std::uint64_t task, std::uint64_t by);
  // It woke a task that reads requests, and that works for `request` (null: not certain).
  void wakes(std::uint64_t task, std::uint64_t wakee, const NodePtr& request, BootTime now, World& world);
  // It sent a value through a oneshot. The calls that were for who gets it now; none: not certain.
  void replies(std::uint64_t task, std::uint64_t oneshot, BootTime now, World& world);
  [[nodiscard]] std::vector<NodePtr> gets(std::uint64_t task, std::uint64_t oneshot);
  // Such were for a task that works for that request.
  void found(std::vector<NodePtr> calls, const NodePtr& request, World& world);
  // It let go of a semaphore.
  void lets_go(std::uint64_t task);
  // Now and then.
  void advance(BootTime now, World& world);
  // Nothing more will be seen.
  void close(World& world);
  // All that waits; how the process works still holds.
  void clear();

 private:
  struct Consumer {
    std::vector<NodePtr> calls;  // those that got a response since it replied last
    std::vector<NodePtr> own;    // that it made itself, and nobody was seen to await
    std::uint64_t asked_by = 0;  // the task of a request that has woken it since, before these calls
    std::uint64_t sent = 0;      // the oneshot it replied by last
    BootTime replied{};
    bool began = false;          // a job since then, and all calls are of that
    bool oneshots = false;       // it replies by those
    NodePtr request;             // to whom it replied
    std::vector<NodePtr> taken;  // the calls that are for it, if it was
  };
  // What a oneshot's value was the reply to.
  struct Reply {
    std::vector<NodePtr> calls;
    std::uint64_t asked_by = 0;
    bool whole = false;  // all calls are of one job
  };
  Consumer& of(std::uint64_t task);
  // nullptr: no call of it is known. Until the next call of of().
  [[nodiscard]] Consumer* find(std::uint64_t task) {
    return consumers_.peek(task) != nullptr ? &consumers_.use(task) : nullptr;
  }
  static bool too_old(const NodePtr& call, const NodePtr& request);
  [[nodiscard]] bool whole(const Consumer& consumer) const;
  void keep(std::vector<NodePtr>& calls, const Consumer& consumer, const NodePtr& call);
  void take(Consumer& consumer, World& world);
  void tell(World& world);

  bool believed_ = true;
  bool oneshots_told_ = false;
  TrackRecord replies_;  // consumers reply after their calls, and do one thing at a time
  TrackRecord whole_;    // who gives a waiting one something to do gets its next reply
  Generations<std::uint64_t, Consumer> consumers_;
  Generations<std::uint64_t, bool> let_go_;           // tasks of which no call is known yet
  Generations<std::uint64_t, Reply> sent_;            // by oneshot
  std::vector<std::pair<NodePtr, NodePtr>> replied_;  // calls and their requests, until that is proven
};

}  // namespace wirespan
