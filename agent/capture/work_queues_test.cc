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

// That a task serves shows with its first answer, and by then others wait for theirs.
TEST(WorkQueues, WhatWasGivenBeforeTheFirstAnswers) {
  Process p;
  for (std::uint64_t i = 0; i < 128; ++i) p.pass(kQueue, context(i), context(1000 + i % 30));
  EXPECT_TRUE(p.followed().empty());
  for (std::uint64_t i = 0; i < 120; ++i) p.serves(context(i));
  for (std::uint64_t i = 0; i < 40; ++i) p.pass(kQueue, context(i), context(1000 + i % 30));
  EXPECT_TRUE(p.follows(kQueue));
  EXPECT_EQ(p.changes, 1);
  for (std::uint64_t i = 200; i < 300; ++i) p.pass(kQueue, context(i), context(1000 + i % 30));
  EXPECT_TRUE(p.follows(kQueue)) << "others whose first answers are to come";
  EXPECT_EQ(p.changes, 1);
}

// What a connection's context reads of a response, a handler takes; it was born of a request's.
TEST(WorkQueues, NotWhatIsReadOfResponses) {
  Process p;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const Actor reader = context(500 + i % 20);
    p.born({.pid = 1, .task = reader.task, .count = 1, .ancestors = {context(i % 20).task}});
    p.receives(reader);
    p.pass(kQueue, reader, context(1000 + i));
    if (i > 50) p.serves(context(i % 20));
  }
  EXPECT_TRUE(p.followed().empty());
}

// asyncio.Queue's own: workers put themselves into it, and who gives work takes them out.
TEST(WorkQueues, NotOneInWhichWorkersWait) {
  Process p;
  for (std::uint64_t i = 0; i < 200; ++i) {
    p.pass(kOther, context(1000 + i % 60), context(i % 100));
    p.pass(kQueue, context(i % 100), context(1000 + i % 60));
    if (i > 100) p.serves(context(i % 100));
  }
  EXPECT_EQ(p.followed(), std::vector{kQueue});
}

// Connections of more workers than are looked at one by one: each takes one, or makes one, and puts it back.
TEST(WorkQueues, NotAPoolOfManyWorkersConnections) {
  Process p;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const Actor worker = context(1000 + i * 7 % 600);
    if (i < 100) p.serves(context(i));
    p.pass(kQueue, context(i % 100), worker);
    if (i >= 600) (void)p.took(kOther, 0x100000 + i - 600, worker);
    p.gave(kOther, 0x100000 + i, worker);
  }
  EXPECT_EQ(p.followed(), std::vector{kQueue});
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
