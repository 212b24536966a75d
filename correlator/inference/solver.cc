#include "correlator/inference/solver.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace wirespan::inference {
namespace {

constexpr int kKeepEvery = 4;                  // samples: neighbours are too alike to learn from each
constexpr std::size_t kCrowded = 1024;         // calls: from there on fewer sweeps each, so that the work stays linear
constexpr std::size_t kPacked = 4 * kCrowded;  // calls without a pause in between: more search finds hardly more
constexpr std::size_t kOverfull = 8 * kCrowded;  // bench_correlator_inference: 20 to 50 requests open all the time
constexpr std::size_t kMaxCandidates = 16;       // the most plausible when first placed

}  // namespace

void Solver::clear() {
  for (std::size_t i = 0; i < request_count_; ++i) requests_[i].calls.clear();
  request_count_ = 0;
  calls_.clear();
  candidates_.clear();
  rng_ = 0x9e3779b97f4a7c15U;
}

std::uint32_t Solver::add_request(const RequestTimes& times) {
  if (request_count_ == requests_.size()) requests_.emplace_back();
  requests_[request_count_].times = times;
  requests_[request_count_].learn = true;
  return static_cast<std::uint32_t>(request_count_++);
}

std::uint32_t Solver::add_call(const CallTimes& times, std::int32_t parent, bool fixed,
                               std::span<const std::uint32_t> candidates) {
  Call call{
      times, parent, static_cast<std::uint32_t>(candidates_.size()), static_cast<std::uint32_t>(candidates.size()),
      fixed, false};
  candidates_.insert(candidates_.end(), candidates.begin(), candidates.end());
  calls_.push_back(call);
  return static_cast<std::uint32_t>(calls_.size() - 1);
}

std::uint32_t Solver::random(std::uint32_t below) {
  rng_ ^= rng_ << 13U;
  rng_ ^= rng_ >> 7U;
  rng_ ^= rng_ << 17U;
  return static_cast<std::uint32_t>(((rng_ >> 32U) * below) >> 32U);
}

bool Solver::accept(float gain, float temperature) {
  if (gain >= 0) return true;
  if (gain < -20.0F * temperature) return false;
  const float u = (static_cast<float>(random(1U << 24U)) + 0.5F) * 0x1p-24F;
  return std::log(u) * temperature < gain;
}

float Solver::score(const ServiceModel& model, const RequestTimes& times, std::span<const std::uint32_t> calls,
                    std::int64_t* since) {
  std::array<const CallTimes*, ServiceModel::kMaxCalls> list;
  const std::size_t n = std::min<std::size_t>(calls.size(), list.size());
  for (std::size_t i = 0; i < n; ++i) list[i] = &calls_[calls[i]].times;
  const float beyond = -12.0F * static_cast<float>(calls.size() - n);
  if (since != nullptr) {
    for (std::size_t i = n; i < calls.size(); ++i) since[i] = times.start;
  }
  return model.score(times, std::span(list).first(n), since) + beyond;
}

bool Solver::may_hold(const Call& call, std::int32_t parent) const {
  for (std::uint32_t i = call.first; i < call.first + call.count; ++i) {
    if (static_cast<std::int32_t>(candidates_[i]) == parent) return true;
  }
  return false;
}

void Solver::start(const ServiceModel& model, float orphan) {
  for (std::size_t i = 0; i < request_count_; ++i) requests_[i].calls.clear();
  free_calls_.clear();
  total_ = 0;
  ordered_ = false;
  order_weight_.resize(calls_.size());
  last_of_key_.assign(last_of_key_.size(), -1);
  for (std::uint32_t c = 0; c < calls_.size(); ++c) {
    Call& call = calls_[c];
    if (call.times.key >= last_of_key_.size()) last_of_key_.resize(call.times.key + 1U, -1);
    std::int32_t& last = last_of_key_[call.times.key];
    call.same_before = last;
    call.same_after = -1;
    if (last >= 0) calls_[static_cast<std::size_t>(last)].same_after = static_cast<std::int32_t>(c);
    last = static_cast<std::int32_t>(c);
    // Candidates are of few operations: the first stands for all.
    order_weight_[c] = call.count > 1
                           ? model.order_weight(requests_[candidates_[call.first]].times.op, call.times.key, call.count)
                           : OrderWeight();
    ordered_ = ordered_ || order_weight_[c].since_request != 0 || order_weight_[c].since_event != 0;
  }
  for (std::uint32_t c = 0; c < calls_.size(); ++c) {
    Call& call = calls_[c];
    if (!call.fixed) free_calls_.push_back(c);
    if (call.parent >= 0) {
      requests_[static_cast<std::size_t>(call.parent)].calls.push_back(c);
    } else {
      total_ += orphan;
    }
  }
  for (std::size_t i = 0; i < request_count_; ++i) {
    Request& r = requests_[i];
    since_.resize(std::max(since_.size(), r.calls.size()));
    r.score = score(model, r.times, r.calls, since_.data());
    for (std::size_t k = 0; k < r.calls.size(); ++k) calls_[r.calls[k]].since = since_[k];
    total_ += r.score;
  }
  if (ordered_) {
    float twice = 0;
    for (std::uint32_t c = 0; c < calls_.size(); ++c) twice += order_of(std::span(&c, 1));
    total_ += twice / 2;
  }
}

void Solver::apply(std::int32_t parent, std::span<const std::uint32_t> calls, const std::int64_t* since,
                   float request_score) {
  Request& r = requests_[static_cast<std::size_t>(parent)];
  r.calls.assign(calls.begin(), calls.end());
  r.score = request_score;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls_[calls[i]].parent = parent;
    calls_[calls[i]].since = since[i];
  }
}

void Solver::sweep(const ServiceModel& model, float orphan, float temperature, bool search) {
  for (const std::uint32_t c : free_calls_) {
    const Call& call = calls_[c];
    if (call.count == 0) continue;
    const int tries = call.count > 2 && calls_.size() < kOverfull ? 2 : 1;
    for (int t = 0; t < tries; ++t) {
      const std::uint32_t pick = random(call.count * 16U + 1U);
      const std::int32_t to =
          pick == call.count * 16U ? kNoParent : static_cast<std::int32_t>(candidates_[call.first + pick / 16U]);
      if (to == call.parent) continue;
      if (to == kNoParent || call.parent == kNoParent) {
        propose_move(model, c, to, orphan, temperature);
        continue;
      }
      const std::uint32_t kind = random(search && call.count > 2 ? 11 : 8);
      if (kind >= 8) {
        propose_chain(model, c, to, temperature);
      } else if (kind == 0) {
        propose_move(model, c, to, orphan, temperature);
      } else if (kind == 1 || kind == 2) {
        propose_resample(model, c, to, temperature);
      } else {
        propose_exchange(model, c, to,
                         kind >= 6   ? Exchange::kRestSince
                         : kind >= 4 ? Exchange::kRest
                                     : Exchange::kOne,
                         temperature);
      }
    }
  }
}

// Gives every call without a place one, in order of time, by what was placed before it: the likeliest, or drawn with
// the odds of each.
void Solver::place(const ServiceModel& model, bool drawn) {
  for (std::size_t i = 0; i < request_count_; ++i) requests_[i].calls.clear();
  std::array<const CallTimes*, ServiceModel::kMaxCalls> list;
  for (std::uint32_t c = 0; c < calls_.size(); ++c) {
    Call& call = calls_[c];
    const bool prune = !call.pruned && call.count > kMaxCandidates;
    if (!call.fixed && (call.parent == kUnplaced || prune)) {
      const std::int32_t was = call.parent;
      gains_.clear();
      for (std::uint32_t k = call.first; k < call.first + call.count; ++k) {
        const Request& r = requests_[candidates_[k]];
        if (r.calls.size() >= ServiceModel::kMaxCalls) continue;
        for (std::size_t i = 0; i < r.calls.size(); ++i) list[i] = &calls_[r.calls[i]].times;
        list[r.calls.size()] = &call.times;
        gains_.push_back({model.next_call(r.times, std::span(list).first(r.calls.size() + 1)) +
                              model.finish_hint(r.times, call.times),
                          candidates_[k]});
      }
      const std::size_t keep = std::min(gains_.size(), kMaxCandidates);
      if (!drawn || prune) {
        std::partial_sort(
            gains_.begin(), gains_.begin() + static_cast<std::ptrdiff_t>(keep), gains_.end(),
            [](const Gain& x, const Gain& y) { return x.gain != y.gain ? x.gain > y.gain : x.request > y.request; });
        auto kept = std::span(gains_).first(keep);
        // The place it had stays open to it.
        if (was >= 0 && keep > 0 && std::none_of(kept.begin(), kept.end(), [was](const Gain& g) {
              return static_cast<std::int32_t>(g.request) == was;
            })) {
          for (const Gain& g : gains_) {
            if (static_cast<std::int32_t>(g.request) == was) kept.back() = g;
          }
        }
        call.count = static_cast<std::uint32_t>(keep);
        for (std::uint32_t k = 0; k < call.count; ++k) candidates_[call.first + k] = gains_[k].request;
      }
      call.pruned = true;
      std::size_t pick = 0;
      if (drawn && keep > 1) {
        float most = gains_[0].gain;
        for (std::size_t k = 1; k < keep; ++k) most = std::max(most, gains_[k].gain);
        float sum = 0;
        for (std::size_t k = 0; k < keep; ++k) {
          const float weight = std::exp(gains_[k].gain - most);
          sum += weight;
          if (static_cast<float>(random(1U << 20U)) * 0x1p-20F * sum < weight) pick = k;
        }
      }
      if (was == kUnplaced) call.parent = keep > 0 ? static_cast<std::int32_t>(gains_[pick].request) : kNoParent;
    }
    if (call.parent >= 0) requests_[static_cast<std::size_t>(call.parent)].calls.push_back(c);
  }
}

void Solver::remember_best() {
  if (total_ <= best_total_) return;
  best_total_ = total_;
  for (const std::uint32_t c : free_calls_) best_[c] = calls_[c].parent;
}

// One chain from where the calls lie: cooling for as long as it helps, then samples.
void Solver::chain(const ServiceModel& model, float orphan, int burn_in, int patience, int samples, float share) {
  start(model, orphan);
  remember_best();
  int idle = 0;
  float best_here = total_;
  const float worth_it = 0.1F * std::max(1.0F, static_cast<float>(calls_.size()) / static_cast<float>(kCrowded));
  for (int i = 0; i < patience * burn_in && (i < burn_in || idle < burn_in / 2); ++i) {
    const int left = std::max(burn_in - 1 - i, 0);
    sweep(model, orphan, 1.0F + 2.0F * static_cast<float>(left) / static_cast<float>(burn_in), true);
    remember_best();
    idle = total_ > best_here + worth_it ? 0 : idle + 1;
    best_here = std::max(best_here, total_);
  }
  for (int i = 0; i < samples; ++i) {
    sweep(model, orphan, 1.0F, false);
    remember_best();
    for (const std::uint32_t c : free_calls_) {
      const Call& call = calls_[c];
      for (std::uint32_t k = call.first; k < call.first + call.count; ++k) {
        if (static_cast<std::int32_t>(candidates_[k]) == call.parent)
          marginals_[k] += share / static_cast<float>(samples);
      }
    }
    if (i % kKeepEvery == kKeepEvery - 1) {
      ++kept_;
      for (const Call& call : calls_) kept_samples_.push_back(call.parent);
    }
  }
}

void Solver::run(const ServiceModel& model, float orphan, const Effort& wanted) {
  Effort effort = wanted;
  if (calls_.size() > kCrowded) {
    auto less = [this](int sweeps) {
      return std::max(4, static_cast<int>(static_cast<std::size_t>(sweeps) * kCrowded / calls_.size()));
    };
    effort = {less(wanted.burn_in), less(wanted.samples), wanted.patience, wanted.restarts};
    if (calls_.size() > kPacked) {
      effort.patience = std::min(effort.patience, 2);
      effort.restarts = std::min(effort.restarts, 1);
    }
  }
  kept_ = 0;
  kept_samples_.clear();
  place(model, effort.drawn);
  start(model, orphan);
  marginals_.assign(candidates_.size(), 0.0F);
  best_.resize(calls_.size());
  for (std::size_t c = 0; c < calls_.size(); ++c) best_[c] = calls_[c].parent;
  best_total_ = total_;
  bool choice = false;
  for (const std::uint32_t c : free_calls_) choice = choice || calls_[c].count > 1 || calls_[c].parent < 0;
  if (!choice) {
    kept_ = 1;
    for (const Call& call : calls_) {
      kept_samples_.push_back(call.parent);
      for (std::uint32_t k = call.first; k < call.first + call.count; ++k) {
        if (static_cast<std::int32_t>(candidates_[k]) == call.parent) marginals_[k] = 1;
      }
    }
    return;
  }
  // A chain may be caught in one valley and call it certain. Others, begun elsewhere, say whether there are more.
  const float main_share = effort.restarts > 0 ? 0.5F : 1.0F;
  chain(model, orphan, effort.burn_in, effort.patience, effort.samples, main_share);
  for (int k = 0; k < effort.restarts; ++k) {
    for (const std::uint32_t c : free_calls_) calls_[c].parent = kUnplaced;
    place(model, true);
    chain(model, orphan, effort.burn_in, std::min(effort.patience, 2), effort.samples / 2,
          (1.0F - main_share) / static_cast<float>(effort.restarts));
  }
  // From the best met, downhill only, to the bottom of its valley.
  for (std::size_t c = 0; c < calls_.size(); ++c) calls_[c].parent = best_[c];
  start(model, orphan);
  for (int i = 0; i < 4; ++i) sweep(model, orphan, 1e-3F, true);
  remember_best();
}

float Solver::weigh(const ServiceModel& model, float orphan, std::span<const std::int32_t> parents) {
  for (std::size_t c = 0; c < calls_.size(); ++c) calls_[c].parent = parents[c];
  start(model, orphan);
  return total_;
}

void Solver::learn(ServiceModel& model) const {
  std::array<const CallTimes*, ServiceModel::kMaxCalls> list;
  std::vector<std::vector<std::uint32_t>> of(request_count_);
  for (int k = 0; k < kept_; ++k) {
    for (auto& v : of) v.clear();
    const std::int32_t* parents = kept_samples_.data() + static_cast<std::size_t>(k) * calls_.size();
    for (std::uint32_t c = 0; c < calls_.size(); ++c) {
      if (parents[c] >= 0) of[static_cast<std::size_t>(parents[c])].push_back(c);
    }
    for (std::size_t r = 0; r < request_count_; ++r) {
      if (requests_[r].times.end == kOpen || !requests_[r].learn) continue;
      const std::size_t n = std::min<std::size_t>(of[r].size(), list.size());
      for (std::size_t i = 0; i < n; ++i) list[i] = &calls_[of[r][i]].times;
      model.learn(requests_[r].times, std::span(list).first(n), 1.0F / static_cast<float>(kept_));
    }
  }
}

}  // namespace wirespan::inference
