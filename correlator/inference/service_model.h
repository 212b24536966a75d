// What has been learned about one service: per operation (kind of incoming request) which calls it makes, how many of
// each, which event each call follows and after what delay, and how long after its last call a request is answered.
//
// The score of a request with a set of calls is the log-probability of that set: the counts, one delay per call
// measured from the call's best anchor (the event before it that predicts it best: the request's start, a sibling's
// start, a sibling's end), and the delay from the last call's end to the answer. Assigning calls to requests is
// comparing sums of these scores.
//
// Times in ticks (see delay_density.h). Not thread-safe. Bounded: kMaxOps, kMaxSlots, kMaxPatterns and a budget of
// densities shared by all services.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "correlator/inference/delay_density.h"
#include "correlator/inference/spot.h"

namespace wirespan::inference {

constexpr std::int64_t kOpen = std::numeric_limits<std::int64_t>::max();

struct CallTimes {
  std::int64_t start = 0;
  std::int64_t end = kOpen;
  std::uint16_t key = 0;  // callee and operation, interned by the engine per service
  Spot began;             // where it was sent
  Spot ended;             // where its answer was read
};

// Some calls, in order of start.
using Calls = std::span<const CallTimes* const>;

struct RequestTimes {
  std::int64_t start = 0;
  std::int64_t end = kOpen;
  std::uint16_t op = 0;
  Spot read;      // where it was read
  Spot answered;  // where its answer was sent
};

// How much likelier two requests' calls of one kind are to be in the order of the events they follow than their delays
// alone say: log odds. Queues and event loops keep order, independent threads do not. Learned from pairs whose order
// other evidence (what follows the calls) tells.
struct OrderWeight {
  float since_request = 0;  // calls in the order in which the requests started
  float since_event = 0;    // in the order of the events they follow (service_model.h, anchors)
  float information[2] = {0, 0};
};

// Two calls and their two requests, as they are against exchanged.
struct OrderEvidence {
  float delays = 0;         // log-odds of as they are, from the two delays
  float rest = 0;           // from when the requests were answered
  float keeps_request = 0;  // +1: as they are is in request order and exchanged is not; -1: the reverse; 0: no matter
  float keeps_event = 0;
};

// Shared by every model.
struct Shared {
  std::size_t densities_left = 4096;  // the memory
  OrderWeight order{0, 0, {2.0F, 2.0F}};
};

class ServiceModel {
 public:
  static constexpr int kMaxSlots = 12;  // callees told apart per operation; the rest share one slot
  static constexpr int kMaxPatterns = 64;
  static constexpr int kMaxCalls = 48;  // calls of one request that are scored; more are not anchored

  // start, finish: which relation calls have to their requests and answers to the responses before them; may be null.
  explicit ServiceModel(Shared& shared, const RelationMixture* start = nullptr, const RelationMixture* finish = nullptr)
      : shared_(&shared), start_prior_(start), finish_prior_(finish) {}
  ~ServiceModel();
  ServiceModel(const ServiceModel&) = delete;
  ServiceModel& operator=(const ServiceModel&) = delete;

  // Log-probability of these calls (sorted by start) under this request. since: if given, receives per call the time of
  // the event it is taken to follow.
  [[nodiscard]] float score(const RequestTimes& request, Calls calls, std::int64_t* since = nullptr) const;
  // Log-probability that the last of these calls is the request's next, given the ones before it. score() is the sum of
  // these but for what only the whole set tells.
  [[nodiscard]] float next_call(const RequestTimes& request, Calls calls, std::int64_t* since = nullptr) const;
  // The part of score() that the answer's time adds.
  [[nodiscard]] float finish_score(const RequestTimes& request, Calls calls) const;
  // Adds the request with its calls to what is known.
  void learn(const RequestTimes& request, Calls calls, float weight);
  // Log odds for calls of this key under two requests of this op keeping order; see OrderWeight.
  // candidates: of the call. While little is known, order is believed in only where two compete: among more, even a
  // slight preference grows by learning from the assignments it chose.
  [[nodiscard]] OrderWeight order_weight(std::uint16_t op, std::uint16_t key, std::size_t candidates) const;
  void learn_order(std::uint16_t op, std::uint16_t key, const OrderEvidence& evidence);
  // A call's relation to a request that was open then, whether its own or not.
  void learn_chance(std::uint16_t op, std::uint16_t key, Relation relation);
  // An answer's relation to a call that might have been the request's.
  void learn_finish_chance(std::uint16_t op, std::uint16_t key, Relation relation);
  // Log-odds that this call's answer made the request be answered, where that speaks for it, else 0.
  [[nodiscard]] float finish_hint(const RequestTimes& request, const CallTimes& call) const;
  // Makes what was learned count. Call after a batch of learn().
  void refresh();
  void scale(float factor);
  void copy_from(const ServiceModel& other);

  // Requests learned, after forgetting.
  [[nodiscard]] float seen() const { return seen_; }

 private:
  static constexpr int kAnchors = 2 + 2 * kMaxSlots;  // request start, latest end, then start and end of each slot
  struct Anchored {
    std::unique_ptr<DelayDensity> density;
    RelationShares relations;
    float gain = 0;  // sum of log-densities it gave its own delays, before learning them
    float count = 0;
    float rank = -1e9F;
    float vote = 0;  // e^rank
    bool dirty = false;
  };
  struct Pattern {
    std::uint64_t hash = 0;
    float count = 0;
  };
  struct Slot {
    std::array<Anchored, kAnchors> anchors;
    Anchored finish;  // delay from this callee's end, when it is the last, to the answer
    OrderWeight order;
    std::array<float, 4> times{};  // requests making 0, 1, 2, more of these calls
    std::array<float, 4> log_times{};
    RelationShares chance;         // of calls of this kind to any open request
    RelationShares finish_chance;  // of answers to any call of this kind
  };
  // What pattern_score() answered for a set of calls: the same few sets are asked about thousands of times.
  struct Answered {
    std::uint64_t hash = 0;
    std::uint32_t version = 0;
    float score = 0;
  };
  static constexpr std::size_t kAnswered = 64;
  struct Op {
    std::vector<std::uint8_t> slot_of;  // by key; 0xff: none yet
    std::uint32_t version = 1;          // of what pattern_score() rests on
    mutable std::array<Answered, kAnswered> answered{};
    std::vector<std::unique_ptr<Slot>> slots;
    std::array<Pattern, kMaxPatterns> patterns{};
    Anchored alone;  // duration of a request without calls
    float requests = 0;
    float log_none = 0;  // no calls at all, under independence
  };
  struct Choice {
    const Anchored* anchored = nullptr;
    std::int64_t delay = 0;
  };

  [[nodiscard]] const Op* find(std::uint16_t op) const { return op < ops_.size() ? ops_[op].get() : nullptr; }
  Op& get(std::uint16_t op);  // to change it
  static int slot_index(const Op& op, std::uint16_t key);
  Slot& slot(Op& op, std::uint16_t key, int* index);
  [[nodiscard]] float finish_of(const Anchored* finish, std::int64_t delay, const Spot& from,
                                const Spot& answered) const;
  [[nodiscard]] static float odds(const RelationMixture* prior, Relation relation);
  [[nodiscard]] float guess(const RequestTimes& request, Calls calls) const;
  [[nodiscard]] static float pattern_score(const Op& op, Calls calls, const std::uint8_t* slots);
  [[nodiscard]] static float weigh_pattern(const Op& op, Calls calls, const std::uint8_t* slots, std::uint64_t hash);
  [[nodiscard]] float delay_score(const Op& op, const RequestTimes& request, Calls calls, const std::uint8_t* slots,
                                  std::size_t i, std::int64_t* since_out) const;
  void learn(Anchored& anchored, std::int64_t delay, Relation relation, float weight);
  void refresh(Anchored& anchored, const RelationShares* chance, const RelationMixture* prior);

  Shared* shared_;
  const RelationMixture* start_prior_;
  const RelationMixture* finish_prior_;
  std::vector<std::unique_ptr<Op>> ops_;
  float seen_ = 0;
};

}  // namespace wirespan::inference
