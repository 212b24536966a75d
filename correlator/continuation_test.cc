// evidence/continuation: scenes it must link and scenes it must refuse.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

constexpr std::uint32_t kPid = 1;
constexpr int kUntilProven = 20;

struct Futures : Scene {
  Futures() : Scene(CorrelatorOptions{}) {}  // calls wait for what proves them
  void leads(const ExchangePtr& made, const ExchangePtr& request) {
    now = now + 1000;
    correlator.on_event(event::Leads{now, kPid, made->conn->id, request->conn->id, 0, 0});
  }
  void waits(const ExchangePtr& made, std::uint32_t tid, std::uint64_t task = 0) {
    now = now + 1000;
    correlator.on_event(event::Leads{now, kPid, made->conn->id, ConnId{}, task, tid});
  }
  void answer(const ExchangePtr& request) { finish(request, thread(kPid, 14)); }
  void responds(const ExchangePtr& made) { finish(made, thread(kPid, 13)); }
  [[nodiscard]] std::string method(const ExchangePtr& made) { return std::string(span(made).parent.method); }
  // A call made by one thread and read by another, for a request that two more have to do with.
  void proves() {
    for (int i = 0; i < kUntilProven; ++i) {
      const auto a = serve(thread(kPid, 10));
      const auto b = serve(thread(kPid, 11));
      const auto of_a = call(thread(kPid, 12));
      leads(of_a, a);
      responds(of_a);
      answer(b);
      answer(a);
    }
  }
};

TEST(Continuation, LinksACallToWhoseAnswerWaitsForIt) {
  Futures s;
  s.proves();
  const auto a = s.serve(thread(kPid, 10));
  const auto b = s.serve(thread(kPid, 11));
  const auto of_a = s.call(thread(kPid, 12));
  const auto of_b = s.call(thread(kPid, 12));
  s.leads(of_b, b);
  s.responds(of_b);
  s.leads(of_a, a);
  s.responds(of_a);
  s.answer(b);
  s.answer(a);
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_EQ(s.method(of_a), "continuation");
}

// The first is told some time after the process has begun to serve, and many wait for their calls then.
TEST(Continuation, OfWhatWasOpenBeforeTheFirstWasTold) {
  Futures s;
  std::vector<ExchangePtr> requests;
  std::vector<ExchangePtr> calls;
  for (std::uint32_t i = 0; i < kUntilProven; ++i) {
    requests.push_back(s.serve(thread(kPid, 10)));
    calls.push_back(s.call(thread(kPid, 12)));
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    s.leads(calls[i], requests[i]);
    s.responds(calls[i]);
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    s.answer(requests[i]);
    EXPECT_TRUE(s.is_parent(requests[i], calls[i]));
  }
}

TEST(Continuation, SaysNothingBeforeItIsProven) {
  Futures s;
  const auto a = s.serve(thread(kPid, 10));
  const auto b = s.serve(thread(kPid, 11));
  const auto of_a = s.call(thread(kPid, 12));
  s.leads(of_a, a);
  s.responds(of_a);
  s.answer(a);
  s.answer(b);
  EXPECT_NE(s.method(of_a), "continuation");
}

TEST(Continuation, IsNotBelievedWhereCallsAreOlderThanTheirRequests) {
  Futures s;
  s.proves();
  const auto early = s.call(thread(kPid, 12));
  const auto a = s.serve(thread(kPid, 10));
  const auto b = s.serve(thread(kPid, 11));
  s.leads(early, a);
  const auto of_a = s.call(thread(kPid, 12));
  s.leads(of_a, a);
  s.responds(of_a);
  s.responds(early);
  s.answer(a);
  s.answer(b);
  EXPECT_NE(s.method(early), "continuation");
  EXPECT_NE(s.method(of_a), "continuation");
}

TEST(Continuation, OfSeveralCallsOnOneConnectionNobodyKnowsWhich) {
  Futures s;
  s.proves();
  const auto a = s.serve(thread(kPid, 10));
  const auto b = s.serve(thread(kPid, 11));
  const auto one = s.call(thread(kPid, 12));
  const auto other = s.call(thread(kPid, 12), one->conn);
  s.leads(one, a);
  s.responds(one);
  s.responds(other);
  s.answer(a);
  s.answer(b);
  EXPECT_NE(s.method(one), "continuation");
  EXPECT_NE(s.method(other), "continuation");
}

TEST(Continuation, LinksACallToTheRequestOfTheThreadThatWaitsForIt) {
  Futures s;
  s.proves();
  const auto a = s.serve(thread(kPid, 10));
  const auto b = s.serve(thread(kPid, 11));
  const auto of_a = s.call(thread(kPid, 12));
  const auto of_b = s.call(thread(kPid, 12));
  s.waits(of_b, 11);
  s.responds(of_b);
  s.waits(of_a, 10);
  s.responds(of_a);
  s.finish(a, thread(kPid, 10));
  s.finish(b, thread(kPid, 11));
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_EQ(s.method(of_a), "continuation");
}

// Which runs on whichever thread there is.
TEST(Continuation, LinksACallToTheRequestOfTheVirtualThreadThatWaitsForIt) {
  Futures s;
  s.proves();
  const Actor one{{kPid, 10}, 0, 70, 0};
  const Actor other{{kPid, 10}, 0, 71, 0};
  const auto a = s.serve(one);
  const auto b = s.serve(other);
  const auto of_a = s.call(thread(kPid, 12));
  const auto of_b = s.call(thread(kPid, 12));
  s.waits(of_b, 0, 71);
  s.responds(of_b);
  s.waits(of_a, 0, 70);
  s.responds(of_a);
  s.finish(a, one);
  s.finish(b, other);
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
}

// One of a pool's, or one whose request is answered.
TEST(Continuation, OfAThreadThatServesNothingNobodyKnowsForWhom) {
  Futures s;
  s.proves();
  const auto a = s.serve(thread(kPid, 10));
  const auto b = s.serve(thread(kPid, 11));
  const auto of_pool = s.call(thread(kPid, 12));
  const auto late = s.call(thread(kPid, 12));
  s.waits(of_pool, 15);
  s.responds(of_pool);
  s.finish(a, thread(kPid, 10));
  s.waits(late, 10);
  s.responds(late);
  s.finish(b, thread(kPid, 11));
  EXPECT_NE(s.method(of_pool), "continuation");
  EXPECT_NE(s.method(late), "continuation");
}

// Who asks a client for a call may find another's waiting for the connection that is free, and write that one.
TEST(Continuation, WhoWritesACallMayNotBeWhoWaitsForIt) {
  Futures s;
  for (int i = 0; i < kUntilProven; ++i) {
    const auto a = s.serve(thread(kPid, 10));
    const auto of_a = s.call(thread(kPid, 10));
    s.waits(of_a, 10);
    s.finish(of_a, thread(kPid, 50));  // read by a thread of the client's
    s.finish(a, thread(kPid, 10));
  }
  const auto a = s.serve(thread(kPid, 10));
  const auto b = s.serve(thread(kPid, 11));
  const auto of_b = s.call(thread(kPid, 10));
  s.waits(of_b, 11);
  s.finish(of_b, thread(kPid, 50));
  s.finish(a, thread(kPid, 10));
  s.finish(b, thread(kPid, 11));
  EXPECT_TRUE(s.is_parent(b, of_b));
}

}  // namespace
}  // namespace wirespan
