// The part of the solver that knows of order: calls of one kind tend to be made in the order of the requests, or of the
// events, that caused them. How strongly, ServiceModel has learned.
#include <algorithm>
#include <array>
#include <cmath>

#include "correlator/inference/solver.h"

namespace wirespan::inference {
namespace {

constexpr float kTellsOrder = 3.0F;  // log odds: weaker evidence about order teaches the model's own bias
constexpr float kCertain = 20;
constexpr int kLook = 24;  // calls looked at on each side for order

}  // namespace

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
      std::array<const CallTimes*, ServiceModel::kMaxCalls> list;
      std::int64_t exchanged[2] = {0, 0};
      auto with = [&](const Request& r, std::uint32_t out, std::uint32_t in) {
        std::size_t n = 0;
        bool placed = false;
        float last = 0;
        std::int64_t* at = &exchanged[out == c ? 0 : 1];
        for (const std::uint32_t x : r.calls) {
          if (x == out) {
            if (in == out) {
              list[n++] = &calls_[in].times;
              last = judge.next_call(r.times, std::span(list).first(n), at);
              placed = true;
            }
            continue;
          }
          if (!placed && x > in) {
            list[n++] = &calls_[in].times;
            last = judge.next_call(r.times, std::span(list).first(n), at);
            placed = true;
          }
          list[n++] = &calls_[x].times;
        }
        if (!placed) {
          list[n++] = &calls_[in].times;
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

// Exchanges the changed calls' places with those in turned_.
void Solver::turn_changed() {
  for (std::size_t i = 0; i < changed_.size(); ++i) {
    Call& call = calls_[changed_[i]];
    std::swap(call.parent, turned_[i].parent);
    std::swap(call.since, turned_[i].since);
  }
}

float Solver::order_of_change() {
  const float before = order_of(changed_);
  turn_changed();
  const float after = order_of(changed_);
  turn_changed();
  return after - before;
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
  return order_of_change();
}

}  // namespace wirespan::inference
