#include "correlator/inference/service_model.h"

#include <algorithm>
#include <cmath>

#include "base/hash.h"

namespace wirespan::inference {
namespace {

constexpr std::uint8_t kNoSlot = 0xff;
constexpr float kUnknownCall = -9.0F;  // log-probability of a callee this operation never made
constexpr float kPatternPrior = 2.0F;  // weight of independence against observed call sets, in requests
constexpr float kRankPrior = 6.0F;     // an anchor must have earned its rank on more delays than this
constexpr float kOrderPrior = 10.0F;   // weight of all services' order against one callee's own, in informative pairs
constexpr float kVoteRange = 4.0F;     // log-density: anchors so much worse than the best are not asked
constexpr float kVoteGain = 0.0F;
constexpr float kOrderBelief = 1.0F;  // over the information so far
constexpr float kRankStart = -14.0F;  // mean log-density of an anchor about which nothing is known

// Of a delay about which nothing is known: flat, for a preference for short ones would be learned from as if it were
// fact.
float unknown_delay(std::int64_t delay) {
  return delay >= 0 ? -12.0F : -16.0F;
}

float log_density(const DelayDensity* density, std::int64_t delay) {
  return density != nullptr ? density->log_density(delay) : unknown_delay(delay);
}

std::uint64_t set_hash(Calls calls) {
  std::uint64_t sum = 1;
  for (const CallTimes* c : calls) sum += mix64(c->key + 1U);
  return sum;
}

}  // namespace

ServiceModel::~ServiceModel() {
  for (const auto& op : ops_) {
    if (!op) continue;
    if (op->alone.density) ++shared_->densities_left;
    for (const auto& s : op->slots) {
      if (s->finish.density) ++shared_->densities_left;
      for (const Anchored& a : s->anchors) {
        if (a.density) ++shared_->densities_left;
      }
    }
  }
}

float ServiceModel::odds(const RelationMixture* prior, Relation relation) {
  return prior != nullptr && prior->solved() ? prior->log_odds(relation) : RelationShares::guess(relation);
}

// Of the last of these calls, before anything was learned: the event that explains it best.
float ServiceModel::guess(const RequestTimes& request, Calls calls) const {
  const CallTimes& call = *calls.back();
  float best = odds(start_prior_, relation_of(request.read, call.began));
  for (const CallTimes* c : calls.first(calls.size() - 1)) {
    if (c->end <= call.start) best = std::max(best, odds(finish_prior_, relation_of(c->ended, call.began)));
  }
  return best;
}

ServiceModel::Op& ServiceModel::get(std::uint16_t op) {
  if (op >= ops_.size()) ops_.resize(op + 1U);
  if (!ops_[op]) ops_[op] = std::make_unique<Op>();
  ++ops_[op]->version;
  return *ops_[op];
}

int ServiceModel::slot_index(const Op& op, std::uint16_t key) {
  return key < op.slot_of.size() && op.slot_of[key] != kNoSlot ? op.slot_of[key] : -1;
}

ServiceModel::Slot& ServiceModel::slot(Op& op, std::uint16_t key, int* index) {
  if (key >= op.slot_of.size()) op.slot_of.resize(key + 1U, kNoSlot);
  if (op.slot_of[key] == kNoSlot) {
    if (op.slots.size() < kMaxSlots) {
      op.slots.push_back(std::make_unique<Slot>());
      op.slots.back()->times[0] = op.requests;
    }
    op.slot_of[key] = static_cast<std::uint8_t>(op.slots.size() - 1);
  }
  *index = op.slot_of[key];
  return *op.slots[op.slot_of[key]];
}

float ServiceModel::pattern_score(const Op& op, Calls calls, const std::uint8_t* slots) {
  const std::uint64_t hash = set_hash(calls);
  Answered& answered = op.answered[hash % kAnswered];
  if (answered.hash != hash || answered.version != op.version)
    answered = {hash, op.version, weigh_pattern(op, calls, slots, hash)};
  return answered.score;
}

float ServiceModel::weigh_pattern(const Op& op, Calls calls, const std::uint8_t* slots, std::uint64_t hash) {
  std::array<std::uint8_t, kMaxSlots> times{};
  float independent = op.log_none;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (slots[i] == kNoSlot) {
      independent += kUnknownCall;
      continue;
    }
    const auto& log_times = op.slots[slots[i]]->log_times;
    std::uint8_t& n = times[slots[i]];
    if (n < 3) {
      independent += log_times[n + 1U] - log_times[n];
      ++n;
    } else {
      independent += -1.0F;
    }
  }
  float observed = 0;
  for (std::size_t i = hash % kMaxPatterns, probes = 0; probes < 4; i = (i + 1) % kMaxPatterns, ++probes) {
    if (op.patterns[i].hash == hash) {
      observed = op.patterns[i].count;
      break;
    }
  }
  const float all = op.requests + kPatternPrior;
  if (observed == 0) return std::max(independent, -60.0F) - std::log(all / kPatternPrior);
  return std::log((observed + kPatternPrior * std::exp(independent)) / all);
}

float ServiceModel::delay_score(const Op& op, const RequestTimes& request, Calls calls, const std::uint8_t* slots,
                                std::size_t i, std::int64_t* since_out) const {
  const CallTimes& call = *calls[i];
  if (since_out != nullptr) *since_out = request.start;
  if (slots[i] == kNoSlot) return unknown_delay(call.start - request.start) + guess(request, calls.first(i + 1));
  const Slot& s = *op.slots[slots[i]];
  const Anchored* best = s.anchors.data();
  if (i == 0 && best->density) {
    return best->density->log_density(call.start - request.start) +
           best->relations.log_odds(relation_of(request.read, call.began));
  }
  std::int64_t since = request.start;
  std::int64_t latest_end = 0;
  bool ended = false;
  for (std::size_t j = 0; j < i; ++j) {
    if (slots[j] == kNoSlot) continue;
    const Anchored& begun = s.anchors[2U + 2U * slots[j]];
    if (begun.rank > best->rank || &begun == best) {
      best = &begun;
      since = calls[j]->start;
    }
    if (calls[j]->end <= call.start) {
      const Anchored& done = s.anchors[3U + 2U * slots[j]];
      if (done.rank > best->rank || &done == best) {
        best = &done;
        since = calls[j]->end;
      }
      if (!ended || calls[j]->end > latest_end) latest_end = calls[j]->end;
      ended = true;
    }
  }
  if (ended && s.anchors[1].rank > best->rank) {
    best = &s.anchors[1];
    since = latest_end;
  }
  if (since_out != nullptr) *since_out = since;
  // One anchor rarely tells all: in a fan-out every sibling's start says something about a common delay. Each votes by
  // how well it has predicted; together they weigh a little more than one, as they are far from independent.
  float weights = 0;
  float votes = 0;
  auto vote = [&](const Anchored& a, std::int64_t at, Relation relation) {
    if (!a.density || a.rank < best->rank - kVoteRange) return;
    const float w = &a == best ? 1.0F : a.vote / best->vote;
    weights += w;
    votes += w * (a.density->log_density(call.start - at) + a.relations.log_odds(relation));
  };
  vote(s.anchors[0], request.start, relation_of(request.read, call.began));
  const Spot* latest = &request.read;
  for (std::size_t j = 0; j < i; ++j) {
    if (slots[j] == kNoSlot) continue;
    vote(s.anchors[2U + 2U * slots[j]], calls[j]->start, relation_of_sent(calls[j]->began, call.began));
    if (calls[j]->end > call.start) continue;
    vote(s.anchors[3U + 2U * slots[j]], calls[j]->end, relation_of(calls[j]->ended, call.began));
    if (calls[j]->end == latest_end) latest = &calls[j]->ended;
  }
  if (ended) vote(s.anchors[1], latest_end, relation_of(*latest, call.began));
  if (weights > 0) return votes / weights * (1.0F + kVoteGain * (weights - 1.0F) / weights);
  return log_density(best->density.get(), call.start - since) + guess(request, calls.first(i + 1));
}

float ServiceModel::next_call(const RequestTimes& request, Calls calls, std::int64_t* since) const {
  if (since != nullptr) *since = request.start;
  const Op* op = find(request.op);
  const std::size_t last = calls.size() - 1;
  if (op == nullptr || calls.size() > kMaxCalls) {
    return unknown_delay(calls[last]->start - request.start) + guess(request, calls);
  }
  std::array<std::uint8_t, kMaxCalls> slots{};
  std::size_t same = 0;
  for (std::size_t i = 0; i <= last; ++i) {
    const int s = slot_index(*op, calls[i]->key);
    slots[i] = s < 0 ? kNoSlot : static_cast<std::uint8_t>(s);
    if (i < last && calls[i]->key == calls[last]->key) ++same;
  }
  float sum = delay_score(*op, request, calls, slots.data(), last, since);
  if (slots[last] == kNoSlot) {
    sum += kUnknownCall;
  } else if (same < 3) {
    const auto& log_times = op->slots[slots[last]]->log_times;
    sum += log_times[same + 1] - log_times[same];
  } else {
    sum -= 1.0F;
  }
  return sum;
}

float ServiceModel::score(const RequestTimes& request, Calls calls, std::int64_t* since) const {
  const Op* op = find(request.op);
  const std::size_t n = std::min<std::size_t>(calls.size(), kMaxCalls);
  if (op == nullptr) {
    // Nothing known: prefer the shortest delay from the latest event, which is what a log-uniform floor does.
    float sum = 0;
    std::int64_t latest = request.start;
    for (std::size_t i = 0; i < n; ++i) {
      if (since != nullptr) since[i] = request.start;
      sum += unknown_delay(calls[i]->start - latest) + guess(request, calls.first(i + 1));
      latest = std::max(latest, calls[i]->start);
    }
    return sum;
  }
  std::array<std::uint8_t, kMaxCalls> slots{};
  for (std::size_t i = 0; i < n; ++i) {
    const int s = slot_index(*op, calls[i]->key);
    slots[i] = s < 0 ? kNoSlot : static_cast<std::uint8_t>(s);
  }
  float sum = pattern_score(*op, calls.first(n), slots.data());

  std::int64_t last_end = request.start;
  const Spot* last_spot = &request.read;
  const Anchored* finish = &op->alone;
  bool unfinished = false;
  for (std::size_t i = 0; i < n; ++i) {
    const CallTimes& call = *calls[i];
    sum += delay_score(*op, request, calls, slots.data(), i, since != nullptr ? since + i : nullptr);
    if (call.end == kOpen) unfinished = true;
    if (call.end != kOpen && (i == 0 || call.end >= last_end)) {
      last_end = call.end;
      last_spot = &call.ended;
      finish = slots[i] == kNoSlot ? nullptr : &op->slots[slots[i]]->finish;
    }
  }
  if (request.end != kOpen && !unfinished)
    sum += finish_of(finish, request.end - last_end, *last_spot, request.answered);
  return sum;
}

float ServiceModel::finish_score(const RequestTimes& request, Calls calls) const {
  const Op* op = find(request.op);
  if (op == nullptr || request.end == kOpen || calls.empty()) return 0;
  const CallTimes* last = calls.front();
  for (const CallTimes* c : calls) {
    if (c->end == kOpen) return 0;
    if (c->end >= last->end) last = c;
  }
  const int s = slot_index(*op, last->key);
  return finish_of(s < 0 ? nullptr : &op->slots[static_cast<std::size_t>(s)]->finish, request.end - last->end,
                   last->ended, request.answered);
}

float ServiceModel::finish_of(const Anchored* finish, std::int64_t delay, const Spot& from,
                              const Spot& answered) const {
  const Relation relation = relation_of(from, answered);
  if (finish == nullptr || !finish->density) return unknown_delay(delay) + odds(finish_prior_, relation);
  return finish->density->log_density(delay) + finish->relations.log_odds(relation);
}

OrderWeight ServiceModel::order_weight(std::uint16_t op_index, std::uint16_t key, std::size_t candidates) const {
  OrderWeight all = shared_->order;
  if (candidates <= 2) {
    all.since_request += kOrderBelief / all.information[0];
    all.since_event += kOrderBelief / all.information[1];
  }
  const Op* op = find(op_index);
  const int s = op != nullptr ? slot_index(*op, key) : -1;
  if (s < 0) return all;
  OrderWeight own = op->slots[static_cast<std::size_t>(s)]->order;
  auto mixed = [](float mine, float information, float theirs) {
    return (information * mine + kOrderPrior * theirs) / (information + kOrderPrior);
  };
  own.since_request = mixed(own.since_request, own.information[0], all.since_request);
  own.since_event = mixed(own.since_event, own.information[1], all.since_event);
  return own;
}

void ServiceModel::learn_order(std::uint16_t op_index, std::uint16_t key, const OrderEvidence& e) {
  auto sigmoid = [](float x) { return 1.0F / (1.0F + std::exp(-x)); };
  const OrderWeight now = order_weight(op_index, key, 2);
  const float prior = e.delays + e.keeps_request * now.since_request + e.keeps_event * now.since_event;
  const float surprise = sigmoid(prior + e.rest) - sigmoid(prior);
  auto step = [surprise](float& value, float& information, float direction) {
    if (direction == 0) return;
    information += surprise * surprise;
    value = std::clamp(value + direction * surprise / (information + 0.5F), -4.0F, 8.0F);
  };
  auto learn_one = [&](OrderWeight& w) {
    step(w.since_request, w.information[0], e.keeps_request);
    step(w.since_event, w.information[1], e.keeps_event);
  };
  Op& op = get(op_index);
  const int s = slot_index(op, key);
  if (s >= 0) learn_one(op.slots[static_cast<std::size_t>(s)]->order);
  learn_one(shared_->order);
}

void ServiceModel::learn_chance(std::uint16_t op_index, std::uint16_t key, Relation relation) {
  int index = 0;
  slot(get(op_index), key, &index).chance.add(relation, 1);
}

void ServiceModel::learn_finish_chance(std::uint16_t op_index, std::uint16_t key, Relation relation) {
  int index = 0;
  slot(get(op_index), key, &index).finish_chance.add(relation, 1);
}

float ServiceModel::finish_hint(const RequestTimes& request, const CallTimes& call) const {
  if (request.end == kOpen || call.end == kOpen) return 0;
  const Relation relation = relation_of(call.ended, request.answered);
  const Op* op = find(request.op);
  const int s = op != nullptr ? slot_index(*op, call.key) : -1;
  if (s < 0) return std::max(0.0F, odds(finish_prior_, relation));
  return std::max(0.0F, op->slots[static_cast<std::size_t>(s)]->finish.relations.log_odds(relation));
}

void ServiceModel::learn(Anchored& anchored, std::int64_t delay, Relation relation, float weight) {
  if (!anchored.density) {
    if (shared_->densities_left == 0) return;
    --shared_->densities_left;
    anchored.density = std::make_unique<DelayDensity>();
  }
  anchored.gain += weight * anchored.density->log_density(delay);
  anchored.count += weight;
  anchored.density->add(delay, weight);
  anchored.relations.add(relation, weight);
  anchored.dirty = true;
}

void ServiceModel::learn(const RequestTimes& request, Calls calls, float weight) {
  Op& op = get(request.op);
  const std::size_t n = std::min<std::size_t>(calls.size(), kMaxCalls);
  std::array<std::uint8_t, kMaxSlots> times{};
  std::uint8_t slots[kMaxCalls];
  for (std::size_t i = 0; i < n; ++i) {
    int index = 0;
    slot(op, calls[i]->key, &index);
    slots[i] = static_cast<std::uint8_t>(index);
    if (times[slots[i]] < 3) ++times[slots[i]];
  }
  for (std::size_t s = 0; s < op.slots.size(); ++s) op.slots[s]->times[times[s]] += weight;
  op.requests += weight;
  seen_ += weight;

  const std::uint64_t hash = set_hash(calls.first(n));
  Pattern* rarest = nullptr;
  for (std::size_t i = hash % kMaxPatterns, probes = 0; probes < 4; i = (i + 1) % kMaxPatterns, ++probes) {
    Pattern& p = op.patterns[i];
    if (p.hash == hash) {
      rarest = &p;
      break;
    }
    if (rarest == nullptr || p.count < rarest->count) rarest = &p;
  }
  if (rarest->hash != hash) *rarest = {hash, 0};
  rarest->count += weight;

  std::int64_t last_end = request.start;
  const Spot* last_spot = &request.read;
  Anchored* finish = &op.alone;
  bool unfinished = false;
  for (std::size_t i = 0; i < n; ++i) {
    const CallTimes& call = *calls[i];
    Slot& s = *op.slots[slots[i]];
    const auto relation = [&](const Spot& event) { return relation_of(event, call.began); };
    learn(s.anchors[0], call.start - request.start, relation(request.read), weight);
    std::int64_t latest_end = 0;
    bool ended = false;
    // The latest of equal siblings is the anchor score() ends with.
    std::array<const CallTimes*, kMaxSlots> begun{};
    std::array<const CallTimes*, kMaxSlots> done{};
    const CallTimes* latest = nullptr;
    for (std::size_t j = 0; j < i; ++j) {
      begun[slots[j]] = calls[j];
      if (calls[j]->end > call.start) continue;
      done[slots[j]] = calls[j];
      if (!ended || calls[j]->end > latest_end) {
        latest_end = calls[j]->end;
        latest = calls[j];
      }
      ended = true;
    }
    for (std::size_t k = 0; k < op.slots.size(); ++k) {
      if (begun[k] != nullptr)
        learn(s.anchors[2 + 2 * k], call.start - begun[k]->start, relation_of_sent(begun[k]->began, call.began),
              weight);
      if (done[k] != nullptr) learn(s.anchors[3 + 2 * k], call.start - done[k]->end, relation(done[k]->ended), weight);
    }
    if (latest != nullptr) learn(s.anchors[1], call.start - latest_end, relation(latest->ended), weight);
    if (call.end == kOpen) unfinished = true;
    if (call.end != kOpen && (i == 0 || call.end >= last_end)) {
      last_end = call.end;
      last_spot = &call.ended;
      finish = &s.finish;
    }
  }
  if (request.end != kOpen && !unfinished) {
    learn(*finish, request.end - last_end, relation_of(*last_spot, request.answered), weight);
  }
}

void ServiceModel::refresh(Anchored& anchored, const RelationShares* chance, const RelationMixture* prior) {
  if (!anchored.dirty) return;
  anchored.dirty = false;
  anchored.density->refresh();
  anchored.relations.refresh(chance, prior);
  anchored.rank = (anchored.gain + kRankPrior * kRankStart) / (anchored.count + kRankPrior);
  anchored.vote = std::exp(std::max(anchored.rank, -80.0F));
}

void ServiceModel::refresh() {
  for (auto& op : ops_) {
    if (!op) continue;
    ++op->version;
    refresh(op->alone, nullptr, nullptr);
    op->log_none = 0;
    for (auto& s : op->slots) {
      refresh(s->anchors[0], &s->chance, start_prior_);
      refresh(s->anchors[1], &s->chance, finish_prior_);
      for (std::size_t i = 2; i < kAnchors; ++i)
        refresh(s->anchors[i], &s->chance, i % 2 == 1 ? finish_prior_ : nullptr);
      refresh(s->finish, &s->finish_chance, finish_prior_);
      for (std::size_t i = 0; i < 4; ++i) {
        s->log_times[i] = std::log((s->times[i] + (i < 2 ? 0.2F : 0.05F)) / (op->requests + 0.5F));
      }
      op->log_none += s->log_times[0];
    }
  }
}

void ServiceModel::scale(float factor) {
  auto scaled = [factor](Anchored& a) {
    if (!a.density) return;
    a.density->scale(factor);
    a.relations.scale(factor);
    a.gain *= factor;
    a.count *= factor;
    a.dirty = true;
  };
  seen_ *= factor;
  for (auto& op : ops_) {
    if (!op) continue;
    ++op->version;
    scaled(op->alone);
    op->requests *= factor;
    for (Pattern& p : op->patterns) p.count *= factor;
    for (auto& s : op->slots) {
      for (Anchored& a : s->anchors) scaled(a);
      scaled(s->finish);
      s->chance.scale(factor);
      s->finish_chance.scale(factor);
      for (float& t : s->times) t *= factor;
    }
  }
}

void ServiceModel::copy_from(const ServiceModel& other) {
  auto copied = [this](Anchored& to, const Anchored& from) {
    if (!from.density) {
      if (to.density) {
        to.density->clear();
        to.dirty = true;
      }
    } else {
      if (!to.density) {
        if (shared_->densities_left == 0) return;
        --shared_->densities_left;
        to.density = std::make_unique<DelayDensity>();
      }
      *to.density = *from.density;
      to.dirty = from.dirty;
    }
    to.relations = from.relations;
    to.gain = from.gain;
    to.count = from.count;
    to.rank = from.rank;
    to.vote = from.vote;
  };
  seen_ = other.seen_;
  for (std::size_t i = 0; i < other.ops_.size() || i < ops_.size(); ++i) {
    static const Op none;
    const Op& from = i < other.ops_.size() && other.ops_[i] ? *other.ops_[i] : none;
    if (&from == &none && (i >= ops_.size() || !ops_[i])) continue;
    Op& to = get(static_cast<std::uint16_t>(i));
    to.slot_of = from.slot_of;
    to.patterns = from.patterns;
    to.requests = from.requests;
    to.log_none = from.log_none;
    copied(to.alone, from.alone);
    while (to.slots.size() < from.slots.size()) to.slots.push_back(std::make_unique<Slot>());
    if (to.slots.size() > from.slots.size()) {
      for (std::size_t s = from.slots.size(); s < to.slots.size(); ++s) {
        static const Slot empty;
        for (std::size_t a = 0; a < kAnchors; ++a) copied(to.slots[s]->anchors[a], empty.anchors[a]);
        copied(to.slots[s]->finish, empty.finish);
        to.slots[s]->times = {};
      }
    }
    for (std::size_t s = 0; s < from.slots.size(); ++s) {
      for (std::size_t a = 0; a < kAnchors; ++a) copied(to.slots[s]->anchors[a], from.slots[s]->anchors[a]);
      copied(to.slots[s]->finish, from.slots[s]->finish);
      to.slots[s]->order = from.slots[s]->order;
      to.slots[s]->chance = from.slots[s]->chance;
      to.slots[s]->finish_chance = from.slots[s]->finish_chance;
      to.slots[s]->times = from.slots[s]->times;
      to.slots[s]->log_times = from.slots[s]->log_times;
    }
  }
}

}  // namespace wirespan::inference
