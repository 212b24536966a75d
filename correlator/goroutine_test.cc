// evidence/goroutine: scenes it must link and scenes it must refuse.
#include <gtest/gtest.h>

#include "correlator/testing/go_scene.h"

namespace wirespan {
namespace {

using testing::goroutine;
using testing::GoScene;
using Role = testing::GoRole;

constexpr std::uint32_t kPid = testing::kGoPid;

TEST(Goroutine, TheOneThatReadTheRequestMakesTheCall) {
  GoScene s;
  const auto a = s.read(20, {});
  const auto b = s.read(21, {});
  const auto of_a = s.call(goroutine(kPid, 20));
  const auto of_b = s.call(goroutine(kPid, 21));
  s.finish_all({of_a, of_b, a, b, s.other});
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_EQ(s.span(of_a).parent.method, "goroutine");
}

TEST(Goroutine, AConnectionsGoroutineWritesForWhoeverAskedLast) {
  GoScene s;
  const auto a = s.read(20, {});
  const auto b = s.read(21, {});
  s.hand_over(Role::kCalls, 0xc000, 20, 1);  // before the connection's goroutine has run at all
  s.hand_over(Role::kWrites, 0xc000, 40, 20);
  const auto of_a = s.call(goroutine(kPid, 40, 20));
  s.finish_all({of_a});
  s.hand_over(Role::kCalls, 0xc000, 21, 1);
  const auto of_b = s.call(goroutine(kPid, 40, 20));
  s.finish_all({of_b, a, b, s.other});
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b)) << "although the goroutine was started by the other";
}

TEST(Goroutine, AConnectionWhoseCallerWasNotSeenIsNotGuessed) {
  GoScene s;
  const auto a = s.read(20, {17});
  s.hand_over(Role::kWrites, 0xc000, 40, 20);
  const auto call = s.call(goroutine(kPid, 40, 20));
  s.finish_all({call, a, s.other});
  EXPECT_TRUE(s.is_root(call));
}

TEST(Goroutine, ChildrenAndGrandchildrenOfTheRequestAreBelieved) {
  GoScene s;
  const auto a = s.read(20, {21, 37});
  const auto child = s.call(goroutine(kPid, 38, 20));
  s.hand_over(Role::kCalls, 0xc000, 38, 20);  // any event of the child tells whose it is
  const auto grandchild = s.call(goroutine(kPid, 39, 38));
  const auto in_a_new_run = s.call(goroutine(kPid, 60, 20));
  s.finish_all({child, grandchild, in_a_new_run, a, s.other});
  EXPECT_TRUE(s.is_parent(a, child));
  EXPECT_TRUE(s.is_parent(a, grandchild));
  EXPECT_TRUE(s.is_parent(a, in_a_new_run));
}

TEST(Goroutine, ChildrenAreBelievedAtOnceWhereTheyWereSeenToEndWithTheirRequests) {
  GoScene s;
  const auto first = s.read(20, {21});
  const auto early = s.call(goroutine(kPid, 21, 20));
  s.finish_all({early, first});
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), 0U) << "it may be a worker as well";
  s.wait(600'000'000);
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), 0U) << "nobody else had anything to do";
  s.show_that_children_end();
  EXPECT_GE(s.counters.get("correlator.links.goroutine").value(), 32U);
  const auto before = s.counters.get("correlator.links.goroutine").value();
  const auto a = s.read(20, {38});
  const auto at_once = s.call(goroutine(kPid, 38, 20));
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), before + 1);
  s.finish_all({at_once, a, s.other});
  EXPECT_TRUE(s.is_parent(first, early));
  EXPECT_TRUE(s.is_parent(a, at_once));
}

TEST(Goroutine, WithOneRequestOpenItsChildIsBelievedAtOnce) {
  GoScene s;
  s.finish_all({s.other, s.another});
  const auto a = s.read(20, {21});
  const auto call = s.call(goroutine(kPid, 21, 20));
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), 1U);
  s.finish_all({call, a});
  EXPECT_TRUE(s.is_parent(a, call));
}

// A pool: handlers begin a worker where none is free, and it takes what others hand in.
TEST(Goroutine, AWorkerBegunByAHandlerIsNoChild) {
  GoScene s;
  const auto a = s.read(20, {21});
  const auto b = s.read(30, {31});
  const auto of_a = s.call(goroutine(kPid, 21, 20));
  s.finish_all({of_a});
  const auto of_b = s.call(goroutine(kPid, 21, 20));  // while a is open
  s.finish_all({of_b, a, b});
  const auto c = s.read(40, {41});
  std::vector<ExchangePtr> later;
  for (int i = 0; i < 3; ++i) later.push_back(s.call(goroutine(kPid, 21, 20)));
  const auto of_another = s.call(goroutine(kPid, 41, 40));  // nor is another's child believed at once any more
  s.finish_all({later[0], later[1], later[2], of_another, c});
  s.wait(600'000'000);
  s.finish_all({s.other});
  EXPECT_TRUE(s.is_root(of_a));
  EXPECT_TRUE(s.is_root(of_b));
  EXPECT_EQ(s.span(of_b).attributes.text("wirespan.link.missing"), "unproven");
  for (const auto& call : later) EXPECT_TRUE(s.is_root(call));
  EXPECT_TRUE(s.is_root(of_another));
}

TEST(Goroutine, WhatAWorkersChildrenCallIsNotItsBegettersEither) {
  GoScene s;
  const auto a = s.read(20, {21});
  s.hand_over(Role::kCalls, 0xc000, 21, 20);
  const auto of_a = s.call(goroutine(kPid, 22, 21));
  s.finish_all({of_a, a});
  const auto b = s.read(30, {31});
  const auto of_b = s.call(goroutine(kPid, 60, 21));
  s.finish_all({of_b, b, s.other});
  EXPECT_TRUE(s.is_root(of_a));
  EXPECT_TRUE(s.is_root(of_b));
}

TEST(Goroutine, WorkersThatComeLateAreFoundOut) {
  GoScene s;
  s.show_that_children_end();
  const auto a = s.read(20, {21});
  s.finish_all({s.call(goroutine(kPid, 21, 20)), a});
  for (int i = 0; i < 3; ++i) s.finish_all({s.call(goroutine(kPid, 21, 20))});
  const auto b = s.read(30, {31});
  const auto c = s.read(40, {41});
  const auto of_either = s.call(goroutine(kPid, 31, 30));
  s.finish_all({of_either, b, c});
  s.show_that_children_end();  // far from enough
  EXPECT_TRUE(s.is_root(of_either));
}

TEST(Goroutine, WhatARequestLeavesBehindIsNoWorker) {
  GoScene s;
  s.show_that_children_end();
  const auto a = s.read(20, {21});
  const auto in_time = s.call(goroutine(kPid, 21, 20));
  s.finish_all({in_time, a});
  const auto left = s.call(goroutine(kPid, 21, 20));
  const auto b = s.read(30, {31});
  const auto of_b = s.call(goroutine(kPid, 31, 30));
  const auto before = s.counters.get("correlator.links.goroutine").value();
  s.finish_all({left, of_b, b, s.other});
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), before) << "in doubt";
  s.show_that_children_end(16);
  EXPECT_GT(s.counters.get("correlator.links.goroutine").value(), before) << "it made no more";
  EXPECT_TRUE(s.is_parent(a, in_time));
  EXPECT_TRUE(s.is_root(left));
  EXPECT_TRUE(s.is_parent(b, of_b));
}

TEST(Goroutine, ACallThatOutlivesTheAnswerProvesNothing) {
  GoScene s;
  const auto a = s.read(20, {21});
  const auto call = s.call(goroutine(kPid, 21, 20));
  s.finish_all({a, call});
  s.show_that_children_end();
  EXPECT_TRUE(s.is_root(call));
}

TEST(Goroutine, AChildOfAnEarlierRequestOfTheSameConnectionIsNot) {
  GoScene s;
  const auto first = s.read(20, {21, 37});
  s.finish_all({first});
  const auto second = s.read(20, {23, 40});
  const auto left_over = s.call(goroutine(kPid, 38, 20));  // 38 < 40: born before
  const auto also_left = s.call(goroutine(kPid, 22, 20));  // 22 < 23
  const auto of_used_up = s.call(goroutine(kPid, 5, 20));  // a run that no processor has any more
  const auto fresh = s.call(goroutine(kPid, 41, 20));
  s.finish_all({left_over, also_left, of_used_up, fresh, second, s.other});
  EXPECT_TRUE(s.is_root(left_over));
  EXPECT_TRUE(s.is_root(also_left));
  EXPECT_TRUE(s.is_root(of_used_up));
  EXPECT_TRUE(s.is_parent(second, fresh));
}

TEST(Goroutine, ARunThatWasUsedUpThenIsOld) {
  GoScene s;
  s.finish_all({s.read(20, {21})});
  event::Births births{s.now, kPid, 20, 1, {34}};  // 18..33 were given out, none is left
  s.correlator.on_event(births);
  const auto second = s.serve(goroutine(kPid, 20, 1));
  const auto old = s.call(goroutine(kPid, 33, 20));
  const auto young = s.call(goroutine(kPid, 34, 20));
  s.finish_all({old, young, second, s.other});
  EXPECT_TRUE(s.is_root(old));
  EXPECT_TRUE(s.is_parent(second, young));
}

TEST(Goroutine, WithoutKnowingBirthsOnlyTheFirstRequestHasChildren) {
  GoScene s;
  const auto first = s.read(20, {});
  const auto child = s.call(goroutine(kPid, 38, 20));
  s.finish_all({child, first});
  const auto second = s.read(20, {});
  const auto unknown = s.call(goroutine(kPid, 41, 20));
  s.finish_all({unknown, second, s.other});
  EXPECT_TRUE(s.is_parent(first, child));
  EXPECT_TRUE(s.is_root(unknown));
}

TEST(Goroutine, LateWorkIsNoChild) {
  GoScene s;
  const auto a = s.read(20, {21});
  s.finish_all({a});
  const auto late = s.call(goroutine(kPid, 22, 20));
  const auto later = s.call(goroutine(kPid, 20, 1));
  s.finish_all({late, later, s.other});
  for (const auto& made : {late, later}) {
    EXPECT_TRUE(s.is_root(made));
    ASSERT_EQ(s.span(made).links.size(), 1U);
    EXPECT_EQ(s.span(made).links[0].span, s.span(a).id);
  }
}

TEST(Goroutine, AGoroutineThatReadsForOthersKnowsWhichChildIsWhose) {
  GoScene s;
  const auto a = s.read(20, {21});
  const auto b = s.read(20, {22});
  const auto of_a = s.call(goroutine(kPid, 21, 20));
  const auto itself = s.call(goroutine(kPid, 20, 1));
  s.finish_all({of_a, itself, a, b, s.other});
  EXPECT_TRUE(s.is_parent(a, of_a)) << "born after it read the one and before it read the other";
  EXPECT_TRUE(s.is_root(itself));
}

TEST(Goroutine, BackgroundWorkInAGoProcessIsNotTheOnlyOpenRequests) {
  GoScene s;
  s.finish_all({s.other, s.another});
  for (int i = 0; i < 20; ++i) {
    const auto a = s.read(20, {});
    s.finish_all({s.call(goroutine(kPid, 20, 1)), a});
  }
  const auto a = s.read(20, {});
  const auto background = s.call(goroutine(kPid, 7, 1));
  s.finish_all({background, a});
  EXPECT_TRUE(s.is_root(background));
}

TEST(Goroutine, TheHeadCountsNotTheByteThatWasWaitedFor) {
  GoScene s;
  const auto b = s.read(21, {});
  // net/http: backgroundRead took the first byte in a goroutine of its own.
  auto request = std::make_shared<Message>();
  request->conn = s.connection(kPid, 0, 0, TcpSide::kPassive);
  request->first_byte = {s.now, goroutine(kPid, 30, 20)};
  request->last_byte = {s.now, goroutine(kPid, 20, 1)};
  auto exchange = std::make_shared<Exchange>();
  exchange->number = 1000;
  exchange->role = SpanRole::kServer;
  exchange->conn = request->conn;
  exchange->request = request;
  s.correlator.accept(ExchangeOpened{exchange});
  const auto call = s.call(goroutine(kPid, 20, 1));
  s.finish_all({call, exchange, b, s.other});
  EXPECT_EQ(s.span(call).parent.method, "goroutine");
}

// A keep-alive connection that loses an answer and the request after it looks as if the first were still open.
TEST(Goroutine, WhileEventsAreLostACallBelongsOnlyToARequestWhoseAnswerIsSeen) {
  GoScene s;
  s.correlator.on_event(event::Lost{s.now, "ringbuf_full", 2});
  const auto unanswered = s.read(20, {});
  const auto whole = s.read(21, {});
  const auto of_the_next = s.call(goroutine(kPid, 20));
  const auto of_whole = s.call(goroutine(kPid, 21));
  s.finish_all({of_the_next, of_whole});
  unanswered->incomplete = "lost";
  unanswered->ended = s.now;
  s.correlator.accept(ExchangeFinished{unanswered});
  s.finish_all({whole, s.other});
  EXPECT_TRUE(s.is_root(of_the_next));
  EXPECT_EQ(s.span(of_the_next).attributes.text("wirespan.link.missing"), "answer_lost");
  EXPECT_TRUE(s.is_parent(whole, of_whole));
}

// The loss shows when the answer to a later request is sent. The next one was not seen either, but the call for it was.
TEST(Goroutine, WhoseAnswerWasLostMayWorkForTheNextRequestUnseen) {
  GoScene s;
  s.correlator.on_event(event::Lost{s.now, "ringbuf_full", 2});
  const auto unanswered = s.read(20, {});
  unanswered->incomplete = "lost";
  unanswered->ended = s.now;
  s.correlator.accept(ExchangeFinished{unanswered});
  const auto of_the_next = s.call(goroutine(kPid, 20));
  s.finish_all({of_the_next, s.other});
  EXPECT_TRUE(s.is_root(of_the_next));
}

}  // namespace
}  // namespace wirespan
