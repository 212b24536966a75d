#include "correlator/inference/inference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "correlator/inference/state.h"

namespace wirespan::inference {
namespace {

constexpr std::int64_t kNsPerUs = 1000;
constexpr float kMatureRequests = 400;  // learned: from here on one pass a stretch is enough
constexpr Solver::Effort kTentative{8, 8, 1, 0, true};
constexpr int kFirstPasses = 5;  // over the first stretches, each with the model of the pass before
constexpr int kFurtherPasses = 2;
constexpr std::size_t kMostToBegin = 2048;  // calls of a stretch, of such a pass: more teach nothing new
constexpr double kWorkOfKnown = 8;          // of a call with a certain parent: it is learned from
constexpr float kEnoughTests = 100;
constexpr float kUntested = 0.75F;
constexpr float kCounted = 8192;  // calls: old ones fade
constexpr float kMostlyCertain = 0.9F;
constexpr std::size_t kFewCandidates = 2;
constexpr std::uint32_t kTestEvery = 4;
constexpr std::uint16_t kMaxNames = 1024;

}  // namespace

Inference::Inference(const Options& options, Counters& counters, Sink sink)
    : options_(options),
      sink_(std::move(sink)),
      lost_open_(counters.get("inference.lost.open_requests")),
      lost_waiting_(counters.get("inference.lost.waiting_calls")),
      over_budget_(counters.get("inference.over_budget.calls")),
      lost_endless_(counters.get("inference.lost.endless_requests")) {
  shared_.densities_left = options.max_densities;
}
Inference::~Inference() = default;

std::uint32_t Inference::process(std::string_view service, std::string_view instance) {
  std::string name(service);
  const auto [s, new_service] = service_by_name_.try_emplace(name, static_cast<std::uint32_t>(services_.size()));
  if (new_service) services_.push_back(std::make_unique<Service>(shared_));
  name.append(1, '\0').append(instance);
  const auto [p, new_process] = process_by_name_.try_emplace(name, static_cast<std::uint32_t>(processes_.size()));
  if (new_process) {
    processes_.push_back(std::make_unique<Process>());
    processes_.back()->service = services_[s->second].get();
    processes_.back()->stretches.emplace_back();
  }
  return p->second;
}

std::int64_t Inference::observe_time(Service& service, std::int64_t time_ns) {
  const std::int64_t us = time_ns / kNsPerUs;
  if (service.first_time < 0) service.first_time = us;
  service.tick = std::gcd(service.tick, us - service.first_time);
  return us;
}

std::uint16_t Inference::intern(std::unordered_map<std::string, std::uint16_t>& names, std::string_view a,
                                std::string_view b) {
  name_.assign(a).append(1, '\0').append(b);
  const auto it = names.find(name_);
  if (it != names.end()) return it->second;
  if (names.size() >= kMaxNames) return kMaxNames;  // the rest share one
  return names.emplace(name_, static_cast<std::uint16_t>(names.size())).first->second;
}

void Inference::request_started(std::uint32_t process, std::uint64_t id, std::string_view op, std::int64_t time_ns,
                                const Spot& read) {
  advance(time_ns);
  Process& p = *processes_[process];
  if (open_ >= options_.max_open_requests) {
    lost_open_.add();
    return;
  }
  if (p.open.empty() && !p.stretches.back().requests.empty()) {
    p.stretches.back().closed = true;
    p.stretches.emplace_back();
  }
  std::uint32_t index = 0;
  if (p.free_requests.empty()) {
    index = static_cast<std::uint32_t>(p.requests.size());
    p.requests.emplace_back();
  } else {
    index = p.free_requests.back();
    p.free_requests.pop_back();
  }
  Request& r = p.requests[index];
  r = Request();
  r.id = id;
  r.start = observe_time(*p.service, time_ns);
  r.op = intern(p.service->ops, op, {});
  r.read = read;
  p.open.push_back(index);
  ++open_;
  p.stretches.back().requests.push_back(index);
  requests_[id] = {process, index};
}

void Inference::request_read(std::uint64_t id, const Spot& read) {
  const auto it = requests_.find(id);
  if (it != requests_.end()) processes_[it->second.process]->requests[it->second.index].read = read;
}

void Inference::request_answered(std::uint64_t id, const Spot& answered) {
  const auto it = requests_.find(id);
  if (it != requests_.end()) processes_[it->second.process]->requests[it->second.index].answered = answered;
}

void Inference::request_ended(std::uint64_t id, std::int64_t time_ns) {
  advance(time_ns);
  const auto it = requests_.find(id);
  if (it == requests_.end()) return;
  Process& p = *processes_[it->second.process];
  Request& r = p.requests[it->second.index];
  if (r.end != kOpen) return;
  r.end = std::max(r.start, observe_time(*p.service, time_ns));
  p.service->slowest = std::max(r.end - r.start, p.service->slowest - p.service->slowest / 256);
  std::erase(p.open, it->second.index);
  --open_;
}

bool Inference::call_started(std::uint32_t process, std::uint64_t id, std::string_view peer, std::string_view op,
                             std::int64_t time_ns, const Spot& began) {
  advance(time_ns);
  Process& p = *processes_[process];
  if (waiting_ >= options_.max_waiting_calls) {
    lost_waiting_.add();
    return false;
  }
  std::uint32_t index = 0;
  if (p.free_calls.empty()) {
    index = static_cast<std::uint32_t>(p.calls.size());
    p.calls.emplace_back();
  } else {
    index = p.free_calls.back();
    p.free_calls.pop_back();
  }
  Call& call = p.calls[index];
  call.id = id;
  call.start = observe_time(*p.service, time_ns);
  call.end = kOpen;
  call.key = intern(p.service->keys, peer, op);
  call.parent = Call::kUnplaced;
  call.decided = false;
  call.tested = call.observed = false;
  call.began = began;
  call.ended = Spot();
  // The newest: a request that has waited behind so many others is rarely the one that calls now.
  const std::size_t skip = p.open.size() > options_.max_candidates ? p.open.size() - options_.max_candidates : 0;
  call.candidates.assign(p.open.begin() + static_cast<std::ptrdiff_t>(skip), p.open.end());
  p.stretches.back().calls.push_back(index);
  calls_[id] = {process, index};
  ++waiting_;
  if ((p.service->made += 1) >= kCounted) {
    for (float* const count : {&p.service->made, &p.service->certain, &p.service->drawn}) *count /= 2;
  }
  return true;
}

void Inference::call_known(std::uint64_t id, std::uint64_t request, bool drawn) {
  const auto c = calls_.find(id);
  const auto r = requests_.find(request);
  if (c == calls_.end() || r == requests_.end() || c->second.process != r->second.process) return;
  Call& call = processes_[c->second.process]->calls[c->second.index];
  if (call.decided) return;
  // One that was over by then, or among very many: out of the question for the others all the same.
  const bool open = std::find(call.candidates.begin(), call.candidates.end(), r->second.index) != call.candidates.end();
  call.parent = open ? r->second.index : Call::kOrphan;
  call.decided = true;
  call.tested = open && known_++ % kTestEvery == 0;
  Service& service = *processes_[c->second.process]->service;
  service.certain += 1;
  if (drawn) service.drawn += 1;
  --waiting_;
}

void Inference::call_ended(std::uint64_t id, std::int64_t time_ns, const Spot& ended) {
  advance(time_ns);
  const auto it = calls_.find(id);
  if (it == calls_.end()) return;
  Process& p = *processes_[it->second.process];
  Call& call = p.calls[it->second.index];
  if (call.end != kOpen) return;
  call.end = std::max(call.start, observe_time(*p.service, time_ns));
  call.ended = ended;
}

void Inference::advance(std::int64_t now_ns) {
  now_ = std::max(now_, now_ns);
  if (now_ < next_tick_) return;
  next_tick_ = now_ + options_.window_ns / 8;
  for (auto& p : processes_) settle(*p, now_ / kNsPerUs, false);
}

void Inference::finish() {
  for (auto& p : processes_) settle(*p, now_ / kNsPerUs, true);
}

void Inference::load(Process& process, const Stretch& stretch, Picked picked, std::size_t most) {
  solver_.clear();
  const auto calls = std::span(stretch.calls).first(std::min(most, stretch.calls.size()));
  const std::int64_t until = calls.size() < stretch.calls.size() ? process.calls[calls.back()].start : kOpen;
  const std::int64_t tick = std::max<std::int64_t>(process.service->tick, 1);
  const std::int64_t zero = process.service->first_time;
  auto ticks = [&](std::int64_t us) { return us == kOpen ? kOpen : (us - zero) / tick; };
  // What tells most calls' parents is the answer that follows the last one: those without must not be tested with it.
  for (const std::uint32_t c : calls) {
    const Call& call = process.calls[c];
    if (call.tested && picked == Picked::kFree) process.requests[static_cast<std::size_t>(call.parent)].veiled = true;
  }
  for (const std::uint32_t r : stretch.requests) {
    Request& q = process.requests[r];
    if (q.start > until) break;
    const bool veiled = std::exchange(q.veiled, false);
    q.local = solver_.add_request({ticks(q.start), ticks(q.end), q.op, q.read, veiled ? Spot() : q.answered});
    if (q.end > until) solver_.do_not_learn(q.local);
  }
  for (const std::uint32_t c : calls) {
    const Call& call = process.calls[c];
    const bool fixed = call.decided && !(call.tested && picked == Picked::kFree);
    loaded_.clear();
    if (!fixed) {
      for (const std::uint32_t r : call.candidates) {
        const Request& q = process.requests[r];
        // Work may end a little after its request's answer; longer, and it is someone else's.
        if (q.end != kOpen && (call.end == kOpen || q.end + kLateUs < call.end)) continue;
        loaded_.push_back(q.local);
      }
    }
    std::int32_t parent = Solver::kUnplaced;
    if (call.parent >= 0 && (fixed || !call.tested))
      parent = static_cast<std::int32_t>(process.requests[static_cast<std::size_t>(call.parent)].local);
    if (call.parent == Call::kOrphan || (loaded_.empty() && !fixed)) parent = Solver::kNoParent;
    if (parent >= 0 && !fixed &&
        std::find(loaded_.begin(), loaded_.end(), static_cast<std::uint32_t>(parent)) == loaded_.end()) {
      parent = Solver::kUnplaced;
    }
    solver_.add_call({ticks(call.start), ticks(call.end), call.key, call.began, call.ended}, parent, fixed, loaded_);
  }
}

// How calls relate to all requests open then, and answers to all responses read while their requests were open.
void Inference::learn_mixtures(Process& process, const Stretch& stretch) {
  Service& service = *process.service;
  auto count = [](RelationMixture::Counts& counts, Relation relation) {
    std::uint16_t& n = counts[static_cast<std::size_t>(relation)];
    if (n < std::numeric_limits<std::uint16_t>::max()) ++n;
  };
  std::unordered_map<std::uint32_t, RelationMixture::Counts> answers;
  for (const std::uint32_t c : stretch.calls) {
    Call& call = process.calls[c];
    if (call.began.thread == 0 || call.observed || call.end == kOpen) continue;
    call.observed = true;
    RelationMixture::Counts counts{};
    for (const std::uint32_t r : call.candidates) {
      const Request& q = process.requests[r];
      count(counts, relation_of(q.read, call.began));
      if (q.end != kOpen && q.answered.thread != 0 && call.end <= q.end)
        count(answers[r], relation_of(call.ended, q.answered));
    }
    service.starts.observe(counts);
  }
  for (const auto& [request, counts] : answers) service.finishes.observe(counts);
  service.starts.solve();
  service.finishes.solve();
}

// What calls and any open request had to do with each other, whoever made them.
void Inference::learn_chances(const Process& process, const Stretch& stretch, std::int64_t until, ServiceModel& model) {
  for (const std::uint32_t c : stretch.calls) {
    const Call& call = process.calls[c];
    if (call.start > until || call.began.thread == 0) continue;
    for (const std::uint32_t r : call.candidates) {
      const Request& q = process.requests[r];
      model.learn_chance(q.op, call.key, relation_of(q.read, call.began));
      if (q.end != kOpen && q.answered.thread != 0 && call.end <= q.end)
        model.learn_finish_chance(q.op, call.key, relation_of(call.ended, q.answered));
    }
  }
}

void Inference::remember(Process& process, const Stretch& stretch) {
  for (std::size_t i = 0; i < solver_.calls(); ++i) {
    Call& call = process.calls[stretch.calls[i]];
    if (call.decided) continue;
    const std::int32_t parent = solver_.parent(static_cast<std::uint32_t>(i));
    call.parent =
        parent < 0 ? Call::kOrphan : static_cast<std::int64_t>(stretch.requests[static_cast<std::size_t>(parent)]);
  }
}

// How far to believe a share of samples: as far as such shares have been right in this service. Those who are certain
// may be the easy ones (each request's last call, which the answer proves): unless they are most of all, or were drawn
// by chance, they say nothing of the others. Where nothing could be tested, as far as in rehearsals, and those leave
// out what makes live traffic hard: never so far that it becomes a parent where more than two requests fit. A call that
// only one request fits may still be nobody's.
float Inference::confidence(const Service& service, const Call& call, float share, std::size_t candidates) {
  const float rehearsed = service.calibration.probability(share, candidates);
  if (call.began.thread == 0) return rehearsed;
  const bool alike = service.certain >= kMostlyCertain * service.made || service.drawn >= kEnoughTests;
  if (service.certain > 0 && !alike) return std::min(rehearsed, kUntested);
  if (service.tested.observed() >= kEnoughTests) return service.tested.probability(share, candidates);
  const bool told_apart = candidates == kFewCandidates && service.calibration.observed() >= kEnoughTests;
  return told_apart ? rehearsed : std::min(rehearsed, kUntested);
}

// The logarithm of the odds of one share of the samples against the next best, which may be that of no request at all.
float Inference::distance_to_next(std::span<const float> shares, std::size_t chosen) {
  constexpr float kLeastShare = 1e-3F;  // the samples tell no finer
  float others = 1;
  float next = 0;
  for (std::size_t k = 0; k < shares.size(); ++k) {
    others -= shares[k];
    if (k != chosen) next = std::max(next, shares[k]);
  }
  next = std::max(next, others);
  return std::log(std::max(shares[chosen], kLeastShare) / std::max(next, kLeastShare));
}

void Inference::test(Process& process, const Stretch& stretch, std::int64_t until, const ServiceModel& model) {
  auto due = [&](std::uint32_t c) { return process.calls[c].tested && process.calls[c].start <= until; };
  if (std::none_of(stretch.calls.begin(), stretch.calls.end(), due)) return;
  load(process, stretch, Picked::kFree);
  solver_.run(model, kOrphan, kDecisive);
  for (std::size_t i = 0; i < stretch.calls.size(); ++i) {
    if (!due(stretch.calls[i])) continue;
    Call& call = process.calls[stretch.calls[i]];
    call.tested = false;
    const auto marginals = solver_.marginals(static_cast<std::uint32_t>(i));
    const auto candidates = solver_.candidates(static_cast<std::uint32_t>(i));
    const std::int32_t chosen = solver_.parent(static_cast<std::uint32_t>(i));
    for (std::size_t k = 0; k < marginals.size(); ++k) {
      if (static_cast<std::int32_t>(candidates[k]) != chosen) continue;
      const bool right = stretch.requests[candidates[k]] == static_cast<std::uint32_t>(call.parent);
      process.service->tested.observe(marginals[k], marginals.size(), right, 1);
    }
  }
  process.service->tested.refresh();
}

void Inference::decide(Process& process, const Stretch& stretch, std::int64_t until) {
  for (std::size_t i = 0; i < stretch.calls.size(); ++i) {
    Call& call = process.calls[stretch.calls[i]];
    if (call.decided || call.start > until) continue;
    const auto marginals = solver_.marginals(static_cast<std::uint32_t>(i));
    const auto candidates = solver_.candidates(static_cast<std::uint32_t>(i));
    Decision d;
    d.call = call.id;
    scratch_.clear();
    for (std::size_t k = 0; k < marginals.size(); ++k) {
      scratch_.push_back({process.requests[stretch.requests[candidates[k]]].id, marginals[k]});
      if (static_cast<std::int32_t>(candidates[k]) == solver_.parent(static_cast<std::uint32_t>(i))) {
        d.parent = scratch_.back().request;
        d.confidence = confidence(*process.service, call, marginals[k], marginals.size());
        d.runner_up_distance = distance_to_next(marginals, k);
      }
    }
    std::sort(scratch_.begin(), scratch_.end(),
              [](const Candidate& a, const Candidate& b) { return a.probability > b.probability; });
    d.candidates = std::span(scratch_).first(std::min<std::size_t>(scratch_.size(), 8));
    // First: who is told may say in turn that it is known now (call_known).
    call.decided = true;
    --waiting_;
    sink_(d);
  }
}

// A request whose end was lost would be a candidate for ever and keep the process from ever being idle.
void Inference::forget_endless(Process& process, std::int64_t now) {
  const std::int64_t limit = std::max(5 * options_.window_ns / kNsPerUs, 8 * process.service->slowest);
  std::erase_if(process.open, [&](std::uint32_t index) {
    Request& r = process.requests[index];
    if (now - r.start < limit) return false;
    r.end = now;
    r.endless = true;
    --open_;
    lost_endless_.add();
    return true;
  });
}

bool Inference::afford(const Process& process, const Stretch& stretch, std::int64_t now) {
  if (options_.max_work_per_second == 0) return true;
  constexpr double kUsPerSecond = 1e6;
  const double rate = options_.max_work_per_second;
  const double most = rate * static_cast<double>(options_.window_ns) / 1e9;
  work_left_ = std::min(most, work_left_ + rate * static_cast<double>(now - work_since_) / kUsPerSecond);
  work_since_ = now;
  double known = 0;
  double open = 0;
  double picked = 0;
  for (const std::uint32_t c : stretch.calls) {
    const Call& call = process.calls[c];
    const auto candidates = static_cast<double>(call.candidates.size());
    (call.decided ? known : open) += call.decided ? kWorkOfKnown : candidates;
    if (call.tested) picked += candidates;
  }
  // Where calls are tested, the others are placed with them and once more when it counts.
  double work = known + open + (picked > 0 ? picked + open : 0);
  // The first stretches are gone over several times.
  if (process.service->model.seen() < kMatureRequests) work *= kFirstPasses;
  if (work > work_left_) return false;
  work_left_ -= work;
  return true;
}

void Inference::give_up(Process& process, const Stretch& stretch, std::int64_t until) {
  for (const std::uint32_t c : stretch.calls) {
    Call& call = process.calls[c];
    call.tested = false;
    if (call.decided || call.start > until) continue;
    Decision d;
    d.call = call.id;
    d.given_up = true;
    call.parent = Call::kOrphan;
    call.decided = true;
    --waiting_;
    sink_(d);
    over_budget_.add();
  }
}

// Unless the number means another by now.
void Inference::forget(std::unordered_map<std::uint64_t, Where>& where, std::uint64_t id, std::uint32_t index) {
  const auto it = where.find(id);
  if (it != where.end() && it->second.index == index) where.erase(it);
}

// Frees what no undecided call can refer to.
void Inference::retire(Process& process, Stretch& stretch, std::int64_t until) {
  for (const std::uint32_t r : stretch.requests) {
    Request& q = process.requests[r];
    q.retired = q.end != kOpen && q.end <= until;
  }
  std::erase_if(stretch.calls, [&](std::uint32_t c) {
    Call& call = process.calls[c];
    if (!call.decided) return false;
    if (call.parent >= 0 && !process.requests[static_cast<std::size_t>(call.parent)].retired) return false;
    forget(calls_, call.id, c);
    process.free_calls.push_back(c);
    return true;
  });
  std::erase_if(stretch.requests, [&](std::uint32_t r) {
    if (!process.requests[r].retired) return false;
    forget(requests_, process.requests[r].id, r);
    process.free_requests.push_back(r);
    return true;
  });
}

void Inference::settle(Process& process, std::int64_t now, bool everything) {
  Service& service = *process.service;
  forget_endless(process, now);
  const std::int64_t window =
      std::clamp(2 * service.slowest, options_.window_ns / kNsPerUs, 5 * options_.window_ns / kNsPerUs);
  // What a call's answer may depend on: the requests open with it, to their ends.
  const std::int64_t foresight = std::min(2 * service.slowest, window / 2);
  auto due = [&](const Stretch& s) {
    if (everything) return !s.requests.empty() || !s.calls.empty();
    for (const std::uint32_t c : s.calls) {
      if (!process.calls[c].decided) return process.calls[c].start + window <= now;
    }
    return s.closed;
  };
  if (!due(process.stretches.front())) return;
  if (!afford(process, process.stretches.front(), now)) {
    while (due(process.stretches.front())) {
      Stretch& s = process.stretches.front();
      const std::int64_t until = s.closed || everything ? kOpen : now - foresight;
      give_up(process, s, until);
      retire(process, s, until);
      if (!s.closed) break;
      process.stretches.pop_front();
    }
    return;
  }
  learn_mixtures(process, process.stretches.front());
  const ServiceModel* known = &service.model;
  if (service.model.seen() < kMatureRequests) {
    const int passes = service.pass < 0 ? kFirstPasses : kFurtherPasses;
    if (service.pass >= 0) known = &service.passes[service.pass];
    for (int i = 0; i < passes; ++i) {
      service.pass = service.pass == 0 ? 1 : 0;
      ServiceModel& next = service.passes[service.pass];
      next.copy_from(service.model);
      for (const Stretch& s : process.stretches) {
        load(process, s, Picked::kFixed, kMostToBegin);
        solver_.run(*known, kOrphan, kTentative);
        if (i + 1 == passes) remember(process, s);
        solver_.learn(next);
        learn_chances(process, s, kOpen, next);
      }
      next.refresh();
      known = &next;
    }
  }
  while (due(process.stretches.front())) {
    Stretch& s = process.stretches.front();
    const std::int64_t until = s.closed || everything ? kOpen : now - foresight;
    test(process, s, until, *known);
    // A picked call is certain all the same: set free, it would let its request be given another's.
    load(process, s, Picked::kFixed);
    solver_.run(*known, kOrphan, kDecisive);
    remember(process, s);
    if (truth_) compare(process, s, *known);
    keep_examples(process, s);
    rehearse(process, s, *known);
    decide(process, s, until);
    // Learned once, when it leaves.
    for (const std::uint32_t r : s.requests) {
      const Request& q = process.requests[r];
      if (q.end > until || q.endless) solver_.do_not_learn(q.local);
    }
    solver_.learn(service.model);
    learn_chances(process, s, until, service.model);
    solver_.learn_order(*known, service.model);
    retire(process, s, until);
    if (!s.closed) break;
    process.stretches.pop_front();
  }
  service.model.refresh();
}

}  // namespace wirespan::inference
