// Rehearsal: what shares of samples are worth is found out on stretches whose answer is known, because every request in
// them is played by an example of its operation.
#include <algorithm>

#include "base/hash.h"
#include "correlator/inference/state.h"

namespace wirespan::inference {
namespace {

constexpr float kDoubt = 0.1F;         // share that makes a call unfit as an example
constexpr std::size_t kExamples = 64;  // kept per operation
constexpr std::size_t kExampleOps = 64;
constexpr std::size_t kExampleCalls = 24;
constexpr std::size_t kRehearsed = 64;  // requests at a time
constexpr std::size_t kMostParts = 8;   // of a stretch
constexpr float kRehearseUntil = 3000;  // observations; then now and then

}  // namespace

void Inference::keep_examples(Process& process, const Stretch& stretch) {
  Service& service = *process.service;
  const std::int64_t tick = std::max<std::int64_t>(service.tick, 1);
  std::vector<Example> found(stretch.requests.size());
  std::vector<bool> sure(stretch.requests.size());
  for (std::size_t r = 0; r < stretch.requests.size(); ++r) {
    const Request& q = process.requests[stretch.requests[r]];
    sure[r] = q.end != kOpen && !q.endless;
    found[r].end = (q.end - q.start) / tick;
  }
  for (std::size_t i = 0; i < stretch.calls.size(); ++i) {
    const Call& call = process.calls[stretch.calls[i]];
    const auto marginals = solver_.marginals(static_cast<std::uint32_t>(i));
    const auto candidates = solver_.candidates(static_cast<std::uint32_t>(i));
    for (std::size_t k = 0; k < marginals.size(); ++k) {
      // A call that may as well be another's makes neither an example.
      if (marginals[k] > kDoubt && (marginals[k] < 1.0F - kDoubt || call.end == kOpen)) sure[candidates[k]] = false;
    }
    const std::int32_t parent = solver_.parent(static_cast<std::uint32_t>(i));
    if (parent < 0 || call.end == kOpen) continue;
    const std::int64_t start = process.requests[stretch.requests[static_cast<std::size_t>(parent)]].start;
    found[static_cast<std::size_t>(parent)].calls.push_back(
        {(call.start - start) / tick, (call.end - start) / tick, call.key, {}, {}});
  }
  for (std::size_t r = 0; r < stretch.requests.size(); ++r) {
    if (!sure[r] || found[r].calls.size() > kExampleCalls) continue;
    const std::uint16_t op = process.requests[stretch.requests[r]].op;
    if (op >= kExampleOps) continue;
    if (op >= service.examples.size()) service.examples.resize(op + 1U);
    auto& of_op = service.examples[op];
    if (of_op.size() < kExamples) {
      of_op.push_back(std::move(found[r]));
    } else {
      of_op[service.kept++ % kExamples] = std::move(found[r]);
    }
  }
}

void Inference::rehearse(Process& process, const Stretch& stretch, const ServiceModel& model) {
  Service& service = *process.service;
  bool ambiguous = false;
  for (std::uint32_t i = 0; i < stretch.calls.size() && !ambiguous; ++i) ambiguous = solver_.marginals(i).size() > 1;
  if (!ambiguous) return;
  const std::size_t most = std::min(stretch.requests.size(), kMostParts * kRehearsed);
  for (std::size_t first = 0; first < most; first += kRehearsed) {
    const bool novice = service.calibration.observed() < kRehearseUntil;
    if (service.rehearsals++ % (novice ? 2U : 16U) == 0) rehearse_part(process, stretch, first, model);
  }
  service.calibration.refresh();
}

// Requests of the stretch once more, each played by an example of its operation, so that the answer is known.
void Inference::rehearse_part(Process& process, const Stretch& stretch, std::size_t first, const ServiceModel& model) {
  Service& service = *process.service;
  const std::int64_t tick = std::max<std::int64_t>(service.tick, 1);
  const std::int64_t zero = service.first_time;
  const std::int64_t late = kLateUs / tick;
  struct Played {
    CallTimes times;
    std::uint32_t request;
  };
  std::vector<Played> played;
  std::vector<RequestTimes> requests;
  const std::size_t count = std::min(stretch.requests.size() - first, kRehearsed);
  for (std::size_t r = 0; r < count; ++r) {
    const Request& q = process.requests[stretch.requests[first + r]];
    if (q.op >= service.examples.size() || service.examples[q.op].size() < kExamples / 4) return;
    const auto& of_op = service.examples[q.op];
    rng_ = mix64(rng_);
    const Example& example = of_op[rng_ % of_op.size()];
    const std::int64_t start = (q.start - zero) / tick;
    for (CallTimes times : example.calls) {
      times.start += start;
      times.end += start;
      played.push_back({times, static_cast<std::uint32_t>(r)});
    }
    requests.push_back({start, start + example.end, q.op, {}, {}});
  }
  std::sort(played.begin(), played.end(), [](const Played& a, const Played& b) {
    return a.times.start != b.times.start ? a.times.start < b.times.start : a.times.end < b.times.end;
  });
  rehearsal_.clear();
  for (const RequestTimes& r : requests) rehearsal_.add_request(r);
  for (const Played& p : played) {
    loaded_.clear();
    for (std::uint32_t r = 0; r < requests.size() && requests[r].start <= p.times.start; ++r) {
      if (requests[r].end >= p.times.start && requests[r].end + late >= p.times.end) loaded_.push_back(r);
    }
    rehearsal_.add_call(p.times, loaded_.empty() ? Solver::kNoParent : Solver::kUnplaced, false, loaded_);
  }
  rehearsal_.run(model, kOrphan, kDecisive);
  for (std::uint32_t i = 0; i < played.size(); ++i) {
    const std::int32_t parent = rehearsal_.parent(i);
    const auto marginals = rehearsal_.marginals(i);
    const auto candidates = rehearsal_.candidates(i);
    for (std::size_t k = 0; k < marginals.size(); ++k) {
      if (static_cast<std::int32_t>(candidates[k]) != parent) continue;
      service.calibration.observe(marginals[k], marginals.size(),
                                  parent == static_cast<std::int32_t>(played[i].request), 1);
    }
  }
}

void Inference::compare(const Process& process, const Stretch& stretch, const ServiceModel& model) {
  std::unordered_map<std::uint64_t, std::int32_t> local;
  for (const std::uint32_t r : stretch.requests) {
    local[process.requests[r].id] = static_cast<std::int32_t>(process.requests[r].local);
  }
  std::vector<std::int32_t> answer;
  std::vector<std::int32_t> truth;
  for (std::uint32_t i = 0; i < stretch.calls.size(); ++i) {
    answer.push_back(solver_.parent(i));
    const auto found = local.find(truth_(process.calls[stretch.calls[i]].id));
    truth.push_back(found != local.end() ? found->second : Solver::kNoParent);
  }
  if (answer == truth) return;
  ++comparison_.wrong;
  const auto of_truth = static_cast<double>(solver_.weigh(model, kOrphan, truth));
  const double difference = static_cast<double>(solver_.weigh(model, kOrphan, answer)) - of_truth;
  if (difference >= 0) ++comparison_.answer_likelier;
  comparison_.difference += difference;
}

}  // namespace wirespan::inference
