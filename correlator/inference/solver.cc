#include "correlator/inference/solver.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace wirespan::inference {
namespace {

constexpr int kKeepEvery = 4;               // samples: neighbours are too alike to learn from each
constexpr std::size_t kCrowded = 1024;      // calls: from there on fewer sweeps each, so that the work stays linear
constexpr std::size_t kMaxCandidates = 16;  // the most plausible when first placed
constexpr std::uint32_t kNobody = 0xffffffffU;
constexpr float kHopeless = -30.0F;  // gain that order will not make up for
constexpr float kTellsOrder = 3.0F;  // log odds: weaker evidence about order teaches the model's own bias
constexpr float kCertain = 20;
constexpr int kLook = 24;  // calls looked at on each side for order

}  // namespace

void Solver::clear() {
  for (std::size_t i = 0; i < request_count_; ++i) requests_[i].calls.clear();
  request_count_ = 0;
  calls_.clear();
  candidates_.clear();
  evidence_.clear();
  rng_ = 0x9e3779b97f4a7c15U;
}

std::uint32_t Solver::add_request(const RequestTimes& times) {
  if (request_count_ == requests_.size()) requests_.emplace_back();
  requests_[request_count_].times = times;
  requests_[request_count_].learn = true;
  return static_cast<std::uint32_t>(request_count_++);
}

std::uint32_t Solver::add_call(const CallTimes& times, std::int32_t parent, bool fixed,
                               std::span<const std::uint32_t> candidates, std::span<const float> evidence) {
  Call call{
      times, parent, static_cast<std::uint32_t>(candidates_.size()), static_cast<std::uint32_t>(candidates.size()),
      fixed, false};
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    candidates_.push_back(candidates[i]);
    evidence_.push_back(i < evidence.size() ? evidence[i] : 0.0F);
  }
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
  std::array<CallTimes, ServiceModel::kMaxCalls> list;
  const std::size_t n = std::min<std::size_t>(calls.size(), list.size());
  for (std::size_t i = 0; i < n; ++i) list[i] = calls_[calls[i]].times;
  const float beyond = -12.0F * static_cast<float>(calls.size() - n);
  if (since != nullptr) {
    for (std::size_t i = n; i < calls.size(); ++i) since[i] = times.start;
  }
  return model.score(times, std::span(list).first(n), since) + beyond;
}

float Solver::evidence_of(const Call& call, std::int32_t parent) const {
  for (std::uint32_t i = call.first; i < call.first + call.count; ++i) {
    if (static_cast<std::int32_t>(candidates_[i]) == parent) return evidence_[i];
  }
  return 0;
}

bool Solver::may_hold(const Call& call, std::int32_t parent) const {
  for (std::uint32_t i = call.first; i < call.first + call.count; ++i) {
    if (static_cast<std::int32_t>(candidates_[i]) == parent) return true;
  }
  return false;
}

float Solver::order_of(std::span<const std::uint32_t> calls) const {
  float sum = 0;
  for (const std::uint32_t c : calls) {
    const Call& call = calls_[c];
    const OrderWeight& weight = order_weight_[c];
    if (call.parent < 0 || (weight.since_request == 0 && weight.since_event == 0)) continue;
    const RequestTimes& mine = requests_[static_cast<std::size_t>(call.parent)].times;
    int looked = 0;
    for (std::int32_t o = call.same_before; o >= 0 && looked < kLook; ++looked) {
      const Call& other = calls_[static_cast<std::size_t>(o)];
      o = other.same_before;
      if (other.times.start <= mine.start) break;
      if (other.parent < 0 || other.parent == call.parent) continue;
      const RequestTimes& theirs = requests_[static_cast<std::size_t>(other.parent)].times;
      if (theirs.op != mine.op || other.times.start == call.times.start || theirs.end < call.times.start) continue;
      if (theirs.start > mine.start) sum -= weight.since_request;
      if (other.since > call.since) sum -= weight.since_event;
    }
    looked = 0;
    for (std::int32_t o = call.same_after; o >= 0 && looked < kLook; ++looked) {
      const auto index = static_cast<std::uint32_t>(o);
      const Call& other = calls_[index];
      o = other.same_after;
      if (other.times.start > mine.end) break;
      if (other.parent < 0 || other.parent == call.parent) continue;
      const RequestTimes& theirs = requests_[static_cast<std::size_t>(other.parent)].times;
      if (theirs.op != mine.op || other.times.start == call.times.start) continue;
      if (theirs.start >= mine.start && other.since >= call.since) continue;
      // A pair within the set is counted by its later call.
      if (calls.size() > 1 && std::find(calls.begin(), calls.end(), index) != calls.end()) continue;
      if (theirs.start < mine.start) sum -= weight.since_request;
      if (other.since < call.since) sum -= weight.since_event;
    }
  }
  return sum;
}

void Solver::learn_order(const ServiceModel& judge, ServiceModel& model) {
  // run() ended at or near the best assignment; the requests' lists must show exactly it.
  for (std::size_t c = 0; c < calls_.size(); ++c) calls_[c].parent = best_[c];
  start(judge, 0);
  for (std::uint32_t c = 0; c < calls_.size(); ++c) {
    const Call& call = calls_[c];
    if (call.parent < 0) continue;
    int looked = 0;
    for (std::int32_t o = call.same_after; o >= 0 && looked < 3;
         o = calls_[static_cast<std::size_t>(o)].same_after, ++looked) {
      const Call& other = calls_[static_cast<std::size_t>(o)];
      if (other.parent < 0 || other.parent == call.parent || other.fixed != call.fixed ||
          other.times.start == call.times.start) {
        continue;
      }
      const Request& a = requests_[static_cast<std::size_t>(call.parent)];
      const Request& b = requests_[static_cast<std::size_t>(other.parent)];
      // Two calls with the same two candidates: whichever way they lie, the answer's time judges between just these
      // two. Among more, a wrong assignment would be taken for evidence of its own order.
      // Of calls whose parents are known, any two that might have been the other's will do.
      if (a.times.op != b.times.op) continue;
      if (call.fixed) {
        if (b.times.start > call.times.start || a.times.end < other.times.end || b.times.end < call.times.end) continue;
      } else if (call.count != 2 || other.count != 2 || !may_hold(call, other.parent) ||
                 !may_hold(other, call.parent)) {
        continue;
      }
      if (a.times.end == kOpen || b.times.end == kOpen || !a.learn || !b.learn) continue;
      if (a.calls.size() > ServiceModel::kMaxCalls || b.calls.size() > ServiceModel::kMaxCalls) continue;
      // As it is against exchanged; then turned to in-order against inverted.
      float delays = 0;
      std::array<CallTimes, ServiceModel::kMaxCalls> list;
      std::int64_t exchanged[2] = {0, 0};
      auto with = [&](const Request& r, std::uint32_t out, std::uint32_t in) {
        std::size_t n = 0;
        bool placed = false;
        float last = 0;
        std::int64_t* at = &exchanged[out == c ? 0 : 1];
        for (const std::uint32_t x : r.calls) {
          if (x == out) {
            if (in == out) {
              list[n++] = calls_[in].times;
              last = judge.next_call(r.times, std::span(list).first(n), at);
              placed = true;
            }
            continue;
          }
          if (!placed && x > in) {
            list[n++] = calls_[in].times;
            last = judge.next_call(r.times, std::span(list).first(n), at);
            placed = true;
          }
          list[n++] = calls_[x].times;
        }
        if (!placed) {
          list[n++] = calls_[in].times;
          last = judge.next_call(r.times, std::span(list).first(n), at);
        }
        return std::pair(last, judge.finish_score(r.times, std::span(list).first(n)));
      };
      const auto second = static_cast<std::uint32_t>(o);
      const auto a_now = with(a, c, c);
      const auto b_now = with(b, second, second);
      const auto a_then = with(a, c, second);
      const auto b_then = with(b, second, c);
      delays = a_now.first + b_now.first - a_then.first - b_then.first;
      const float finish = a_now.second + b_now.second - a_then.second - b_then.second;
      auto sign = [](std::int64_t x, std::int64_t y) { return x < y ? 1.0F : x > y ? -1.0F : 0.0F; };
      if (!call.fixed && std::abs(finish) < kTellsOrder) continue;
      OrderEvidence e{delays, call.fixed ? kCertain : finish, sign(a.times.start, b.times.start), 0};
      // Only where the exchange turns the order round.
      const float event = sign(call.since, other.since);
      if (event != 0 && sign(exchanged[0], exchanged[1]) == event) e.keeps_event = event;
      if (e.keeps_event == 0 && e.keeps_request == 0) continue;
      model.learn_order(a.times.op, call.times.key, e);
      break;
    }
  }
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
      total_ += evidence_of(call, call.parent);
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

float Solver::total_of(const ServiceModel& model, std::span<const std::int32_t> parents, float orphan) {
  for (std::size_t c = 0; c < calls_.size(); ++c) calls_[c].parent = parents[c];
  start(model, orphan);
  return total_;
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

// Exchanges the changed calls' places with those in turned_.
void Solver::turn_changed() {
  for (std::size_t i = 0; i < changed_.size(); ++i) {
    Call& call = calls_[changed_[i]];
    std::swap(call.parent, turned_[i].parent);
    std::swap(call.since, turned_[i].since);
  }
}

// What the proposal in hand changes about order. orphaned: the call it takes from or gives to nobody, or kNobody.
float Solver::order_gain(std::int32_t from, std::int32_t to, std::uint32_t orphaned) {
  if (!ordered_) return 0;
  // A pair changes only if one of it does: the others need not be looked at.
  changed_.clear();
  auto note = [&](std::span<const std::uint32_t> calls, const std::int64_t* since, std::int32_t parent) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const Call& call = calls_[calls[i]];
      if (call.parent == parent && call.since == since[i]) continue;
      changed_.push_back(calls[i]);
      turned_.push_back({parent, since[i]});
    }
  };
  turned_.clear();
  note(std::span(proposal_.from_list, proposal_.from_size), proposal_.from_since, from);
  note(std::span(proposal_.to_list, proposal_.to_size), proposal_.to_since, to);
  if (orphaned != kNobody && to < 0) {
    changed_.push_back(orphaned);
    turned_.push_back({kNoParent, 0});
  }
  const float before = order_of(changed_);
  turn_changed();
  const float after = order_of(changed_);
  turn_changed();
  return after - before;
}

void Solver::propose_move(const ServiceModel& model, std::uint32_t c, std::int32_t to, float orphan,
                          float temperature) {
  Call& call = calls_[c];
  const std::int32_t from = call.parent;
  float gain = 0;
  float from_score = 0;
  float to_score = 0;
  proposal_.from_size = 0;
  proposal_.to_size = 0;
  if (from >= 0) {
    const Request& r = requests_[static_cast<std::size_t>(from)];
    proposal_.from_size = 0;
    for (const std::uint32_t other : r.calls) {
      if (other != c && proposal_.from_size < std::size(proposal_.from_list)) {
        proposal_.from_list[proposal_.from_size++] = other;
      }
    }
    if (r.calls.size() > std::size(proposal_.from_list)) return;
    from_score = score(model, r.times, std::span(proposal_.from_list, proposal_.from_size), proposal_.from_since);
    gain += from_score - r.score - evidence_of(call, from);
  } else {
    gain -= orphan;
  }
  if (to >= 0) {
    const Request& r = requests_[static_cast<std::size_t>(to)];
    if (r.calls.size() + 1 > std::size(proposal_.to_list)) return;
    proposal_.to_size = 0;
    bool placed = false;
    for (const std::uint32_t other : r.calls) {
      if (!placed && other > c) {
        proposal_.to_list[proposal_.to_size++] = c;
        placed = true;
      }
      proposal_.to_list[proposal_.to_size++] = other;
    }
    if (!placed) proposal_.to_list[proposal_.to_size++] = c;
    to_score = score(model, r.times, std::span(proposal_.to_list, proposal_.to_size), proposal_.to_since);
    gain += to_score - r.score + evidence_of(call, to);
  } else {
    gain += orphan;
  }
  if (gain < kHopeless * temperature) return;
  gain += order_gain(from, to, c);
  if (!accept(gain, temperature)) return;
  if (from >= 0) apply(from, std::span(proposal_.from_list, proposal_.from_size), proposal_.from_since, from_score);
  if (to >= 0) apply(to, std::span(proposal_.to_list, proposal_.to_size), proposal_.to_since, to_score);
  call.parent = to;
  total_ += gain;
}

// Exchanges call c with one of the same kind under `to`; from_here_on exchanges all later calls of both as well.
void Solver::propose_exchange(const ServiceModel& model, std::uint32_t c, std::int32_t to, Exchange what,
                              float temperature) {
  Call& call = calls_[c];
  const std::int32_t from = call.parent;
  Request& a = requests_[static_cast<std::size_t>(from)];
  Request& b = requests_[static_cast<std::size_t>(to)];
  if (a.calls.size() + b.calls.size() > std::size(proposal_.from_list)) return;
  std::uint32_t partner = 0;
  std::uint32_t partners = 0;
  if (what == Exchange::kRestSince) partner = c;
  for (const std::uint32_t other : b.calls) {
    if (what == Exchange::kRestSince) break;
    if (calls_[other].times.key == call.times.key && !calls_[other].fixed && random(++partners) == 0) partner = other;
  }
  if (partners == 0 && what != Exchange::kRestSince) return;
  auto crosses = [&](std::uint32_t x, std::uint32_t pivot) { return what == Exchange::kOne ? x == pivot : x >= pivot; };
  proposal_.from_size = 0;
  proposal_.to_size = 0;
  float gain = 0;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.calls.size() || j < b.calls.size()) {
    const bool from_a = j == b.calls.size() || (i < a.calls.size() && a.calls[i] < b.calls[j]);
    const std::uint32_t x = from_a ? a.calls[i++] : b.calls[j++];
    const bool moves = from_a ? crosses(x, c) : crosses(x, partner);
    if (moves) {
      const Call& moving = calls_[x];
      const std::int32_t target = from_a ? to : from;
      if (moving.fixed || !may_hold(moving, target)) return;
      gain += evidence_of(moving, target) - evidence_of(moving, moving.parent);
    }
    if (from_a != moves) {
      proposal_.from_list[proposal_.from_size++] = x;
    } else {
      proposal_.to_list[proposal_.to_size++] = x;
    }
  }
  const float from_score =
      score(model, a.times, std::span(proposal_.from_list, proposal_.from_size), proposal_.from_since);
  const float to_score = score(model, b.times, std::span(proposal_.to_list, proposal_.to_size), proposal_.to_since);
  gain += from_score + to_score - a.score - b.score;
  if (gain < kHopeless * temperature) return;
  gain += order_gain(from, to, kNobody);
  if (!accept(gain, temperature)) return;
  apply(from, std::span(proposal_.from_list, proposal_.from_size), proposal_.from_since, from_score);
  apply(to, std::span(proposal_.to_list, proposal_.to_size), proposal_.to_since, to_score);
  total_ += gain;
}

// Deals the calls of two requests out anew, one after the other, each with the probability it has given the ones
// before.
void Solver::propose_resample(const ServiceModel& model, std::uint32_t c, std::int32_t to, float temperature) {
  const std::int32_t from = calls_[c].parent;
  Request* const side[2] = {&requests_[static_cast<std::size_t>(from)], &requests_[static_cast<std::size_t>(to)]};
  const std::int32_t ids[2] = {from, to};
  if (side[0]->calls.size() + side[1]->calls.size() > ServiceModel::kMaxCalls) return;
  struct Deal {
    std::array<CallTimes, ServiceModel::kMaxCalls> times[2];
    std::size_t size[2] = {0, 0};
  };
  Deal before;
  Deal after;
  proposal_.from_size = 0;
  proposal_.to_size = 0;
  float balance = 0;  // log of the ways back over the ways there
  float evidence = 0;
  bool changed = false;
  const float scale = 1.0F / std::max(temperature, 0.05F);
  // Share of side 0 for the next call.
  auto odds = [&](Deal& deal, const Call& call, float e) {
    float score[2];
    for (int k = 0; k < 2; ++k) {
      deal.times[k][deal.size[k]] = call.times;
      score[k] = model.next_call(side[k]->times, std::span(deal.times[k]).first(deal.size[k] + 1));
    }
    return (score[0] - score[1] + e) * scale;
  };
  auto log_share = [](float x) { return x > 0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x)); };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < side[0]->calls.size() || j < side[1]->calls.size()) {
    const int was =
        j == side[1]->calls.size() || (i < side[0]->calls.size() && side[0]->calls[i] < side[1]->calls[j]) ? 0 : 1;
    const std::uint32_t x = was == 0 ? side[0]->calls[i++] : side[1]->calls[j++];
    const Call& call = calls_[x];
    int now = was;
    if (!call.fixed && x >= c && may_hold(call, ids[1 - was])) {
      const float e = evidence_of(call, ids[0]) - evidence_of(call, ids[1]);
      const float old_odds = odds(before, call, e);
      const float new_odds = odds(after, call, e);
      const float u = (static_cast<float>(random(1U << 24U)) + 0.5F) * 0x1p-24F;
      now = std::log(u) < log_share(new_odds) ? 0 : 1;
      balance += log_share(was == 0 ? old_odds : -old_odds) - log_share(now == 0 ? new_odds : -new_odds);
      if (now != was) evidence += now == 0 ? e : -e;
    }
    before.times[was][before.size[was]++] = call.times;
    after.times[now][after.size[now]++] = call.times;
    if (now == 0) {
      proposal_.from_list[proposal_.from_size++] = x;
    } else {
      proposal_.to_list[proposal_.to_size++] = x;
    }
    changed = changed || now != was;
  }
  if (!changed) return;
  const float from_score =
      score(model, side[0]->times, std::span(proposal_.from_list, proposal_.from_size), proposal_.from_since);
  const float to_score =
      score(model, side[1]->times, std::span(proposal_.to_list, proposal_.to_size), proposal_.to_since);
  float gain = from_score + to_score - side[0]->score - side[1]->score + evidence;
  if (gain + balance * temperature < kHopeless * temperature) return;
  gain += order_gain(from, to, kNobody);
  if (!accept(gain + balance * temperature, temperature)) return;
  apply(from, std::span(proposal_.from_list, proposal_.from_size), proposal_.from_since, from_score);
  apply(to, std::span(proposal_.to_list, proposal_.to_size), proposal_.to_since, to_score);
  total_ += gain;
}

// Call c moves to `to`, which gives up its own call of that kind, which moves on, and so forth until a request that had
// none takes it. Undoes in one step a shift along a row of requests, each step of which alone would be refused. Not
// reversible with equal odds, so for the search only, not for the samples.
void Solver::propose_chain(const ServiceModel& model, std::uint32_t c, std::int32_t to, float temperature) {
  constexpr std::size_t kLength = 5;
  struct Step {
    std::uint32_t call;
    std::int32_t from;
    std::int32_t to;
  };
  std::array<Step, kLength> steps;
  std::size_t n = 0;
  const std::uint16_t key = calls_[c].times.key;
  auto holds_key = [&](std::int32_t r) {
    for (const std::uint32_t x : requests_[static_cast<std::size_t>(r)].calls) {
      if (calls_[x].times.key == key) return true;
    }
    return false;
  };
  std::uint32_t moving = c;
  std::int32_t target = to;
  while (true) {
    for (std::size_t i = 0; i < n; ++i) {
      if (steps[i].to == target) return;
    }
    steps[n++] = {moving, calls_[moving].parent, target};
    if (target == steps[0].from || !holds_key(target)) break;
    if (n == kLength) return;
    std::uint32_t next = kNobody;
    std::uint32_t seen = 0;
    for (const std::uint32_t x : requests_[static_cast<std::size_t>(target)].calls) {
      if (calls_[x].times.key == key && !calls_[x].fixed && random(++seen) == 0) next = x;
    }
    if (next == kNobody) return;
    moving = next;
    const Call& call = calls_[moving];
    if (call.count < 2) return;
    // Half of the time to one that lacks it, where there is one.
    std::int32_t lacking = kNoParent;
    seen = 0;
    if (random(2) == 0) {
      for (std::uint32_t k = call.first; k < call.first + call.count; ++k) {
        const auto r = static_cast<std::int32_t>(candidates_[k]);
        if (r != target && (r == steps[0].from || !holds_key(r)) && random(++seen) == 0) lacking = r;
      }
    }
    const std::int32_t here = target;
    target = lacking >= 0 ? lacking : static_cast<std::int32_t>(candidates_[call.first + random(call.count)]);
    if (target == here) return;
  }
  if (n < 2) return;
  std::array<std::int32_t, kLength + 1> touched;
  std::array<std::array<std::uint32_t, ServiceModel::kMaxCalls>, kLength + 1> lists;
  std::array<std::array<std::int64_t, ServiceModel::kMaxCalls>, kLength + 1> since;
  std::array<std::size_t, kLength + 1> sizes{};
  std::array<float, kLength + 1> scores{};
  std::size_t requests = 0;
  auto touch = [&](std::int32_t r) {
    if (r < 0 || std::find(touched.begin(), touched.begin() + static_cast<std::ptrdiff_t>(requests), r) !=
                     touched.begin() + static_cast<std::ptrdiff_t>(requests)) {
      return;
    }
    touched[requests++] = r;
  };
  float gain = 0;
  for (std::size_t i = 0; i < n; ++i) {
    touch(steps[i].from);
    touch(steps[i].to);
    gain += evidence_of(calls_[steps[i].call], steps[i].to) - evidence_of(calls_[steps[i].call], steps[i].from);
  }
  for (std::size_t t = 0; t < requests; ++t) {
    const Request& r = requests_[static_cast<std::size_t>(touched[t])];
    if (r.calls.size() + 1 > ServiceModel::kMaxCalls) return;
    auto& list = lists[t];
    std::size_t& size = sizes[t];
    for (const std::uint32_t x : r.calls) {
      bool leaves = false;
      for (std::size_t i = 0; i < n; ++i) leaves = leaves || steps[i].call == x;
      if (!leaves) list[size++] = x;
    }
    for (std::size_t i = 0; i < n; ++i) {
      if (steps[i].to == touched[t]) list[size++] = steps[i].call;
    }
    std::sort(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(size));
    scores[t] = score(model, r.times, std::span(list).first(size), since[t].data());
    gain += scores[t] - r.score;
  }
  if (gain < kHopeless * temperature) return;
  if (ordered_) {
    changed_.clear();
    turned_.clear();
    for (std::size_t t = 0; t < requests; ++t) {
      for (std::size_t i = 0; i < sizes[t]; ++i) {
        const Call& call = calls_[lists[t][i]];
        if (call.parent == touched[t] && call.since == since[t][i]) continue;
        changed_.push_back(lists[t][i]);
        turned_.push_back({touched[t], since[t][i]});
      }
    }
    const float before = order_of(changed_);
    turn_changed();
    gain += order_of(changed_) - before;
    turn_changed();
  }
  if (!accept(gain, temperature)) return;
  for (std::size_t t = 0; t < requests; ++t) {
    apply(touched[t], std::span(lists[t]).first(sizes[t]), since[t].data(), scores[t]);
  }
  total_ += gain;
}

void Solver::sweep(const ServiceModel& model, float orphan, float temperature, bool search) {
  for (const std::uint32_t c : free_calls_) {
    const Call& call = calls_[c];
    if (call.count == 0) continue;
    const int tries = call.count > 2 ? 2 : 1;
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
  std::array<CallTimes, ServiceModel::kMaxCalls> list;
  for (std::uint32_t c = 0; c < calls_.size(); ++c) {
    Call& call = calls_[c];
    const bool prune = !call.pruned && call.count > kMaxCandidates;
    if (!call.fixed && (call.parent == kUnplaced || prune)) {
      const std::int32_t was = call.parent;
      gains_.clear();
      for (std::uint32_t k = call.first; k < call.first + call.count; ++k) {
        const Request& r = requests_[candidates_[k]];
        if (r.calls.size() >= ServiceModel::kMaxCalls) continue;
        for (std::size_t i = 0; i < r.calls.size(); ++i) list[i] = calls_[r.calls[i]].times;
        list[r.calls.size()] = call.times;
        gains_.push_back({evidence_[k] + model.next_call(r.times, std::span(list).first(r.calls.size() + 1)) +
                              model.finish_hint(r.times, call.times),
                          candidates_[k], evidence_[k]});
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
        for (std::uint32_t k = 0; k < call.count; ++k) {
          candidates_[call.first + k] = gains_[k].request;
          evidence_[call.first + k] = gains_[k].evidence;
        }
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
  for (int i = 0; i < patience * burn_in && (i < burn_in || idle < burn_in / 2); ++i) {
    const int left = std::max(burn_in - 1 - i, 0);
    sweep(model, orphan, 1.0F + 2.0F * static_cast<float>(left) / static_cast<float>(burn_in), true);
    remember_best();
    idle = total_ > best_here + 0.1F ? 0 : idle + 1;
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

void Solver::learn(ServiceModel& model) const {
  std::array<CallTimes, ServiceModel::kMaxCalls> list;
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
      for (std::size_t i = 0; i < n; ++i) list[i] = calls_[of[r][i]].times;
      model.learn(requests_[r].times, std::span(list).first(n), 1.0F / static_cast<float>(kept_));
    }
  }
}

}  // namespace wirespan::inference
