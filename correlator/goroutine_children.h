// What the goroutines that requests begin are like in a Go process: whether they end with their requests, or are
// workers that go on for others (evidence/goroutine). Calls of those not believed yet wait for it.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "correlator/goroutines.h"

namespace wirespan {

// One process.
class GoroutineChildren {
 public:
  enum class Belief : std::uint8_t { kNone, kOnceProven, kAtOnce };

  // A child makes a call for `request`, as far as its lineage tells (null: it does not). kOnceProven: the claim waits
  // (Claim::unproven).
  Belief call(const GoroutineLineage& lineage, const NodePtr& request, const Node& call, GoroutineTasks& tasks,
              World& world);
  // Whether such a child works for its request, now.
  [[nodiscard]] bool believed(const GoroutineLineage& lineage, std::uint32_t pid, BootTime now,
                              const GoroutineTasks& tasks, const World& world) const;
  // A request is over.
  void finished(const NodePtr& request, World& world);
  // Now and then.
  void advance(BootTime now, const GoroutineTasks& tasks, World& world);
  // What is seen of the last ones will never be more. Where there was a worker, it is not enough.
  void closing(const GoroutineTasks& tasks, World& world);
  // As if nothing had waited; what the process is like still holds.
  void clear();

 private:
  struct Watched {
    NodePtr call;  // null: it is only watched
    NodePtr request;
    GoroutineLineage lineage;
    bool counts = false;  // the first of its child
    BootTime answered{};
    std::uint64_t calls_then = 0;
  };

  [[nodiscard]] bool proven() const;
  void found_worker(World& world);

  std::uint32_t held_ = 0;    // ended with their requests, since one did not
  std::uint32_t failed_ = 0;  // workers
  BootTime doubted_{};        // until then: one has gone on, which may turn out to be a worker
  std::uint64_t calls_ = 0;   // of all children
  std::unordered_map<std::uint64_t, std::vector<Watched>> open_;  // by request
  std::deque<Watched> answered_;                                  // in this order
  std::vector<Watched> ended_;                                    // until the process is believed
  std::size_t watched_ = 0;
};

}  // namespace wirespan
