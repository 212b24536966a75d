// Feeds the inference engine with what the certain evidences leave open, and turns its answers into claims.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/counters.h"
#include "correlator/inference/inference.h"
#include "correlator/node.h"

namespace wirespan {

// One thread. Holds a request's node until no answer can name it any more.
class LiveInference {
 public:
  // claims: best first, with their probabilities; never empty of meaning: an empty list says that no open request fits.
  using Answer = std::function<void(const NodePtr& call, std::vector<Claim> claims, double runner_up_distance)>;

  LiveInference(std::int64_t window_ns, Counters& counters, Answer answer);

  void opened(const NodePtr& node);
  void finished(const Node& node);
  // Answers what is due; forgets what is over.
  void advance(BootTime now);
  void finish();
  // Whether an answer for this call is still to come.
  [[nodiscard]] bool waits(const Node& call) const { return calls_.contains(call.number); }

 private:
  [[nodiscard]] std::int64_t in_order(BootTime time);
  void decided(const inference::Decision& decision);

  std::int64_t window_ns_;
  Answer answer_;
  inference::Inference engine_;
  std::int64_t last_ns_ = 0;
  std::unordered_set<std::uint32_t> calling_;  // processes seen to make calls: of the others nothing is asked
  std::unordered_map<std::uint64_t, NodePtr> requests_;
  std::unordered_map<std::uint64_t, NodePtr> calls_;
  std::vector<std::pair<std::int64_t, std::uint64_t>> over_;  // requests that ended, in order
  std::size_t over_from_ = 0;
};

}  // namespace wirespan
