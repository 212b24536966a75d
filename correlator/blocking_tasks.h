// Tasks of tokio that may block their thread (spawn_blocking): such a one runs on it from its beginning to its end, and
// who begins it as a rule awaits that. The calls it makes under its own Id are those of the request it was begun for:
// if that was open then, if they were answered before it was, and if the task does nothing for others. Loops that serve
// a queue, begun by the first request that needed them, give themselves away: by a call after their request's answer,
// or by a reply to another. So they are watched for a time after the answer, until the process has shown it over and
// over. One process.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/generations.h"
#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {

class BlockingTasks {
 public:
  // One was begun: for a request, by its number (0: none that is known), by who read it or by way of the task `by`.
  void began(std::uint64_t task, std::uint64_t request, std::uint64_t by);
  // It writes a call; reads the beginning of the response to one; and wakes who works for `request`:
  // by reference that is a reply (oneshot), by value it may be one, or a permit is let go that the other waits for.
  void calls(const NodePtr& call, std::uint64_t task, World& world);
  void responds(const NodePtr& call, std::uint64_t task, World& world);
  void wakes(std::uint64_t task, std::uint64_t request, bool by_reference);
  // The first byte of an answer was sent.
  void answers(const NodePtr& request, BootTime now, World& world);
  // Now and then.
  void advance(BootTime now, World& world);
  // Nothing more will be seen.
  void close(World& world);
  // All that waits; how the process works still holds.
  void clear();

 private:
  struct Task {
    std::uint64_t request = 0;
    std::uint64_t by = 0;
    bool calls = false;
    bool goes_on = false;  // it makes calls after that request's answer
    bool wakes = false;    // one of another request, by value
    bool shared = false;   // it replies to others
  };
  // Calls of one task that were answered.
  struct Work {
    std::uint64_t task = 0;
    NodePtr request;
    BootTime answered{};
    std::uint64_t made_then = 0;
    std::vector<NodePtr> calls;
  };
  struct Made {
    NodePtr call;
    std::uint64_t task = 0;
  };
  [[nodiscard]] bool works_for_one(std::uint64_t task);
  [[nodiscard]] bool believed_at_once() const;
  static void found(const NodePtr& call, const NodePtr& request, World& world);
  void shares(Task& task);
  void judge(Work work);
  void take(World& world);
  void take_slow(BootTime now, World& world);

  Generations<std::uint64_t, Task> tasks_;
  std::unordered_set<std::uint64_t> makers_;                      // children that begin others for nobody's request
  std::unordered_map<std::uint64_t, std::vector<Work>> waiting_;  // by request, until its answer
  std::deque<Work> watched_;                                      // in the order of the answers
  std::vector<Work> unproven_;                                    // until the process has shown how it works
  std::deque<Made> slow_;                                         // calls in the order in which they were made
  std::uint64_t made_ = 0;                                        // calls
  TrackRecord ends_;                                              // who was begun for a request ends before its answer
  bool replies_by_value_ = false;                                 // some do, to who works for their request
  TrackRecord serves_one_;                                        // and replies to nobody else
};

}  // namespace wirespan
