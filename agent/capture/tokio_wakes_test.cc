// When wake-ups by value need not be told, and when they have to be again.
#include "agent/capture/tokio_wakes.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

constexpr std::uint64_t kConnection = 20;
constexpr std::int64_t kMs = 1'000'000;

struct Process {
  TokioWakes wakes;
  BootTime now{1'000'000'000};
  ConnectionPtr called = on(TcpSide::kActive);
  ConnectionPtr served = on(TcpSide::kPassive);

  static ConnectionPtr on(TcpSide side) {
    auto conn = std::make_shared<Connection>();
    conn->side = side;
    return conn;
  }
  static Actor task(std::uint64_t number) { return {{1, 2}, 0, kTokioTask | number, 0}; }
  void moved(const ConnectionPtr& conn, Direction direction, std::uint64_t by) {
    event::Data data;
    data.conn = conn;
    data.direction = direction;
    data.time = now = now + 1000;
    data.actor = task(by);
    wakes.moved(data);
  }
  void woke(std::uint64_t waker, std::uint64_t wakee, bool by_reference) {
    wakes.woke({now, task(waker), event::Handover::Role::kWakes, kTokioTask | wakee,
                by_reference ? event::Handover::kByReference : 0});
  }
  void asks(std::uint64_t asker) {
    woke(asker, kConnection, false);
    moved(called, Direction::kSent, kConnection);
  }
  void answers(std::uint64_t awaiting, bool by_reference) {
    moved(called, Direction::kReceived, kConnection);
    woke(kConnection, awaiting, by_reference);
  }
  void calls(int count, bool by_reference = true) {
    for (int i = 0; i < count; ++i) {
      asks(10);
      answers(10, by_reference);
    }
  }
  bool all_after(std::int64_t ns) {
    now = now + ns;
    return wakes.all(now);
  }
  // Asks as often as sweeps do.
  bool ever_all(std::int64_t ns) {
    bool ever = false;
    for (std::int64_t passed = 0; passed < ns; passed += 100 * kMs) ever = all_after(100 * kMs) || ever;
    return ever;
  }
  void prove() {
    EXPECT_TRUE(all_after(0));
    now = now + 200 * kMs;
    calls(300);
    EXPECT_FALSE(all_after(0));
  }
};

TEST(TokioWakes, OnceWhoAskedHasAlwaysBeenWhoAwaitedAnswersAreEnough) {
  Process process;
  process.calls(100);
  EXPECT_TRUE(process.all_after(0)) << "too few";
  process.calls(200);
  EXPECT_FALSE(process.all_after(0));
}

TEST(TokioWakes, WhatConsumersDoBetweenJobsIsToldWhileWatchedAndWhereThereAreSuch) {
  Process without;
  without.moved(without.served, Direction::kReceived, 10);
  EXPECT_TRUE(without.wakes.jobs()) << "nobody knows yet";
  without.prove();
  EXPECT_FALSE(without.wakes.jobs());

  Process many;  // each of them awaits but few responses while it is watched
  EXPECT_TRUE(many.all_after(0));
  many.now = many.now + 200 * kMs;
  for (std::uint64_t i = 0; i < 300; ++i) {
    many.asks(1000 + i % 150);
    many.answers(1000 + i % 150, true);
    many.wakes.replied(kTokioTask | (1000 + i % 150));
  }
  static_cast<void>(many.all_after(0));
  EXPECT_TRUE(many.wakes.jobs());

  Process few;  // whose replies are not seen
  EXPECT_TRUE(few.all_after(0));
  few.now = few.now + 200 * kMs;
  few.calls(300);
  static_cast<void>(few.all_after(0));
  EXPECT_TRUE(few.wakes.jobs());
}

TEST(TokioWakes, WhereWhoAwaitsIsWokenByValueAllAreNeeded) {
  Process process;
  process.calls(300, false);
  EXPECT_TRUE(process.all_after(0));
  process.calls(100'000);
  EXPECT_FALSE(process.ever_all(0) && !process.all_after(0)) << "for good";
  EXPECT_TRUE(process.all_after(100'000 * kMs));
}

TEST(TokioWakes, WhereOthersAwaitThanAskedAllAreNeeded) {
  Process process;
  for (int i = 0; i < 300; ++i) {
    process.asks(10);
    process.answers(i % 20 == 0 ? 11 : 10, true);
  }
  EXPECT_TRUE(process.all_after(0));
}

TEST(TokioWakes, WhoServesMayCallAnotherServerItself) {
  Process process;
  for (int i = 0; i < 300; ++i) {
    process.moved(process.served, Direction::kReceived, 10);
    process.moved(process.called, Direction::kSent, 10);  // a database, by its own hand
    process.moved(process.called, Direction::kReceived, 10);
    process.calls(1);
  }
  EXPECT_FALSE(process.all_after(0));
}

TEST(TokioWakes, NowAndThenItIsLookedAtAgain) {
  Process process;
  process.prove();
  EXPECT_FALSE(process.ever_all(29'000 * kMs));
  EXPECT_TRUE(process.ever_all(2'000 * kMs));
  process.now = process.now + 200 * kMs;
  process.calls(100);
  EXPECT_FALSE(process.all_after(0));
  EXPECT_TRUE(process.ever_all(31'000 * kMs));
  EXPECT_FALSE(process.all_after(3'000 * kMs)) << "there is nothing to see";
}

TEST(TokioWakes, WhatIsLookedAtAgainMayHaveChanged) {
  Process process;
  process.prove();
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(process.ever_all(31'000 * kMs));
    process.now = process.now + 200 * kMs;
    process.calls(64, i % 2 == 0);
    process.all_after(0);
  }
  EXPECT_TRUE(process.all_after(0));
}

TEST(TokioWakes, WhileResponsesTakeLongItMustBeKnownWhoAsks) {
  Process process;
  process.prove();
  process.asks(10);
  EXPECT_TRUE(process.ever_all(1'000 * kMs));
  process.answers(10, true);
  EXPECT_TRUE(process.all_after(59'000 * kMs));
  EXPECT_FALSE(process.all_after(2'000 * kMs) && process.all_after(3'000 * kMs));
}

TEST(TokioWakes, WhatIsNeverAnsweredIsNoCall) {
  Process process;
  process.prove();
  process.moved(process.called, Direction::kSent, kConnection);
  EXPECT_TRUE(process.ever_all(6'000 * kMs));
  EXPECT_FALSE(process.ever_all(0));
  process.all_after(61'000 * kMs);
  EXPECT_FALSE(process.all_after(3'000 * kMs));
}

struct Blocking : Process {
  std::uint64_t last = 1000;
  void begin() {
    wakes.began_blocking(
        {now, task(10), event::Handover::Role::kSpawns, kTokioTask | ++last, event::Handover::kBlocking});
  }
  void call() {
    moved(called, Direction::kSent, last);
    moved(called, Direction::kReceived, last);
  }
  void calls_of_their_own(int tasks) {
    for (int i = 0; i < tasks; ++i) {
      begin();
      call();
      call();
    }
  }
};

TEST(TokioWakes, WhoWasBegunToMakeCallsIsAskedByNobody) {
  Blocking process;
  process.calls_of_their_own(200);
  EXPECT_TRUE(process.all_after(0)) << "too few";
  process.calls_of_their_own(100);
  EXPECT_FALSE(process.all_after(0));
  process.begin();
  process.moved(process.called, Direction::kSent, process.last);
  EXPECT_FALSE(process.ever_all(29'000 * kMs)) << "slow as it may be";
}

TEST(TokioWakes, OnceOthersMakeCallsTooThatIsLookedAt) {
  Blocking process;
  process.calls_of_their_own(1'000);
  EXPECT_FALSE(process.all_after(0));
  process.calls(4);
  EXPECT_FALSE(process.ever_all(1'000 * kMs)) << "next to none";
  process.calls(60);
  EXPECT_TRUE(process.ever_all(3'000 * kMs)) << "until enough are judged";
  process.calls(100);
  process.calls_of_their_own(300);
  EXPECT_TRUE(process.all_after(0));
  process.calls(300);
  EXPECT_FALSE(process.all_after(0));
}

TEST(TokioWakes, ABlockingLoopThatRepliesNeedsAll) {
  Blocking process;
  process.all_after(100 * kMs);
  process.now = process.now + 200 * kMs;
  process.begin();
  for (int i = 0; i < 300; ++i) {
    process.call();
    process.woke(process.last, 10, true);
  }
  process.calls_of_their_own(300);
  EXPECT_TRUE(process.all_after(0));
}

TEST(TokioWakes, WhereBlockingTasksReplyByValueThatIsNeeded) {
  Blocking process;
  process.moved(process.served, Direction::kReceived, 10);
  for (int i = 0; i < 300; ++i) {
    process.calls_of_their_own(1);
    process.woke(process.last, 10, false);
  }
  EXPECT_TRUE(process.all_after(0));
}

TEST(TokioWakes, WhereConsumersMakeTheCallsWhoWakesThemIsToldOn) {
  Process p;
  constexpr std::uint64_t kConsumer = 30;
  p.all_after(100 * kMs);
  for (int i = 0; i < 300; ++i) {
    p.moved(p.served, Direction::kReceived, 10);
    p.woke(10, kConsumer, false);
    p.asks(kConsumer);
    p.answers(kConsumer, true);
  }
  EXPECT_TRUE(p.all_after(100 * kMs));
  EXPECT_TRUE(p.all_after(60'000 * kMs));
}

}  // namespace
}  // namespace wirespan
