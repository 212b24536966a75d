// evidence/tokio: scenes it must link and scenes it must refuse.
#include <gtest/gtest.h>

#include <vector>

#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using Role = event::Handover::Role;

constexpr std::uint32_t kPid = 1;
constexpr std::uint32_t kWorkers = 2;  // tasks 1 and 2, in whose name the driver wakes

struct TokioScene : Scene {
  TokioScene() : Scene(CorrelatorOptions{}) {}

  static Actor in(std::uint64_t task) { return {{kPid, kPid + 1}, 2, kTokioTask | task, 0}; }
  void wakes(std::uint64_t waker, std::uint64_t wakee) { tell(Role::kWakes, waker, wakee); }
  void spawns(std::uint64_t parent, std::uint64_t child) { tell(Role::kSpawns, parent, child); }
  void replies(std::uint64_t task, std::uint64_t oneshot) { tell_address(Role::kReplies, task, oneshot); }
  void gets(std::uint64_t task, std::uint64_t oneshot) { tell_address(Role::kGets, task, oneshot); }
  void lets_go(std::uint64_t task) { tell_address(Role::kLetsGo, task, 0x9000); }
  void tell_address(Role role, std::uint64_t task, std::uint64_t address) {
    now = now + 1000;
    correlator.on_event(event::Handover{now, in(task), role, address});
  }
  // Where only answers are told.
  void awakes(std::uint64_t waker, std::uint64_t wakee) {
    tell(Role::kWakes, waker, wakee, event::Handover::kByReference | event::Handover::kAnswersOnly);
  }
  void tell(Role role, std::uint64_t task, std::uint64_t object, std::uint64_t how = 0) {
    now = now + 1000;
    correlator.on_event(event::Handover{now, in(task), role, kTokioTask | object, how});
  }
  ExchangePtr answered_round(std::uint64_t asker, std::uint64_t connection) {
    const auto made = call(in(connection));
    finish(made, in(connection));
    awakes(connection, asker);
    return made;
  }
  // A call that `connection` makes for `asker`, answered.
  ExchangePtr round(std::uint64_t asker, std::uint64_t connection) {
    wakes(asker, connection);
    const auto made = call(in(connection));
    wakes(1, connection);
    finish(made, in(connection));
    wakes(connection, asker);
    return made;
  }
  [[nodiscard]] std::string method(const ExchangePtr& made) { return std::string(span(made).parent.method); }

  // Two other requests are open, so that nothing is linked for being the only one.
  ExchangePtr other = serve(in(101));
  ExchangePtr another = serve(in(102));
};

TEST(Tokio, WhoReadsARequestMakesItsCalls) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  const auto of_a = s.call(s.in(10));
  s.finish(of_a, s.in(10));
  s.finish(a, s.in(10));
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_EQ(s.method(of_a), "tokio");
}

TEST(Tokio, AConnectionsTaskWritesForWhoWokeItAndAwaitsTheResponse) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  const auto b = s.serve(s.in(11));
  const auto of_a = s.round(10, 20);
  const auto of_b = s.round(11, 20);
  s.finish(a, s.in(10));
  s.finish(b, s.in(11));
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
}

TEST(Tokio, ALateWakeUpByWhoAwaitedTheResponseBeforeDoesNotAsk) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  const auto b = s.serve(s.in(11));
  const auto of_a = s.round(10, 20);
  s.wakes(11, 20);
  s.wakes(10, 20);  // it has read the body
  const auto of_b = s.call(s.in(20));
  s.finish(of_b, s.in(20));
  s.wakes(20, 11);
  s.finish(a, s.in(10));
  s.finish(b, s.in(11));
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
}

TEST(Tokio, WhoAwaitsWhatAnotherAskedForIsNotBelieved) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  const auto b = s.serve(s.in(11));
  s.wakes(10, 20);
  const auto made = s.call(s.in(20));
  s.finish(made, s.in(20));
  s.wakes(20, 11);
  s.finish(a, s.in(10));
  s.finish(b, s.in(11));
  EXPECT_FALSE(s.is_parent(a, made));
  EXPECT_FALSE(s.is_parent(b, made));
}

TEST(Tokio, TheDriverAsksForNothing) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  s.wakes(10, 20);
  for (std::uint64_t worker = 1; worker <= kWorkers; ++worker) s.wakes(worker, 20);
  const auto made = s.call(s.in(20));
  s.finish(made, s.in(20));
  s.wakes(20, 10);
  s.finish(a, s.in(10));
  EXPECT_TRUE(s.is_parent(a, made));
}

TEST(Tokio, WhereOnlyAnswersAreToldWhoAwaitsTheResponseIsBelieved) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  const auto b = s.serve(s.in(11));
  s.round(10, 20);
  s.round(11, 20);
  const auto of_b = s.answered_round(11, 20);
  const auto of_a = s.answered_round(10, 20);
  const auto next_of_b = s.answered_round(11, 20);
  s.finish(a, s.in(10));
  s.finish(b, s.in(11));
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_TRUE(s.is_parent(b, next_of_b));
}

TEST(Tokio, WhereOnlyAnswersAreToldAConnectionIsNotOfWhoOpenedIt) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  const auto b = s.serve(s.in(11));
  s.answered_round(10, 19);
  s.spawns(10, 20);
  const auto of_b = s.answered_round(11, 20);
  const auto of_nobody = s.answered_round(77, 20);
  s.finish(a, s.in(10));
  s.finish(b, s.in(11));
  s.wait(600'000'000);
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_FALSE(s.is_parent(a, of_nobody));
}

TEST(Tokio, ACallOfTheTimeWhenAskersWereNotTold) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  const auto b = s.serve(s.in(11));
  s.answered_round(10, 20);
  const auto of_a = s.call(s.in(20));
  s.round(11, 21);  // now they are told again
  s.finish(of_a, s.in(20));
  s.wakes(20, 10);
  s.wakes(10, 20);
  const auto of_neither = s.call(s.in(20));
  s.finish(of_neither, s.in(20));
  s.wakes(20, 11);
  s.finish(a, s.in(10));
  s.finish(b, s.in(11));
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_FALSE(s.is_parent(a, of_neither));
  EXPECT_FALSE(s.is_parent(b, of_neither));
}

TEST(Tokio, ACallWithoutAResponseIsOfWhoAskedOnceThatWasProven) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  for (int i = 0; i < 20; ++i) s.round(10, 20);
  const auto b = s.serve(s.in(11));
  s.wakes(11, 21);
  const auto hangs = s.call(s.in(21));
  s.wait(1'100'000'000);
  s.finish(hangs, s.in(21));
  s.finish(a, s.in(10));
  s.finish(b, s.in(11));
  EXPECT_TRUE(s.is_parent(b, hangs));
}

// Enough of them that the process has shown what its children do.
struct ChildrenScene : TokioScene {
  void show() {
    for (std::uint64_t i = 0; i < 20; ++i) {
      const auto request = serve(in(10));
      spawns(10, 1000 + i);
      round(1000 + i, 20);
      finish(request, in(10));
    }
    wait(600'000'000);
  }
};

TEST(Tokio, ChildrenBegunSinceTheRequestWasReadWorkForIt) {
  ChildrenScene s;
  s.show();
  const auto first = s.serve(s.in(10));
  s.spawns(10, 30);  // and goes on after the answer
  s.finish(first, s.in(10));
  const auto a = s.serve(s.in(10));
  s.spawns(10, 31);
  s.spawns(31, 32);
  const auto of_child = s.round(31, 20);
  const auto of_grandchild = s.round(32, 21);
  const auto of_old = s.round(30, 22);
  s.finish(a, s.in(10));
  s.wait(600'000'000);
  EXPECT_TRUE(s.is_parent(a, of_child));
  EXPECT_TRUE(s.is_parent(a, of_grandchild));
  EXPECT_FALSE(s.is_parent(a, of_old));
  EXPECT_FALSE(s.is_parent(first, of_old));
}

// Nobody waits for half a second after the last request.
TEST(Tokio, ChildrenOfTheLastRequestsAreBelievedWhereTheyWereWatchedBefore) {
  for (const bool watched : {true, false}) {
    ChildrenScene s;
    if (watched) s.show();
    const auto a = s.serve(s.in(10));
    s.spawns(10, 31);
    const auto made = s.round(31, 20);
    s.finish(a, s.in(10));
    EXPECT_EQ(s.is_parent(a, made), watched);
  }
}

TEST(Tokio, AChildWithAConnectionOfItsOwn) {
  ChildrenScene s;
  s.show();
  const auto a = s.serve(s.in(10));
  s.spawns(10, 31);
  const auto made = s.call(s.in(31));
  s.finish(made, s.in(31));
  s.finish(a, s.in(10));
  s.wait(600'000'000);
  EXPECT_TRUE(s.is_parent(a, made));
}

TEST(Tokio, AConsumerBegunByOneRequestIsNotItsOwn) {
  ChildrenScene s;
  s.show();
  const auto a = s.serve(s.in(10));
  s.spawns(10, 31);  // a queue's, by the first who needs it
  s.wakes(10, 31);
  s.round(31, 20);
  s.wakes(31, 10);
  const auto b = s.serve(s.in(11));
  s.wakes(11, 31);
  const auto of_b = s.round(31, 20);
  s.wakes(31, 11);
  s.finish(a, s.in(10));
  s.finish(b, s.in(11));
  s.wait(600'000'000);
  EXPECT_FALSE(s.is_parent(a, of_b));
}

TEST(Tokio, AConsumerIsKnownByWhatItDoesAfterwards) {
  ChildrenScene s;
  s.show();
  const auto a = s.serve(s.in(10));
  s.spawns(10, 31);
  const auto b = s.serve(s.in(11));
  const auto of_b = s.round(31, 20);  // B waits for something else just now, and is not woken
  s.finish(b, s.in(11));
  s.finish(a, s.in(10));
  const auto c = s.serve(s.in(12));
  s.wait(100'000'000);
  const auto of_c = s.round(31, 20);
  s.finish(c, s.in(12));
  s.wait(600'000'000);
  EXPECT_FALSE(s.is_parent(a, of_b));
  EXPECT_FALSE(s.is_parent(a, of_c));
}

TEST(Tokio, AConsumerThatOutlivesTheRequestIsNobodys) {
  ChildrenScene s;
  s.show();
  const auto first = s.serve(s.in(10));
  s.spawns(10, 31);
  s.finish(first, s.in(10));
  s.round(31, 20);
  const auto a = s.serve(s.in(10));
  const auto made = s.round(31, 20);
  s.finish(a, s.in(10));
  s.wait(600'000'000);
  EXPECT_FALSE(s.is_parent(a, made));
  EXPECT_FALSE(s.is_parent(first, made));
}

constexpr std::uint64_t kConsumer = 30;

// Requests are read by tasks 10 to 13, whose calls a consumer of a queue makes over the connection of task 20.
struct ConsumerScene : TokioScene {
  // A job of so many calls; the last is returned. asked: the consumer had nothing to do.
  ExchangePtr job(std::uint64_t reader, int calls = 1, bool asked = false, bool replies = true) {
    if (asked) wakes(reader, kConsumer);
    ExchangePtr made;
    for (int i = 0; i < calls; ++i) all.push_back(made = round(kConsumer, 20));
    if (replies) wakes(kConsumer, reader);
    return made;
  }
  void show(int times, bool asked = false) {
    for (int i = 0; i < times; ++i) {
      const auto request = serve(in(10));
      job(10, 1, asked);
      finish(request, in(10));
    }
  }
  void end() {
    wait(100'000'000);
    finish(a, in(11));
    finish(b, in(12));
  }
  std::vector<ExchangePtr> all;
  ExchangePtr a = serve(in(11));
  ExchangePtr b = serve(in(12));
};

TEST(Tokio, AConsumersLastCallIsForWhomItRepliesTo) {
  ConsumerScene s;
  s.show(20);
  const auto of_a = s.job(11);
  const auto of_b = s.job(12);
  s.end();
  EXPECT_TRUE(s.is_parent(s.a, of_a));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
  EXPECT_EQ(s.method(of_b), "tokio");
}

TEST(Tokio, WhoDidNotWaitForTheReplyIsNotMistakenForTheNext) {
  ConsumerScene s;
  s.show(20);
  const auto of_a = s.job(11, 1, false, false);
  const auto of_b = s.job(12);
  s.end();
  EXPECT_FALSE(s.is_parent(s.a, of_a));
  EXPECT_FALSE(s.is_parent(s.b, of_a));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
}

TEST(Tokio, AConsumerThatWakesTwoAfterACallIsNotBelieved) {
  ConsumerScene s;
  s.show(20);
  const auto call = s.job(11);
  s.wakes(kConsumer, 12);  // one of them waited for something else, a place in the queue
  s.end();
  EXPECT_FALSE(s.is_parent(s.a, call));
  EXPECT_FALSE(s.is_parent(s.b, call));
}

TEST(Tokio, AllCallsOfAConsumersJobWhereEverybodyWaitsForReplies) {
  ConsumerScene s;
  s.show(70, true);
  s.job(11, 3);
  const auto first = s.all[s.all.size() - 3];
  s.job(12, 1, true, false);  // does not wait
  s.job(11, 1, true);
  s.job(11, 2);
  s.end();
  EXPECT_TRUE(s.is_parent(s.a, first));
  EXPECT_FALSE(s.is_parent(s.a, s.all[s.all.size() - 2]));
  EXPECT_TRUE(s.is_parent(s.a, s.all.back()));
}

TEST(Tokio, AReplyThatNobodyWaitsForYetIsOfWhoGetsItLater) {
  ConsumerScene s;
  s.show(20);
  const auto of_a = s.job(11, 1, false, false);
  s.replies(kConsumer, 0x1000);
  const auto of_b = s.job(12, 1, false, false);
  s.replies(kConsumer, 0x2000);
  s.wakes(kConsumer, 12);
  s.gets(12, 0x2000);
  s.gets(11, 0x1000);
  s.end();
  EXPECT_TRUE(s.is_parent(s.a, of_a));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
  EXPECT_EQ(s.method(of_a), "tokio");
}

TEST(Tokio, WhereRepliesAreToldWhoElseIsWokenWaitedForSomethingElse) {
  ConsumerScene s;
  s.show(20);
  s.job(13, 1, false, false);
  s.replies(kConsumer, 0x1000);
  const auto of_a = s.job(11, 1, false, false);
  s.wakes(kConsumer, 12);  // a place in the queue
  s.replies(kConsumer, 0x2000);
  s.gets(11, 0x2000);
  s.end();
  EXPECT_TRUE(s.is_parent(s.a, of_a));
}

TEST(Tokio, AReplyIsOfTheNewestOneshotThatLiesThere) {
  ConsumerScene s;
  s.show(20);
  const auto dropped = s.job(11, 1, false, false);
  s.replies(kConsumer, 0x1000);
  const auto of_b = s.job(12, 1, false, false);
  s.replies(kConsumer, 0x1000);
  s.gets(12, 0x1000);
  s.gets(11, 0x1000);
  s.end();
  EXPECT_FALSE(s.is_parent(s.a, dropped));
  EXPECT_FALSE(s.is_parent(s.b, dropped));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
}

TEST(Tokio, AllCallsSinceAConsumerCanHaveTakenAJobAreOfThat) {
  ConsumerScene s;
  s.show(20);
  const auto without_reply = s.job(11, 1, false, false);
  s.lets_go(kConsumer);
  s.job(12, 2);
  const auto first = s.all[s.all.size() - 2];
  const auto last = s.all.back();
  const auto of_unknown = s.job(11, 1, false, false);  // of which job that is was not seen
  s.job(11);
  s.end();
  EXPECT_FALSE(s.is_parent(s.a, without_reply));
  EXPECT_FALSE(s.is_parent(s.b, without_reply));
  EXPECT_TRUE(s.is_parent(s.b, first));
  EXPECT_TRUE(s.is_parent(s.b, last));
  EXPECT_FALSE(s.is_parent(s.a, of_unknown));
  EXPECT_TRUE(s.is_parent(s.a, s.all.back()));
}

TEST(Tokio, WhatAConsumerOfAConsumerDidIsForWhoGetsTheReplyInTheEnd) {
  ConsumerScene s;
  s.show(20);
  constexpr std::uint64_t kOther = 31;
  const auto made = s.round(kOther, 21);
  s.replies(kOther, 0x1000);
  s.gets(kConsumer, 0x1000);
  s.replies(kConsumer, 0x2000);
  s.gets(11, 0x2000);
  s.end();
  EXPECT_TRUE(s.is_parent(s.a, made));
}

TEST(Tokio, AConsumerThatMakesItsCallsItself) {
  ConsumerScene s;
  s.show(20);
  s.replies(kConsumer, 0x1000);  // so they are told
  const auto job = [&s](std::uint64_t reader, std::uint64_t oneshot) {
    const auto made = s.call(s.in(40));
    s.finish(made, s.in(40));
    s.replies(40, oneshot);
    s.gets(reader, oneshot);
    return made;
  };
  const auto of_a = job(11, 0x2000);
  const auto of_b = job(12, 0x3000);
  s.end();
  EXPECT_TRUE(s.is_parent(s.a, of_a));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
}

TEST(Tokio, AConsumerThatDoesSeveralThingsAtOnceIsNotBelieved) {
  ConsumerScene s;
  for (int i = 0; i < 40; ++i) {
    const auto request = s.serve(s.in(10));
    s.wakes(kConsumer, 20);
    const auto one = s.call(s.in(20));
    s.wakes(kConsumer, 21);
    const auto other = s.call(s.in(21));
    s.finish(one, s.in(20));
    s.wakes(20, kConsumer);
    s.wakes(kConsumer, 10);
    s.finish(other, s.in(21));
    s.wakes(21, kConsumer);
    s.finish(request, s.in(10));
  }
  const auto call = s.job(11);
  s.end();
  EXPECT_FALSE(s.is_parent(s.a, call));
}

TEST(Tokio, WhoReadsSeveralRequestsAtOnceIsNotKnownToWorkForEither) {
  TokioScene s;
  const auto a = s.serve(s.in(10));
  const auto b = s.serve(s.in(10));
  const auto made = s.call(s.in(10));
  s.finish(made, s.in(10));
  s.finish(a, s.in(10));
  s.finish(b, s.in(10));
  EXPECT_FALSE(s.is_parent(a, made));
  EXPECT_FALSE(s.is_parent(b, made));
}

TEST(Tokio, AProcessWhereOthersAnswerIsNotBelieved) {
  TokioScene s;
  for (std::uint64_t i = 0; i < 20; ++i) s.finish(s.serve(s.in(10 + i)), s.in(50));
  const auto a = s.serve(s.in(40));
  const auto made = s.call(s.in(40));
  s.finish(made, s.in(40));
  s.finish(a, s.in(50));
  EXPECT_FALSE(s.is_parent(a, made));
}

}  // namespace
}  // namespace wirespan
