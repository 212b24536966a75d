// The moves of the solver's chain: each proposes a change of the assignment, weighs it, and takes it or not.
#include <algorithm>
#include <array>
#include <cmath>

#include "correlator/inference/solver.h"

namespace wirespan::inference {
namespace {

constexpr float kHopeless = -30.0F;  // gain that order will not make up for

}  // namespace

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
    gain += from_score - r.score;
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
    gain += to_score - r.score;
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
    std::array<const CallTimes*, ServiceModel::kMaxCalls> times[2];
    std::size_t size[2] = {0, 0};
  };
  Deal before;
  Deal after;
  proposal_.from_size = 0;
  proposal_.to_size = 0;
  float balance = 0;  // log of the ways back over the ways there
  bool changed = false;
  const float scale = 1.0F / std::max(temperature, 0.05F);
  // Share of side 0 for the next call.
  auto odds = [&](Deal& deal, const Call& call) {
    float score[2];
    for (int k = 0; k < 2; ++k) {
      deal.times[k][deal.size[k]] = &call.times;
      score[k] = model.next_call(side[k]->times, std::span(deal.times[k]).first(deal.size[k] + 1));
    }
    return (score[0] - score[1]) * scale;
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
      const float old_odds = odds(before, call);
      const float new_odds = odds(after, call);
      const float u = (static_cast<float>(random(1U << 24U)) + 0.5F) * 0x1p-24F;
      now = std::log(u) < log_share(new_odds) ? 0 : 1;
      balance += log_share(was == 0 ? old_odds : -old_odds) - log_share(now == 0 ? new_odds : -new_odds);
    }
    before.times[was][before.size[was]++] = &call.times;
    after.times[now][after.size[now]++] = &call.times;
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
  float gain = from_score + to_score - side[0]->score - side[1]->score;
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
    gain += order_of_change();
  }
  if (!accept(gain, temperature)) return;
  for (std::size_t t = 0; t < requests; ++t) {
    apply(touched[t], std::span(lists[t]).first(sizes[t]), since[t].data(), scores[t]);
  }
  total_ += gain;
}

}  // namespace wirespan::inference
