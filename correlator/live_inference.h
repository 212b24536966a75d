// Feeds the inference engine with what the certain evidences leave open, and turns its answers into claims.
#pragma once

#include <cstdint>
#include <deque>
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
  // unlinked: why, if none of them is taken.
  using Answer = std::function<void(const NodePtr& call, std::vector<Claim> claims, double runner_up_distance,
                                    std::string_view unlinked)>;

  LiveInference(std::int64_t window_ns, Counters& counters, Answer answer);

  void opened(const NodePtr& node);
  void touched(const Node& node, MessageKind kind, const Touch& touch);
  void opened(const event::Opened& opened);
  void closed(ConnId conn) { connecting_.erase(conn); }
  void woke(const event::Wake& wake);
  void exited(std::uint32_t tid) { threads_.erase(tid); }
  // Other evidence decided a call's parent; drawn: as in Inference::call_known.
  void known(const Node& call, const Node& parent, bool drawn = false);
  void finished(const Node& node);
  // Answers what is due; forgets what is over.
  void advance(BootTime now);
  void finish();
  // Whether an answer for this call is still to come.
  [[nodiscard]] bool waits(const Node& call) const { return calls_.contains(call.number); }

 private:
  // What a thread, or a goroutine, was at last seen to do.
  struct Thread {
    std::uint32_t read = 0;   // message
    BootTime at{};            // when it read that
    std::uint32_t woken = 0;  // what its waker had read; 0: nobody woke it since it read something itself
    std::uint32_t sent = 0;
  };
  static std::uint32_t message_of(const Node& node, MessageKind kind) {
    return static_cast<std::uint32_t>(node.number << 1U) | (kind == MessageKind::kResponse ? 1U : 0U);
  }
  // Where something is read, and where something is sent.
  inference::Spot reads(const Node& node, MessageKind kind, const Touch& touch);
  inference::Spot sends(std::uint32_t what, std::uint32_t conn, const Actor& actor);
  [[nodiscard]] std::int64_t in_order(BootTime time);
  void decided(const inference::Decision& decision);
  void give_up_refused();

  std::int64_t window_ns_;
  Answer answer_;
  inference::Inference engine_;
  std::int64_t last_ns_ = 0;
  std::unordered_set<std::uint32_t> calling_;  // processes seen to make calls: of the others nothing is asked
  std::unordered_map<std::uint64_t, NodePtr> requests_;
  std::unordered_map<std::uint64_t, NodePtr> calls_;
  std::unordered_map<ConnId, inference::Spot> connecting_;      // opened, nothing sent on it yet
  std::unordered_map<std::uint32_t, Thread> threads_;           // by thread, or by goroutine's hash
  std::deque<std::pair<std::int64_t, std::uint64_t>> refused_;  // calls the engine had no room for, in order
  std::vector<std::pair<std::int64_t, std::uint64_t>> over_;    // requests that ended, in order
  std::size_t over_from_ = 0;
};

}  // namespace wirespan
