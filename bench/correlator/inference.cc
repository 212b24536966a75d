// Spans per second of CPU time through inference, where nothing but timing tells: OPEN requests open at any time (50
// unless said), each makes one call after an exponential pause. Prints one JSON line.
//   bench_correlator_inference [OPEN] [REQUESTS]
#include "correlator/inference/inference.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <queue>
#include <random>
#include <vector>

namespace wirespan::inference {
namespace {

constexpr std::int64_t kUs = 1000;

struct Step {
  std::int64_t at;
  std::uint64_t request;
  int what;  // 0 starts, 1 calls, 2 is answered, 3 ends
  bool operator>(const Step& other) const { return at > other.at; }
};

int run(std::uint64_t open, std::uint64_t requests) {
  Counters counters;
  std::uint64_t decided = 0;
  std::uint64_t right = 0;
  std::uint64_t given_up = 0;
  Inference engine({.window_ns = 2'000'000'000, .max_work_per_second = 0}, counters, [&](const Decision& d) {
    ++decided;
    right += d.parent == d.call - 1 ? 1U : 0U;
    given_up += d.given_up ? 1U : 0U;
  });
  const std::uint32_t process = engine.process("service", "1");
  std::mt19937_64 random(1);
  std::exponential_distribution<double> pause(1.0 / 2000);  // us
  const auto after = [&](std::int64_t at) { return at + static_cast<std::int64_t>(pause(random) * kUs) + kUs; };
  std::priority_queue<Step, std::vector<Step>, std::greater<>> steps;
  std::uint64_t next = 0;
  for (; next < open; ++next) steps.push({after(0), next, 0});
  const std::clock_t began = std::clock();
  while (!steps.empty()) {
    const Step step = steps.top();
    steps.pop();
    const std::uint64_t request = step.request * 2 + 1;
    const std::uint64_t call = request + 1;
    switch (step.what) {
      case 0:
        engine.request_started(process, request, "GET /", step.at);
        break;
      case 1:
        engine.call_started(process, call, "10.0.0.1:80", "GET /", step.at);
        break;
      case 2:
        engine.call_ended(call, step.at);
        break;
      default:
        engine.request_ended(request, step.at);
        if (next < requests) steps.push({after(step.at), next++, 0});
        continue;
    }
    steps.push({after(step.at), step.request, step.what + 1});
  }
  engine.finish();
  const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  std::printf(
      "{\"open\":%llu,\"spans\":%llu,\"spans_per_cpu_second\":%.0f,\"decided\":%llu,\"right\":%.4f,\"given_up\":%llu}"
      "\n",
      static_cast<unsigned long long>(open), static_cast<unsigned long long>(2 * requests),
      2.0 * static_cast<double>(requests) / seconds, static_cast<unsigned long long>(decided),
      static_cast<double>(right) / static_cast<double>(decided), static_cast<unsigned long long>(given_up));
  return 0;
}

}  // namespace
}  // namespace wirespan::inference

int main(int argc, char** argv) {
  const std::uint64_t open = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 50;
  return wirespan::inference::run(open, argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 50'000);
}
