// Assigns the calls of one stretch of time to the requests open in it, all together: a Markov chain over whole
// assignments (move a call, exchange two calls, exchange two requests' calls from some moment on) whose equilibrium is
// the model's posterior. The best assignment met is the answer, the share of time a call spent under a parent its
// probability. Exact enumeration would need the same score for a number of assignments that grows as a factorial.
//
// Reused between stretches, so that it allocates only when one is larger than all before. Deterministic. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "correlator/inference/service_model.h"

namespace wirespan::inference {

class Solver {
 public:
  static constexpr std::int32_t kNoParent = -1;
  static constexpr std::int32_t kUnplaced = -2;

  struct Effort {
    int burn_in = 8;
    int samples = 24;
    int patience = 1;    // burn-in may take so many times longer while it still helps
    int restarts = 0;    // further chains, begun elsewhere
    bool drawn = false;  // begin from a draw, not from the likeliest
  };

  void clear();
  std::uint32_t add_request(const RequestTimes& times);
  // parent: where the chain starts, kNoParent or a request's index. A fixed call never moves. Calls in order of start.
  std::uint32_t add_call(const CallTimes& times, std::int32_t parent, bool fixed,
                         std::span<const std::uint32_t> candidates);

  // orphan: log-probability per tick of a call that no request caused.
  void run(const ServiceModel& model, float orphan, const Effort& effort);
  // Leaves a request out of learn().
  void do_not_learn(std::uint32_t request) { requests_[request].learn = false; }
  // Log-probability, as run() judges, of an assignment of all calls: a request's index or kNoParent each.
  [[nodiscard]] float weigh(const ServiceModel& model, float orphan, std::span<const std::int32_t> parents);
  // Adds the samples of the last run to a model, total weight 1 per request.
  void learn(ServiceModel& model) const;
  // Adds what the best assignment says about order.
  void learn_order(const ServiceModel& judge, ServiceModel& model);

  [[nodiscard]] std::size_t calls() const { return calls_.size(); }
  [[nodiscard]] std::int32_t parent(std::uint32_t call) const { return best_[call]; }
  // Posterior share of each candidate, in the order they were given; what is left is "no parent".
  [[nodiscard]] std::span<const float> marginals(std::uint32_t call) const {
    return std::span(marginals_).subspan(calls_[call].first, calls_[call].count);
  }

  [[nodiscard]] std::span<const std::uint32_t> candidates(std::uint32_t call) const {
    return std::span(candidates_).subspan(calls_[call].first, calls_[call].count);
  }

 private:
  static constexpr std::uint32_t kNobody = 0xffffffffU;

  struct Call {
    CallTimes times;
    std::int32_t parent = kNoParent;
    std::uint32_t first = 0;  // in candidates_
    std::uint32_t count = 0;
    bool fixed = false;
    bool pruned = false;            // to the most plausible candidates
    std::int64_t since = 0;         // the event it follows under its present parent
    std::int32_t same_before = -1;  // the calls of its key next to it
    std::int32_t same_after = -1;
  };
  struct Request {
    RequestTimes times;
    std::vector<std::uint32_t> calls;  // sorted: indices are in order of start
    float score = 0;
    bool learn = true;
  };
  struct Proposal {
    std::uint32_t from_list[ServiceModel::kMaxCalls * 2];
    std::uint32_t to_list[ServiceModel::kMaxCalls * 2];
    std::int64_t from_since[ServiceModel::kMaxCalls * 2];
    std::int64_t to_since[ServiceModel::kMaxCalls * 2];
    std::size_t from_size = 0;
    std::size_t to_size = 0;
  };

  // Order energy of these calls under their present parents against all others, each pair once.
  float order_of(std::span<const std::uint32_t> calls) const;
  void start(const ServiceModel& model, float orphan);
  float score(const ServiceModel& model, const RequestTimes& times, std::span<const std::uint32_t> calls,
              std::int64_t* since = nullptr);
  void turn_changed();
  float order_of_change();
  float order_gain(std::int32_t from, std::int32_t to, std::uint32_t orphaned);
  void apply(std::int32_t parent, std::span<const std::uint32_t> calls, const std::int64_t* since, float request_score);
  [[nodiscard]] bool may_hold(const Call& call, std::int32_t parent) const;
  void sweep(const ServiceModel& model, float orphan, float temperature, bool search);
  void propose_move(const ServiceModel& model, std::uint32_t c, std::int32_t to, float orphan, float temperature);
  enum class Exchange { kOne, kRest, kRestSince };
  void propose_exchange(const ServiceModel& model, std::uint32_t c, std::int32_t to, Exchange what, float temperature);
  void propose_resample(const ServiceModel& model, std::uint32_t c, std::int32_t to, float temperature);
  void propose_chain(const ServiceModel& model, std::uint32_t c, std::int32_t to, float temperature);
  void place(const ServiceModel& model, bool drawn);
  void remember_best();
  void chain(const ServiceModel& model, float orphan, int burn_in, int patience, int samples, float share);
  bool accept(float gain, float temperature);
  std::uint32_t random(std::uint32_t below);

  std::vector<Request> requests_;
  std::size_t request_count_ = 0;
  std::vector<Call> calls_;
  std::vector<std::uint32_t> candidates_;
  std::vector<float> marginals_;
  std::vector<std::uint32_t> free_calls_;
  std::vector<std::int32_t> best_;
  std::vector<std::int64_t> since_;
  std::vector<std::int32_t> last_of_key_;
  std::vector<OrderWeight> order_weight_;   // by call
  bool ordered_ = false;                    // any weight is not 0
  std::vector<std::int32_t> kept_samples_;  // a few whole assignments, for learn()
  int kept_ = 0;
  float total_ = 0;
  float best_total_ = 0;
  std::uint64_t rng_ = 0x9e3779b97f4a7c15U;
  struct Place {
    std::int32_t parent;
    std::int64_t since;
  };
  std::vector<std::uint32_t> changed_;
  std::vector<Place> turned_;
  Proposal proposal_;
  struct Gain {
    float gain;
    std::uint32_t request;
  };
  std::vector<Gain> gains_;
};

}  // namespace wirespan::inference
