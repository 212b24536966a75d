// Tasks of tokio that may block their thread (spawn_blocking): whose their calls are, and whose they must not become.
#include <gtest/gtest.h>

#include <vector>

#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using Role = event::Handover::Role;

constexpr std::uint32_t kPid = 1;
constexpr std::int64_t kMs = 1'000'000;

// Requests are read by tasks 10 and more.
struct BlockingScene : Scene {
  BlockingScene() : Scene(CorrelatorOptions{}) {}

  static Actor in(std::uint64_t task) { return {{kPid, kPid + 1}, 2, kTokioTask | task, 0}; }
  // The thread is its own.
  static Actor blocking(std::uint64_t task) {
    return {{kPid, kPid + static_cast<std::uint32_t>(task)}, 0, kTokioTask | task, 0};
  }
  void tell(Role role, std::uint64_t task, std::uint64_t object, std::uint64_t how) {
    now = now + 1000;
    correlator.on_event(event::Handover{now, in(task), role, kTokioTask | object, how});
  }
  // The task begins one that may block.
  std::uint64_t begins(std::uint64_t parent) {
    tell(Role::kSpawns, parent, ++last_, event::Handover::kBlocking);
    return last_;
  }
  void replies(std::uint64_t task, std::uint64_t reader) {
    tell(Role::kWakes, task, reader, event::Handover::kByReference);
  }
  void wakes_by_value(std::uint64_t task, std::uint64_t reader) { tell(Role::kWakes, task, reader, 0); }
  ExchangePtr answered_call(std::uint64_t task) {
    const auto made = call(blocking(task));
    finish(made, blocking(task));
    return made;
  }
  // Enough of them that the process has shown what becomes of such tasks.
  void show(int times = 80) {
    for (int i = 0; i < times; ++i) {
      const auto request = serve(in(10));
      answered_call(begins(10));
      finish(request, in(10));
    }
    wait(600 * kMs);
  }

  // Two other requests are open, so that nothing is linked for being the only one.
  ExchangePtr other = serve(in(101));
  ExchangePtr another = serve(in(102));

 private:
  std::uint64_t last_ = 1000;
};

TEST(BlockingTasks, CallsAreOfTheRequestTheTaskWasBegunFor) {
  BlockingScene s;
  s.show(20);
  const auto a = s.serve(s.in(11));
  const auto b = s.serve(s.in(12));
  const auto for_a = s.begins(11);
  const auto for_b = s.begins(12);
  const auto of_b = s.answered_call(for_b);
  const auto of_a = s.answered_call(for_a);
  const auto next_of_a = s.answered_call(for_a);
  s.finish(b, s.in(12));
  s.finish(a, s.in(11));
  s.wait(600 * kMs);
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(a, next_of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_EQ(s.span(of_b).parent.method, "tokio");
}

TEST(BlockingTasks, NothingIsSaidUntilTheProcessHasShownWhatBecomesOfThem) {
  BlockingScene s;
  const auto a = s.serve(s.in(11));
  const auto made = s.answered_call(s.begins(11));
  s.finish(a, s.in(11));
  s.wait(600 * kMs);
  EXPECT_FALSE(s.is_parent(a, made));
}

TEST(BlockingTasks, ByWayOfAChild) {
  BlockingScene s;
  s.show(20);
  const auto a = s.serve(s.in(11));
  s.tell(Role::kSpawns, 11, 500, 0);
  const auto made = s.answered_call(s.begins(500));
  s.finish(a, s.in(11));
  s.wait(600 * kMs);
  EXPECT_TRUE(s.is_parent(a, made));
}

TEST(BlockingTasks, AChildThatBeginsThemForOthersIsNotBelieved) {
  BlockingScene s;
  s.show(20);
  const auto a = s.serve(s.in(11));
  s.tell(Role::kSpawns, 11, 500, 0);
  const auto made = s.answered_call(s.begins(500));
  s.finish(a, s.in(11));
  s.begins(500);
  s.wait(600 * kMs);
  EXPECT_FALSE(s.is_parent(a, made));
}

TEST(BlockingTasks, WhereItWasShownOftenNobodyWaits) {
  for (const int times : {20, 80}) {
    BlockingScene s;
    s.show(times);
    s.wait(1 * kMs);
    const std::size_t before = s.spans.size();
    const auto a = s.serve(s.in(11));
    s.answered_call(s.begins(11));
    s.finish(a, s.in(11));
    s.wait(1 * kMs);
    EXPECT_EQ(s.spans.size() - before, times > 64 ? 2U : 1U);
  }
}

TEST(BlockingTasks, ASlowCallIsLinkedBeforeItsResponse) {
  BlockingScene s;
  s.show();
  const auto a = s.serve(s.in(11));
  const auto task = s.begins(11);
  const auto hangs = s.call(s.blocking(task));
  s.wait(1'100 * kMs);
  s.finish(hangs, s.blocking(task));
  s.finish(a, s.in(11));
  EXPECT_TRUE(s.is_parent(a, hangs));
}

TEST(BlockingTasks, WhatIsAnsweredAfterTheRequestIsNotItsCall) {
  BlockingScene s;
  s.show();
  const auto a = s.serve(s.in(11));
  const auto task = s.begins(11);
  const auto detached = s.call(s.blocking(task));
  s.finish(a, s.in(11));
  s.finish(detached, s.blocking(task));
  const auto late = s.answered_call(task);
  s.wait(600 * kMs);
  EXPECT_FALSE(s.is_parent(a, detached));
  EXPECT_FALSE(s.is_parent(a, late));
}

TEST(BlockingTasks, OneThatGoesOnAfterTheAnswerIsALoop) {
  BlockingScene s;
  s.show(20);
  const auto a = s.serve(s.in(11));
  const auto b = s.serve(s.in(12));
  const auto loop = s.begins(11);
  const auto of_b = s.answered_call(loop);
  s.finish(a, s.in(11));
  const auto next = s.answered_call(loop);
  s.finish(b, s.in(12));
  s.wait(600 * kMs);
  EXPECT_FALSE(s.is_parent(a, of_b));
  EXPECT_FALSE(s.is_parent(a, next));
  EXPECT_FALSE(s.is_parent(b, next));
}

TEST(BlockingTasks, OneThatRepliesToAnotherIsALoop) {
  BlockingScene s;
  s.show();
  const auto a = s.serve(s.in(11));
  const auto b = s.serve(s.in(12));
  const auto loop = s.begins(11);
  const auto of_b = s.answered_call(loop);
  s.replies(loop, 12);
  s.finish(b, s.in(12));
  s.finish(a, s.in(11));
  s.wait(600 * kMs);
  EXPECT_FALSE(s.is_parent(a, of_b));
}

TEST(BlockingTasks, AnotherMayWaitForAPermitThatIsLetGoAtTheEnd) {
  for (const bool goes_on : {false, true}) {
    BlockingScene s;
    s.show();
    const auto a = s.serve(s.in(11));
    const auto task = s.begins(11);
    const auto made = s.answered_call(task);
    s.wakes_by_value(task, 101);
    if (goes_on) s.answered_call(task);
    s.finish(a, s.in(11));
    s.wait(600 * kMs);
    EXPECT_EQ(s.is_parent(a, made), !goes_on);
  }
}

TEST(BlockingTasks, WhereRepliesAreByValueSuchAWakeUpIsOne) {
  BlockingScene s;
  s.show();
  const auto a = s.serve(s.in(11));
  const auto of_its_own = s.begins(11);
  s.answered_call(of_its_own);
  s.wakes_by_value(of_its_own, 11);
  const auto loop = s.begins(11);
  const auto made = s.answered_call(loop);
  s.wakes_by_value(loop, 101);
  s.finish(a, s.in(11));
  s.wait(600 * kMs);
  EXPECT_FALSE(s.is_parent(a, made));
}

TEST(BlockingTasks, OneThatRepliesToItsOwnRequestIsNone) {
  BlockingScene s;
  s.show();
  const auto a = s.serve(s.in(11));
  const auto task = s.begins(11);
  const auto made = s.answered_call(task);
  s.replies(task, 11);
  const auto next = s.answered_call(task);
  s.finish(a, s.in(11));
  s.wait(600 * kMs);
  EXPECT_TRUE(s.is_parent(a, made));
  EXPECT_TRUE(s.is_parent(a, next));
}

TEST(BlockingTasks, WhereTheyReplyToOthersNoneIsBelieved) {
  BlockingScene s;
  for (int i = 0; i < 20; ++i) {
    const auto request = s.serve(s.in(10));
    const auto waits = s.serve(s.in(13));
    const auto loop = s.begins(10);
    s.answered_call(loop);
    s.replies(loop, 13);
    s.finish(waits, s.in(13));
    s.finish(request, s.in(10));
  }
  s.show(100);
  const auto a = s.serve(s.in(11));
  const auto made = s.answered_call(s.begins(11));
  s.finish(a, s.in(11));
  s.wait(600 * kMs);
  EXPECT_FALSE(s.is_parent(a, made));
}

// tokio begins such a one to go on in when a task blocks its worker thread (block_in_place).
TEST(BlockingTasks, WhoMakesNoCallsMayWakeAnybody) {
  BlockingScene s;
  for (int i = 0; i < 20; ++i) {
    const auto request = s.serve(s.in(10));
    s.replies(s.begins(10), 101);
    s.finish(request, s.in(10));
  }
  s.show();
  const auto a = s.serve(s.in(11));
  const auto made = s.answered_call(s.begins(11));
  s.finish(a, s.in(11));
  s.wait(600 * kMs);
  EXPECT_TRUE(s.is_parent(a, made));
}

TEST(BlockingTasks, BegunByNobodyThatIsKnown) {
  BlockingScene s;
  s.show();
  const auto a = s.serve(s.in(11));
  const auto made = s.answered_call(s.begins(77));
  s.finish(a, s.in(11));
  s.wait(600 * kMs);
  EXPECT_FALSE(s.is_parent(a, made));
}

}  // namespace
}  // namespace wirespan
