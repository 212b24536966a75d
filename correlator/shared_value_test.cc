// Links by values that a request and its calls have in common.
#include <gtest/gtest.h>

#include <random>

#include "correlator/correlator.h"
#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

constexpr std::uint32_t kPid = 1;
constexpr std::size_t kOpen = 8;

struct Job {
  ExchangePtr request;
  ExchangePtr call;
};

// An event loop with eight requests open at any time; each makes one call, in a later turn and in no order.
template <class ValuesOfRequest, class ValuesOfCall>
std::vector<Job> serve_many(Scene& s, int count, const ValuesOfRequest& of_request, const ValuesOfCall& of_call) {
  std::mt19937_64 random(7);
  std::vector<Job> all;
  std::vector<std::pair<std::size_t, std::vector<std::uint64_t>>> open;
  std::uint32_t turn = 2;
  const auto on_loop = [&] { return thread(kPid, 10, turn += 2); };
  for (int i = 0; i < count; ++i) {
    auto values = of_request(random);
    all.push_back({s.open(SpanRole::kServer, on_loop(), nullptr, {}, values), nullptr});
    open.emplace_back(all.size() - 1, std::move(values));
    if (open.size() < kOpen) continue;
    std::swap(open[random() % open.size()], open.back());
    const auto [job, known] = open.back();
    open.pop_back();
    all[job].call = s.open(SpanRole::kClient, on_loop(), nullptr, {}, of_call(random, known));
    s.finish(all[job].call, on_loop());
    s.finish(all[job].request, on_loop());
  }
  return all;
}

struct Tally {
  int right = 0;
  int wrong = 0;
  int calls = 0;
};
Tally tally(Scene& s, const std::vector<Job>& jobs) {
  Tally t;
  for (const Job& job : jobs) {
    if (!job.call) continue;
    ++t.calls;
    const Span& call = s.span(job.call);
    if (!call.parent.id.valid() || call.parent.method != "shared_value") continue;
    (call.parent.id == s.span(job.request).id ? t.right : t.wrong) += 1;
  }
  return t;
}

TEST(SharedValue, IdsThatAreHandedOnLink) {
  Scene s;
  const auto jobs = serve_many(
      s, 400, [](auto& random) { return std::vector<std::uint64_t>{random()}; },
      [](auto& random, const auto& known) { return std::vector<std::uint64_t>{known[0], random()}; });
  const Tally t = tally(s, jobs);
  EXPECT_EQ(t.wrong, 0);
  EXPECT_GT(t.right, t.calls * 9 / 10);
}

TEST(SharedValue, TenantsAreNoIds) {
  Scene s;
  const auto jobs = serve_many(
      s, 400, [](auto& random) { return std::vector<std::uint64_t>{1000 + random() % 4}; },
      [](auto&, const auto& known) { return known; });
  const Tally t = tally(s, jobs);
  EXPECT_EQ(t.wrong + t.right, 0);
}

TEST(SharedValue, TenantAndIdTogetherLink) {
  Scene s;
  const auto jobs = serve_many(
      s, 400, [](auto& random) { return std::vector<std::uint64_t>{1000 + random() % 4, random()}; },
      [](auto&, const auto& known) { return known; });
  const Tally t = tally(s, jobs);
  EXPECT_EQ(t.wrong, 0);
  EXPECT_GT(t.right, t.calls * 9 / 10);
}

// Both sides carry numbers out of the same small range: equal ones are accidents.
TEST(SharedValue, AccidentsDoNotLink) {
  Scene s;
  const auto jobs = serve_many(
      s, 4000, [](auto& random) { return std::vector<std::uint64_t>{random() % 2000}; },
      [](auto& random, const auto&) { return std::vector<std::uint64_t>{random() % 2000}; });
  const Tally t = tally(s, jobs);
  EXPECT_EQ(t.wrong, 0);
  EXPECT_EQ(t.right, 0);
}

// One user, several requests at once: the value does not tell which.
TEST(SharedValue, TheSameIdInTwoOpenRequestsTellsNothing) {
  Scene s;
  std::uint64_t user = 0;
  const auto jobs = serve_many(
      s, 400, [&](auto&) { return std::vector<std::uint64_t>{100'000 + user++ / 16}; },
      [](auto&, const auto& known) { return known; });
  EXPECT_EQ(tally(s, jobs).wrong, 0);
}

}  // namespace
}  // namespace wirespan
