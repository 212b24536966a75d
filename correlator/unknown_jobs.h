// Calls of Go's workers whose piece of work is not known yet: the runtime drew it out of several (correlator/channels),
// or two were handed over at once. They wait until it shows which it was: by who finds that an element is gone, or by
// the goroutine of a request that the worker hands its result to. One process; by the numbers of its goroutines.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {

class UnknownJobs {
 public:
  // Two operations on a channel at once are noticed unless a third hides it; a worker may do two jobs at once.
  static constexpr double kConfidence = 0.98;

  // What is drawn may be for this request.
  void may_be(std::uint64_t draw, NodePtr request, BootTime now, World& world);
  // It was for that one, by its number.
  void was(std::uint64_t draw, std::uint64_t request, World& world);
  // A call that depends on a draw; of a worker of which nothing is known. The claim waits (Claim::unproven).
  [[nodiscard]] std::optional<Claim> call_of_draw(std::uint64_t draw, const Node& call, World& world);
  [[nodiscard]] std::optional<Claim> call_of(std::uint64_t worker, const Node& call, World& world);

  // A worker known to work for one request hands its result to a goroutine that waits, another one's or that one's.
  void replied(bool to_its_request) { replies_.add(to_its_request); }
  // One of which it is not known does so. False: that tells nothing in this process.
  bool replied(std::uint64_t worker, std::uint64_t draw, const NodePtr& request, World& world);
  // A worker asks for its next piece of work.
  void asks(std::uint64_t worker, World& world);
  // Now and then.
  void advance(BootTime now, World& world);
  // Nothing more will be heard of what waits.
  void let_all_go(World& world);
  // As if nothing had waited; how the process replies still holds.
  void clear();

 private:
  struct Drawing {
    BootTime since{};
    std::vector<NodePtr> requests;
    std::vector<NodePtr> calls;
  };
  using Drawings = std::map<std::uint64_t, Drawing>;

  [[nodiscard]] bool replies_tell() const;
  void give_up(Drawings::iterator drawing, World& world);

  Drawings drawings_;                                              // by draw, the oldest first
  std::unordered_map<std::uint64_t, std::vector<NodePtr>> calls_;  // by worker
  TrackRecord replies_;
};

}  // namespace wirespan
