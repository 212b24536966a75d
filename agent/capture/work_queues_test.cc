// Queues of Python programs that carry work, and all the others.
#include "agent/capture/work_queues.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

constexpr std::uint64_t kQueue = 0x1000;
constexpr std::uint64_t kOther = 0x2000;
constexpr std::uint32_t kServes = 10;  // to 19
constexpr std::uint32_t kWorks = 20;   // to 29

Actor thread(std::uint32_t tid) {
  return {.thread = {1, tid}};
}
Actor context(std::uint64_t number, std::uint32_t tid = kServes) {
  return {.thread = {1, tid}, .task = kContextTask | number};
}

struct Process : WorkQueues {
  Process() {
    for (std::uint32_t i = 0; i < 10; ++i) serves(thread(kServes + i));
  }
  void pass(std::uint64_t queue, std::uint32_t from, std::uint32_t to, bool unknown = false) {
    pass(queue, thread(from), thread(to), unknown);
  }
  void pass(std::uint64_t queue, const Actor& from, const Actor& to, bool unknown = false) {
    gave(queue, ++object, from);
    changes += took(unknown ? 0 : queue, object, to) != Change::kNone ? 1 : 0;
  }
  std::uint64_t object = 0x100;
  int changes = 0;
};

TEST(WorkQueues, FromThreadsThatServeToOthers) {
  Process p;
  for (std::uint32_t i = 0; i < 100; ++i) p.pass(kQueue, kServes + i % 10, kWorks + i % 3);
  EXPECT_TRUE(p.follows(kQueue));
  EXPECT_FALSE(p.takes_unknown());
  EXPECT_EQ(p.changes, 1);
}

TEST(WorkQueues, StagesBehindIt) {
  Process p;
  for (std::uint32_t i = 0; i < 100; ++i) {
    p.pass(kQueue, kServes, kWorks);
    p.pass(kOther, kWorks, kWorks + 1, true);
  }
  EXPECT_TRUE(p.follows(kQueue));
  EXPECT_TRUE(p.follows(kOther));
  EXPECT_TRUE(p.takes_unknown());
}

TEST(WorkQueues, NotAThreadsOwn) {
  Process p;
  for (int i = 0; i < 100; ++i) p.pass(kQueue, kServes, kServes);
  for (int i = 0; i < 100; ++i) p.pass(kOther, kWorks, kWorks);
  EXPECT_TRUE(p.followed().empty());
}

TEST(WorkQueues, NotResultsNorRequestsThatAreAnsweredByWhoTakes) {
  Process p;
  for (std::uint32_t i = 0; i < 100; ++i) p.pass(kQueue, kServes + 1, kServes + 2);
  EXPECT_TRUE(p.followed().empty());
  p.pass(kOther, kServes, kWorks);
  p.pass(kOther, kServes, kWorks + 1);
  p.serves(thread(kWorks));
  p.serves(thread(kWorks + 1));
  for (std::uint32_t i = 0; i < 100; ++i) p.pass(kOther, kServes, kWorks + i % 2);
  EXPECT_TRUE(p.followed().empty());
}

// A connection that one worker puts back and the next one takes.
TEST(WorkQueues, NotThingsThatComeBack) {
  Process p;
  for (std::uint32_t i = 0; i < 100; ++i) {
    p.pass(kQueue, kServes + i % 10, kWorks + i % 3);
    p.pass(kOther, kWorks + i % 3, kWorks + (i + 1) % 3);
  }
  EXPECT_EQ(p.followed(), std::vector{kQueue});
}

// asyncio.Queue: all of them on one thread.
TEST(WorkQueues, FromTasksThatServeToOthers) {
  Process p;
  for (std::uint64_t i = 0; i < 100; ++i) {
    p.serves(context(i));
    p.pass(kQueue, context(i), context(1000 + i % 3));
  }
  EXPECT_TRUE(p.follows(kQueue));
}

// Of a request's own, as its pool of connections is used by what it does at once.
TEST(WorkQueues, WhatWasBornOfOneThatServesServes) {
  Process p;
  for (std::uint64_t i = 0; i < 100; ++i) {
    p.serves(context(i));
    p.born(
        {.pid = 1, .task = context(1000 + i).task, .count = 2, .ancestors = {context(500 + i).task, context(i).task}});
    p.pass(kQueue, i == 0 ? context(0) : context(1000 + i - 1), context(1000 + i));
    p.born({.pid = 1, .task = context(2000 + i).task, .count = 1, .ancestors = {context(i).task}});
    p.pass(kOther, context(2000 + i), context(5000));
  }
  EXPECT_EQ(p.followed(), std::vector{kOther});
}

TEST(WorkQueues, NotTheLoopsCallbacks) {
  Process p;
  for (std::uint64_t i = 0; i < 100; ++i) {
    p.serves(context(i, kWorks));
    p.pass(kQueue, context(i, kWorks), thread(kWorks));
  }
  EXPECT_TRUE(p.followed().empty());
  EXPECT_EQ(p.callbacks(), kQueue);
}

TEST(WorkQueues, AnotherOneAtItsAddress) {
  Process p;
  for (int i = 0; i < 50; ++i) p.pass(kQueue, kServes, kWorks);
  EXPECT_TRUE(p.follows(kQueue));
  for (int i = 0; i < 50; ++i) p.pass(kQueue, kWorks + 1, kWorks + 1);
  EXPECT_FALSE(p.follows(kQueue));
  EXPECT_EQ(p.changes, 2);
}

TEST(WorkQueues, NotOneThatIsUsedNoMore) {
  Process p;
  for (int i = 0; i < 50; ++i) {
    p.pass(kQueue, kServes, kWorks);
    p.pass(kOther, kServes, kWorks);
  }
  int changes = 0;
  for (int i = 0; i < 1000; ++i) {
    p.pass(kOther, kServes, kWorks);
    changes += p.drop_unused() == WorkQueues::Change::kLess ? 1 : 0;
  }
  EXPECT_EQ(p.followed(), std::vector{kOther});
  EXPECT_EQ(changes, 1);
}

TEST(WorkQueues, Bounded) {
  Process p;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    for (int j = 0; j < 8; ++j) p.pass(0x10000 + i * 8, kServes, kWorks);
    for (std::uint64_t j = 0; j < 1000; ++j) p.gave(0x10000 + i * 8, j, thread(kServes));
  }
  EXPECT_EQ(p.followed().size(), WorkQueues::kMostFollowed);
}

}  // namespace
}  // namespace wirespan
