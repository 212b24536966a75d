// What a hostile or broken world does to links: memory stays bounded, nothing gets a wrong parent, losses are said.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "correlator/correlator.h"
#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

constexpr std::uint32_t kPid = 1;
constexpr std::size_t kMiB = 1U << 20U;

// As users have it.
CorrelatorOptions with_inference() {
  return {};
}

std::size_t heap() {
  return mallinfo2().uordblks;
}

// Spans by their start, which tell() makes unique; a scene's own look-up would be quadratic here.
class Big : public Scene {
 public:
  using Scene::Scene;
  struct Count {
    int right = 0;
    int wrong = 0;
    int none = 0;
  };
  // call and request.
  Count judge(const std::vector<std::pair<ExchangePtr, ExchangePtr>>& pairs) {
    correlator.flush();
    std::unordered_map<std::uint64_t, const Span*> by_start;
    for (const Span& span : spans) by_start[span.start.ns] = &span;
    const auto span_of = [&](const ExchangePtr& e) -> const Span& {
      const auto it = by_start.find(e->request->first_byte.time.ns);
      if (it == by_start.end()) throw std::logic_error("a span is missing");
      return *it->second;
    };
    Count out;
    for (const auto& [call, request] : pairs) {
      const Span& span = span_of(call);
      if (!span.parent.id.valid())
        ++out.none;
      else if (span.parent.id == span_of(request).id && span.trace == span_of(request).trace)
        ++out.right;
      else
        ++out.wrong;
    }
    return out;
  }
};

// An event loop with 10,000 requests open, each with a call under way, all alike, answered in no order.
TEST(Adversarial, TenThousandOpenRequestsInOneProcess) {
  constexpr int kOpen = 10'000;
  const std::size_t before = heap();
  Big s(with_inference());
  std::uint32_t turn = 2;
  std::vector<std::pair<ExchangePtr, ExchangePtr>> pairs;
  for (int i = 0; i < kOpen; ++i) pairs.emplace_back(nullptr, s.serve(thread(kPid, 7, turn += 2)));
  std::mt19937 random(1);
  std::ranges::shuffle(pairs, random);
  for (auto& [call, request] : pairs) call = s.call(thread(kPid, 7, turn += 2));
  EXPECT_LT(heap() - std::min(heap(), before), 200 * kMiB);
  s.wait(1'000'000'000);
  std::vector<std::pair<ExchangePtr, ExchangePtr>> order = pairs;
  std::ranges::shuffle(order, random);
  for (const auto& [call, request] : order) s.finish(call, thread(kPid, 7, turn += 2));
  std::ranges::shuffle(order, random);
  for (const auto& [call, request] : order) s.finish(request, thread(kPid, 7, turn += 2));
  const Big::Count count = s.judge(pairs);
  EXPECT_EQ(count.wrong, 0);
  EXPECT_EQ(s.spans.size(), 2U * kOpen) << "each has its span, linked or not";
}

// The same where threads tell: nothing is lost for being many.
TEST(Adversarial, TenThousandThreadsEachWithItsRequest) {
  constexpr std::uint32_t kOpen = 10'000;
  Big s(with_inference());
  // They are known to keep to their requests.
  for (std::uint32_t i = 0; i < 50; ++i) {
    const auto request = s.serve(thread(kPid, 100 + i));
    s.finish(request, thread(kPid, 100 + i));
  }
  std::vector<std::pair<ExchangePtr, ExchangePtr>> pairs;
  for (std::uint32_t i = 0; i < kOpen; ++i) pairs.emplace_back(nullptr, s.serve(thread(kPid, 100 + i)));
  for (std::uint32_t i = 0; i < kOpen; ++i) pairs[i].first = s.call(thread(kPid, 100 + i));
  for (std::uint32_t i = 0; i < kOpen; ++i) {
    s.finish(pairs[i].first, thread(kPid, 100 + i));
    s.finish(pairs[i].second, thread(kPid, 100 + i));
  }
  const Big::Count count = s.judge(pairs);
  EXPECT_EQ(count.wrong, 0);
  EXPECT_EQ(count.right, static_cast<int>(kOpen));
}

// A load generator, or a client that caches its headers, sends one context with everything.
TEST(Adversarial, OneTraceparentOn45000Requests) {
  constexpr std::uint32_t kRequests = 45'000;
  constexpr std::uint32_t kAtOnce = 64;
  const CarriedHeaders header{{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}};
  Big s(with_inference());
  std::vector<std::pair<ExchangePtr, ExchangePtr>> pairs;
  std::size_t middle = 0;
  for (std::uint32_t done = 0; done < kRequests; done += kAtOnce) {
    const std::size_t first = pairs.size();
    for (std::uint32_t i = 0; i < kAtOnce; ++i) {
      pairs.emplace_back(nullptr, s.serve(thread(kPid, 100 + i), nullptr, header));
    }
    // Handed on as it came, as a proxy does.
    for (std::uint32_t i = 0; i < kAtOnce; ++i) {
      pairs[first + i].first = s.call(thread(kPid, 100 + (i + 1) % kAtOnce), nullptr, header);
    }
    for (std::uint32_t i = 0; i < kAtOnce; ++i) {
      s.finish(pairs[first + i].first, thread(kPid, 100 + (i + 1) % kAtOnce));
      s.finish(pairs[first + (i + 1) % kAtOnce].second, thread(kPid, 100 + (i + 1) % kAtOnce));
    }
    s.wait(10'000'000);
    if (done == kRequests / 2 / kAtOnce * kAtOnce) middle = s.spans.size();
  }
  EXPECT_GT(middle, kRequests / 2) << "they go out as they end";
  s.correlator.flush();
  // Every request is the remote context's child, and every call the child of a request that its thread served: the i-th
  // thread made the call for the request before, and threads tell, so the requests must be the threads' own.
  std::unordered_map<std::uint64_t, const Span*> by_start;
  for (const Span& span : s.spans) by_start[span.start.ns] = &span;
  int wrong = 0;
  int calls = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const Span& call = *by_start.at(pairs[i].first->request->first_byte.time.ns);
    const std::size_t own = i / kAtOnce * kAtOnce + (i % kAtOnce + 1) % kAtOnce;
    const Span& request = *by_start.at(pairs[own].second->request->first_byte.time.ns);
    if (!call.parent.id.valid()) continue;
    ++calls;
    wrong += call.parent.id != request.id ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(calls, 0);
  EXPECT_EQ(s.spans.size(), 2 * pairs.size());
}

// A suspended machine, a clock that was set, records told late: what ends has a span, none of a negative length, and
// requests of before have no calls of after.
TEST(Adversarial, TimesThatStep) {
  Big s(with_inference());
  std::vector<std::pair<ExchangePtr, ExchangePtr>> pairs;
  for (std::uint32_t i = 0; i < 400; ++i) {
    const Actor self = thread(kPid, 100 + i % 20);
    const auto request = s.serve(self);
    if (i == 100) s.wait(36'000'000'000'000);  // ten hours
    if (i == 200) s.now = BootTime{s.now.ns - 5'000'000'000};
    if (i == 300) s.wait(3'000'000'000);
    const auto call = s.call(self);
    s.finish(call, self);
    if (i % 50 == 7) s.now = BootTime{s.now.ns - 20'000};
    s.finish(request, self);
    pairs.emplace_back(call, request);
    if (i % 10 == 0) s.wait(1'000'000);
  }
  s.correlator.flush();
  EXPECT_EQ(s.spans.size(), 2 * pairs.size());
  for (const Span& span : s.spans) EXPECT_GE(span.end.ns, span.start.ns);
  std::unordered_map<std::string, const Span*> by_id;
  for (const Span& span : s.spans) {
    if (!span.parent.id.valid()) continue;
    const auto parent = std::ranges::find_if(s.spans, [&](const Span& p) { return p.id == span.parent.id; });
    ASSERT_NE(parent, s.spans.end());
    EXPECT_EQ(parent->trace, span.trace);
  }
}

// Requests that nobody ever answers, and calls that nobody ever hears of again: forgotten, and said.
TEST(Adversarial, WhatNeverEndsIsForgotten) {
  CorrelatorOptions options = with_inference();
  options.most_open = 5'000;
  Big s(options);
  const std::size_t before = heap();
  std::size_t half = 0;
  for (int i = 0; i < 60'000; ++i) {
    s.serve(thread(kPid, 7, 2 + 2 * static_cast<std::uint32_t>(i)));
    s.call(thread(kPid, 7, 2 + 2 * static_cast<std::uint32_t>(i)));
    if (i % 100 == 0) s.wait(1'000'000);
    if (i == 30'000) half = heap() - std::min(heap(), before);
  }
  const std::size_t all = heap() - std::min(heap(), before);
  EXPECT_GT(s.counters.get("correlator.lost.open_table_full").value(), 0U);
  EXPECT_LT(all, half + half / 2 + 32 * kMiB) << "does not grow with what never ends";
}

}  // namespace
}  // namespace wirespan
