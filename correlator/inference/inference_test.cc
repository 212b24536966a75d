#include "correlator/inference/inference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace wirespan::inference {
namespace {

constexpr std::int64_t kMs = 1'000'000;

struct Decided {
  std::uint64_t parent = 0;
  float confidence = 0;
  std::size_t candidates = 0;
  float runner_up_distance = 0;
};

// What a service did, as spans with known parents; played in order of time.
class Replay {
 public:
  explicit Replay(const Options& options = {})
      : inference(options, counters, [this](const Decision& d) {
          ++times_decided[d.call];
          decided[d.call] = {d.parent, d.confidence, d.candidates.size(), d.runner_up_distance};
        }) {}

  // Returns the span's id. parent 0: a request.
  std::uint64_t span(std::int64_t start_ns, std::int64_t end_ns, std::uint64_t parent, const std::string& op) {
    const std::uint64_t id = ++last_id_;
    moments_.push_back({start_ns, parent == 0 ? 0 : 1, id, op});
    moments_.push_back({end_ns, parent == 0 ? 3 : 2, id, op});
    if (parent != 0) truth[id] = parent;
    return id;
  }

  // Other evidence is certain of this call, and says so then.
  void known(std::uint64_t call, std::int64_t ns) { moments_.push_back({ns, 4, call, {}}); }

  // A request that calls a then b, each half a millisecond after what goes before, ±20 %.
  void request(std::int64_t start_ns) {
    auto pause = [this] { return static_cast<std::int64_t>(400'000 + random_() % 200'000); };
    auto work = [this] { return static_cast<std::int64_t>(2 * kMs + random_() % (4 * kMs)); };
    const std::int64_t a = start_ns + pause();
    const std::int64_t a_end = a + work();
    const std::int64_t b = a_end + pause();
    const std::int64_t b_end = b + work();
    const std::uint64_t id = span(start_ns, b_end + pause(), 0, "GET /");
    span(a, a_end, id, "a");
    span(b, b_end, id, "b");
  }

  void play(double lost = 0) {
    const std::uint32_t process = inference.process("shop", "shop-1");
    std::ranges::sort(moments_, {}, [](const Moment& m) { return std::tuple(m.ns, m.what, m.id); });
    for (const Moment& m : moments_) {
      if (std::uniform_real_distribution<double>()(random_) < lost) continue;
      if (m.what == 0) inference.request_started(process, m.id, m.op, m.ns);
      if (m.what == 1) inference.call_started(process, m.id, "store", m.op, m.ns);

      if (m.what == 2) inference.call_ended(m.id, m.ns);
      if (m.what == 3) inference.request_ended(m.id, m.ns);
      if (m.what == 4) inference.call_known(m.id, truth[m.id]);
    }
    inference.finish();
  }

  [[nodiscard]] std::size_t wrong() const {
    std::size_t n = 0;
    for (const auto& [call, d] : decided) n += d.parent != 0 && d.parent != truth.at(call);
    return n;
  }
  [[nodiscard]] std::size_t wrong_at(float confidence) const {
    std::size_t n = 0;
    for (const auto& [call, d] : decided) n += d.confidence >= confidence && d.parent != truth.at(call);
    return n;
  }

  Counters counters;
  std::map<std::uint64_t, Decided> decided;
  std::map<std::uint64_t, int> times_decided;
  std::map<std::uint64_t, std::uint64_t> truth;
  Inference inference;

 private:
  struct Moment {
    std::int64_t ns;
    int what;
    std::uint64_t id;
    std::string op;
  };
  std::vector<Moment> moments_;
  std::uint64_t last_id_ = 0;
  std::mt19937_64 random_{7};
};

TEST(Inference, LinksInterleavedRequestsByTheirDelays) {
  Replay replay;
  for (int i = 0; i < 600; ++i) replay.request(i * 5 * kMs);  // two to three at once, all the time
  replay.play();
  ASSERT_EQ(replay.decided.size(), 1200U);
  EXPECT_LE(replay.wrong(), 6U);
  EXPECT_EQ(replay.wrong_at(0.95F), 0U);
  for (const auto& [call, times] : replay.times_decided) ASSERT_EQ(times, 1) << "a decision is never revised";
  EXPECT_GT(replay.decided[replay.truth.rbegin()->first].runner_up_distance, 2) << "the last, when all is learned";
}

TEST(Inference, RefusesToChooseBetweenExchangeableRequests) {
  Replay replay;
  for (int i = 0; i < 300; ++i) replay.request(i * 50 * kMs);
  // Two requests open over the same time and a call from each that fits both alike.
  std::vector<std::uint64_t> calls;
  for (int i = 0; i < 20; ++i) {
    const std::int64_t t = (20'000 + i * 100) * kMs;
    const std::uint64_t x = replay.span(t, t + 9 * kMs, 0, "GET /");
    const std::uint64_t y = replay.span(t, t + 9 * kMs, 0, "GET /");
    for (const std::uint64_t parent : {x, y}) {
      calls.push_back(replay.span(t + kMs / 2, t + 4 * kMs, parent, "a"));
      replay.span(t + 4 * kMs + kMs / 2, t + 8 * kMs + kMs / 2, parent, "b");
    }
  }
  replay.play();
  for (const std::uint64_t call : calls) {
    EXPECT_LT(replay.decided[call].confidence, 0.8F);
    EXPECT_EQ(replay.decided[call].candidates, 2U);
    EXPECT_LT(std::abs(replay.decided[call].runner_up_distance), 2) << "neither stands out";
  }
}

// told: after the call's start.
void expect_the_certain_call_to_tell(std::int64_t told) {
  Replay replay;
  std::vector<std::uint64_t> unknown;
  std::mt19937_64 random(5);
  auto pause = [&random] { return static_cast<std::int64_t>(random() % (4 * kMs)); };
  for (int i = 0; i < 600; ++i) {
    const std::int64_t t = i * 20 * kMs;
    const std::uint64_t x = replay.span(t, t + 12 * kMs, 0, "GET /");
    const std::uint64_t y = replay.span(t + kMs / 10, t + 12 * kMs, 0, "GET /");
    for (const std::uint64_t parent : {x, y}) {
      const std::int64_t a = t + kMs + pause();
      const std::uint64_t call = replay.span(a, a + 2 * kMs, parent, "a");
      parent == x ? replay.known(call, a + told) : unknown.push_back(call);
    }
  }
  replay.play();
  std::size_t right = 0;
  for (const std::uint64_t call : unknown) right += replay.decided[call].parent == replay.truth[call];
  EXPECT_EQ(right, unknown.size()) << "timing says nothing here, the certain call of the other request all";
}

TEST(Inference, WhoHasItsCallForCertainIsNotGivenAnothers) {
  expect_the_certain_call_to_tell(kMs);
}

TEST(Inference, WhatIsCertainOnlyWhenBothAreOverCountsAsMuch) {
  expect_the_certain_call_to_tell(100 * kMs);
}

// As the live agent does: every parent given goes out as a link, and every link is told.
TEST(Inference, ItsOwnAnswersAreNoNews) {
  Counters counters;
  Options options;
  options.max_waiting_calls = 1'000;
  Inference* engine = nullptr;
  std::size_t decided = 0;
  Inference inference(options, counters, [&](const Decision& d) {
    ++decided;
    if (d.parent != 0) engine->call_known(d.call, d.parent);
  });
  engine = &inference;
  const std::uint32_t process = inference.process("shop", "");
  for (std::uint64_t i = 1; i <= 400; ++i) {
    const std::int64_t t = static_cast<std::int64_t>(i) * 100 * kMs;
    inference.request_started(process, 2 * i, "GET /", t);
    inference.call_started(process, 2 * i + 1, "store", "a", t + kMs);
    inference.call_ended(2 * i + 1, t + 2 * kMs);
    inference.request_ended(2 * i, t + 3 * kMs);
  }
  inference.finish();
  EXPECT_EQ(decided, 400U);
  EXPECT_EQ(counters.get("inference.lost.waiting_calls").value(), 0U);
}

// Two requests at a time, two calls each. Whose the first ones are nothing tells; the last ones are told.
TEST(Inference, IsNotTestedOnTheEasyCallsAlone) {
  Counters counters;
  float most = 0;
  Inference inference({}, counters, [&](const Decision& d) { most = std::max(most, d.confidence); });
  const std::uint32_t process = inference.process("shop", "");
  const Spot spot{.thread = 7};
  std::mt19937_64 random(11);
  auto pause = [&random] { return static_cast<std::int64_t>(random() % (4 * kMs)); };
  std::uint64_t id = 0;
  for (int i = 0; i < 1'000; ++i) {
    const std::int64_t t = i * 40 * kMs;
    struct Step {
      std::int64_t ns;
      int what;
      std::uint64_t request;
      std::uint64_t call;
    };
    std::vector<Step> steps;
    for (int k = 0; k < 2; ++k) {
      const std::uint64_t request = ++id;
      const std::uint64_t first = ++id;
      const std::uint64_t last = ++id;
      const std::int64_t a = t + kMs + pause();
      const std::int64_t b = t + 10 * kMs + pause();
      steps.insert(steps.end(), {{t + k, 0, request, 0}, {a, 1, request, first}, {a + kMs, 2, request, first}});
      steps.insert(steps.end(), {{b, 1, request, last}, {b + kMs, 2, request, last}, {b + kMs + 1, 3, request, last}});
      steps.push_back({b + 2 * kMs, 4, request, 0});
    }
    std::ranges::stable_sort(steps, {}, &Step::ns);
    for (const Step& s : steps) {
      if (s.what == 0) inference.request_started(process, s.request, "GET /", s.ns, spot);
      if (s.what == 1) inference.call_started(process, s.call, "store", "a", s.ns, spot);
      if (s.what == 2) inference.call_ended(s.call, s.ns, spot);
      if (s.what == 3) inference.call_known(s.call, s.request);
      if (s.what == 4) inference.request_ended(s.request, s.ns);
    }
  }
  inference.finish();
  EXPECT_LT(most, 0.8F);
}

TEST(Inference, LearnsThatCallsAreSkipped) {
  Replay replay;
  std::mt19937_64 random(3);
  for (int i = 0; i < 800; ++i) {
    const std::int64_t t = i * 8 * kMs;
    const bool cached = random() % 3 == 0;
    const std::int64_t b = t + (cached ? kMs : 6 * kMs) + static_cast<std::int64_t>(random() % 100'000);
    const std::uint64_t id = replay.span(t, b + 4 * kMs + static_cast<std::int64_t>(random() % 100'000), 0, "GET /");
    if (!cached) replay.span(t + kMs / 2, t + 5 * kMs, id, "a");
    replay.span(b, b + 3 * kMs, id, "b");
  }
  replay.play();
  EXPECT_LE(replay.wrong() * 100, replay.decided.size() * 2);
}

TEST(Inference, ACallWithNoRequestOpenHasNoParent) {
  Replay replay;
  for (int i = 0; i < 50; ++i) replay.request(i * 50 * kMs);
  const std::uint64_t id = replay.span(45 * kMs, 48 * kMs, 999'999, "a");
  replay.play();
  EXPECT_EQ(replay.decided.at(id).parent, 0U);
}

TEST(Inference, TenThousandOpenRequestsStayWithinBounds) {
  Options options;
  options.max_open_requests = 5'000;
  options.max_waiting_calls = 1'000;
  Replay replay(options);
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t id = replay.span(i * 1'000, 20'000 * kMs, 0, "GET /");
    if (i % 2 == 0) replay.span(100 * kMs + i * 1'000, 110 * kMs + i * 1'000, id, "a");
  }
  replay.play();
  EXPECT_EQ(replay.counters.get("inference.lost.open_requests").value(), 5'000U);
  EXPECT_EQ(replay.counters.get("inference.lost.waiting_calls").value(), 4'000U);
  EXPECT_EQ(replay.decided.size(), 1'000U);
  EXPECT_EQ(replay.wrong_at(0.95F), 0U);
}

TEST(Inference, AProcessThatIsNeverIdleIsDecidedInTime) {
  Replay replay;
  replay.span(0, 60'000 * kMs, 0, "stream");  // keeps the process busy from first to last
  for (int i = 1; i < 2'000; ++i) replay.request(i * 10 * kMs);
  replay.play();
  EXPECT_EQ(replay.decided.size(), replay.truth.size());
  EXPECT_LE(replay.wrong() * 100, replay.decided.size() * 2);
}

TEST(Inference, LostEventsDoNotMakeConfidentErrors) {
  Replay replay;
  for (int i = 0; i < 1'500; ++i) replay.request(i * 9 * kMs);
  replay.play(0.05);
  EXPECT_LE(replay.wrong_at(0.95F) * 100, replay.decided.size());
}

TEST(Inference, AClockThatStepsBackNeitherHangsNorCrashes) {
  Counters counters;
  std::size_t decided = 0;
  Inference inference({}, counters, [&](const Decision&) { ++decided; });
  const std::uint32_t process = inference.process("shop", "");
  std::int64_t t = 1'000'000 * kMs;
  for (std::uint64_t i = 1; i <= 400; ++i) {
    if (i % 50 == 0) t += (i % 100 == 0 ? 3'600'000 : -1'800'000) * kMs;
    inference.request_started(process, 2 * i, "GET /", t);
    inference.call_started(process, 2 * i + 1, "store", "a", t + kMs);
    inference.call_ended(2 * i + 1, t - kMs);
    inference.request_ended(2 * i, t + 5 * kMs);
    t += 10 * kMs;
  }
  inference.finish();
  EXPECT_EQ(decided, 400U);
}

TEST(Inference, UnknownAndRepeatedIdsAreHarmless) {
  Counters counters;
  std::size_t decided = 0;
  Inference inference({}, counters, [&](const Decision&) { ++decided; });
  const std::uint32_t process = inference.process("shop", "");
  inference.call_ended(77, kMs);
  inference.request_ended(78, kMs);
  for (int i = 0; i < 3; ++i) {
    inference.request_started(process, 1, "GET /", (2 + i) * kMs);
    inference.call_started(process, 2, "store", "a", (3 + i) * kMs);
  }
  inference.call_ended(2, 9 * kMs);
  inference.call_ended(2, 9 * kMs);
  inference.request_ended(1, 10 * kMs);
  inference.finish();
  EXPECT_EQ(decided, 3U);
}

}  // namespace
}  // namespace wirespan::inference
