#include "correlator/channels.h"

#include <gtest/gtest.h>

#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using Role = event::Handover::Role;

struct Chan {
  explicit Chan(std::uint32_t room) : capacity(room) {}
  std::uint32_t capacity;
  Channels channels;
  // Who is known to work for what after the operation; 0: known not to be known.
  std::map<std::uint64_t, std::uint64_t> works;

  void send(std::uint64_t task, std::uint64_t work, std::uint32_t queued, std::uint64_t place,
            std::uint64_t other = 0) {
    const event::Handover e{{}, testing::goroutine(1, task), Role::kSends, 0xc0, place, other, queued, capacity};
    for (const auto& given : channels.sends(e, work)) works[given.task] = given.work;
  }
  void receive(std::uint64_t task, std::uint32_t queued, std::uint64_t place, std::uint64_t other = 0) {
    const event::Handover e{{}, testing::goroutine(1, task), Role::kReceives, 0xc0, place, other, queued, capacity};
    for (const auto& given : channels.receives(e)) works[given.task] = given.work;
  }
};

TEST(Channels, AWaitingReceiverGetsWhatIsSent) {
  Chan c(0);
  c.receive(50, 0, 0);
  EXPECT_EQ(c.works[50], 0U);
  c.send(1, 100, 0, 0, 50);
  EXPECT_EQ(c.works[50], 100U);
}

TEST(Channels, AReceiverOlderThanTheAgent) {
  Chan c(0);
  c.send(1, 100, 0, 0, 50);
  EXPECT_EQ(c.works[50], 100U);
}

TEST(Channels, TheBufferIsAQueue) {
  Chan c(4);
  c.send(1, 100, 0, 2);
  c.send(2, 200, 1, 3);
  c.send(3, 300, 2, 0);
  c.receive(50, 3, 2);
  c.receive(51, 2, 3);
  c.receive(50, 1, 0);
  EXPECT_EQ(c.works[51], 200U);
  EXPECT_EQ(c.works[50], 300U);
}

TEST(Channels, ABlockedSenderTakesTheFreedPlace) {
  Chan c(1);
  c.send(1, 100, 0, 0);
  c.send(2, 200, 1, 0);
  c.receive(50, 1, 0, 2);
  EXPECT_EQ(c.works[50], 100U);
  c.receive(50, 1, 0);
  EXPECT_EQ(c.works[50], 200U);
}

TEST(Channels, ASenderThatWaitsForAReceiver) {
  Chan c(0);
  c.send(1, 100, 0, 0);
  c.receive(50, 0, 0, 1);
  EXPECT_EQ(c.works[50], 100U);
}

TEST(Channels, TwoSendersAtOnceAreNotToldApart) {
  Chan c(4);
  c.send(1, 100, 0, 0);
  c.send(2, 200, 0, 0);  // saw the channel as the first one did
  c.receive(50, 2, 0);
  c.receive(51, 1, 1);
  EXPECT_EQ(c.works[50], 0U);
  EXPECT_EQ(c.works[51], 0U);
}

TEST(Channels, TwoReceiversAtOnceAreNotToldApart) {
  Chan c(4);
  c.send(1, 100, 0, 0);
  c.send(2, 200, 1, 1);
  c.receive(50, 2, 0);
  c.receive(51, 2, 0);
  EXPECT_EQ(c.works[50], 0U);
  EXPECT_EQ(c.works[51], 0U);
}

TEST(Channels, TwoSendersThatSawTheSameReceiverWait) {
  Chan c(0);
  c.receive(50, 0, 0);
  c.receive(51, 0, 0);
  c.send(1, 100, 0, 0, 50);
  c.send(2, 200, 0, 0, 50);
  EXPECT_EQ(c.works[50], 0U);
  EXPECT_EQ(c.works[51], 0U);
}

TEST(Channels, ASenderOnItsWayFindsTheReceiverThatCame) {
  Chan c(4);
  c.send(1, 100, 0, 0);  // saw nobody wait
  c.receive(50, 0, 0);   // saw nothing there
  EXPECT_EQ(c.works[50], 100U);
  c.receive(51, 1, 0);  // takes it: the sender was first
  EXPECT_EQ(c.works[51], 100U);
  EXPECT_EQ(c.works[50], 0U);
  c.send(2, 200, 0, 0, 50);
  EXPECT_EQ(c.works[50], 200U);
}

TEST(Channels, TheSameWithoutBuffer) {
  Chan c(0);
  c.send(1, 100, 0, 0);
  c.receive(50, 0, 0);
  c.receive(51, 0, 0, 1);
  EXPECT_EQ(c.works[50], 0U);
  EXPECT_EQ(c.works[51], 100U);
}

using Select = event::Handover::Select;

constexpr std::uint64_t kJobs = 0xc0;
constexpr std::uint64_t kUrgent = 0xd0;
constexpr std::uint64_t kResults = 0xe0;
constexpr std::uint64_t kLoop = 0x400100;  // where a worker waits in its select

// Goroutines that wait for several channels of 8 elements each.
struct Selects {
  Channels channels;
  std::map<std::uint64_t, std::uint64_t> works;
  std::map<std::uint64_t, std::uint64_t> draws;                          // by task, not settled
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> won;  // by draw: task and work
  bool came_back = false;

  void note(const std::vector<Channels::Given>& all) {
    for (const auto& given : all) {
      if (given.settled)
        won[given.draw] = {given.task, given.work};
      else if (given.draw != 0)
        draws[given.task] = given.draw;
      else
        works[given.task] = given.work;
      came_back = given.comes_back;
    }
  }
  void send(std::uint64_t channel, std::uint64_t task, std::uint64_t work, std::uint32_t queued, std::uint64_t place,
            std::uint64_t other = 0) {
    note(channels.sends({{}, testing::goroutine(1, task), Role::kSends, channel, place, other, queued, 8}, work));
  }
  void receive(std::uint64_t channel, std::uint64_t task, std::uint32_t queued, std::uint64_t place, Select select) {
    const event::Handover e{{},    testing::goroutine(1, task), Role::kReceives, channel, place, 0, queued, 8, kLoop,
                            select};
    note(channels.receives(e));
  }
  // What the task's last draw was settled to, 0: it was not.
  std::uint64_t drew(std::uint64_t task) { return won.contains(draws[task]) ? won[draws[task]].second : 0; }
};

TEST(Channels, WhoWaitsForTwoGetsWhatEitherBrings) {
  Selects s;
  s.receive(kUrgent, 50, 0, 0, Select::kFirst);
  s.receive(kJobs, 50, 0, 0, Select::kAnother);
  s.send(kJobs, 1, 100, 0, 0, 50);
  EXPECT_EQ(s.works[50], 100U);
  s.receive(kUrgent, 50, 0, 0, Select::kFirst);
  s.receive(kJobs, 50, 0, 0, Select::kAnother);
  s.send(kUrgent, 2, 200, 0, 0, 50);
  EXPECT_EQ(s.works[50], 200U);
}

TEST(Channels, TwoThatFindTheSameOneWaitAreNotToldApart) {
  Selects s;
  s.receive(kUrgent, 50, 0, 0, Select::kFirst);
  s.receive(kJobs, 50, 0, 0, Select::kAnother);
  s.send(kJobs, 1, 100, 0, 0, 50);
  s.send(kUrgent, 2, 200, 0, 0, 50);  // it is still in this one's queue, and has been given that
  EXPECT_EQ(s.works[50], 0U);
}

TEST(Channels, OneOfTwoIsKnownOnceItIsGone) {
  Selects s;
  s.send(kUrgent, 1, 100, 0, 0);
  s.send(kJobs, 2, 200, 0, 3);
  s.receive(kUrgent, 50, 1, 0, Select::kFirstDrawn);
  s.receive(kJobs, 50, 1, 3, Select::kAnotherDrawn);
  EXPECT_EQ(s.drew(50), 0U);
  s.send(kUrgent, 3, 300, 1, 1);  // the first one is still there
  EXPECT_EQ(s.drew(50), 0U);
  s.send(kJobs, 4, 400, 0, 4);  // and here it is not
  EXPECT_EQ(s.drew(50), 200U);
}

TEST(Channels, WhoDrawsNextShowsWhatTheOneBeforeGot) {
  Selects s;
  s.send(kUrgent, 1, 100, 0, 0);
  s.send(kUrgent, 2, 200, 1, 1);
  s.send(kJobs, 3, 300, 0, 3);
  s.receive(kUrgent, 50, 2, 0, Select::kFirstDrawn);
  s.receive(kJobs, 50, 1, 3, Select::kAnotherDrawn);
  s.receive(kUrgent, 51, 1, 1, Select::kFirstDrawn);
  EXPECT_EQ(s.drew(50), 100U);
  s.receive(kJobs, 51, 1, 3, Select::kAnotherDrawn);
  s.send(kJobs, 4, 400, 0, 4);
  EXPECT_EQ(s.drew(51), 300U);
}

TEST(Channels, TwoThatDrewTheSameAreNotToldApart) {
  Selects s;
  s.send(kJobs, 1, 100, 0, 0);
  s.send(kJobs, 2, 200, 1, 1);
  s.receive(kJobs, 50, 2, 0, Select::kFirstDrawn);
  s.receive(kJobs, 51, 2, 0, Select::kFirstDrawn);
  s.send(kJobs, 3, 300, 1, 2);
  EXPECT_EQ(s.drew(50), 0U);
  EXPECT_EQ(s.drew(51), 0U);
}

TEST(Channels, WhoComesBackAndFindsItThereDidNotTakeIt) {
  Selects s;
  s.send(kJobs, 1, 100, 0, 0);
  s.receive(kJobs, 50, 1, 0, Select::kFirstDrawn);  // a timer was due as well
  const auto first = s.draws[50];
  s.receive(kJobs, 50, 1, 0, Select::kFirstDrawn);
  EXPECT_NE(s.draws[50], first);
  s.send(kJobs, 2, 200, 0, 1);
  EXPECT_EQ(s.drew(50), 100U);
  EXPECT_FALSE(s.won.contains(first));
}

TEST(Channels, WhatMayHaveBeenDrawnIsNotCertainlyTheNextOnes) {
  Selects s;
  s.send(kJobs, 1, 100, 0, 0);
  s.receive(kJobs, 50, 1, 0, Select::kFirstDrawn);
  s.receive(kJobs, 51, 1, 0, Select::kNone);
  EXPECT_EQ(s.works.count(51), 0U);
  s.send(kJobs, 2, 200, 0, 1);
  EXPECT_EQ(s.drew(50), 0U);
  EXPECT_EQ(s.drew(51), 0U);
}

TEST(Channels, WhatIsPutBackIsNoWork) {
  Selects s;
  for (std::uint64_t i = 0; i < 6; ++i) {
    s.send(kResults, 50 + i % 2, 100, 0, i % 8);
    s.receive(kResults, 50 + i % 2, 1, i % 8, Select::kNone);
  }
  EXPECT_TRUE(s.came_back);
  for (std::uint64_t i = 0; i < 6; ++i) {
    s.send(kJobs, 1, 100, 0, i % 8);
    s.receive(kJobs, 50, 1, i % 8, Select::kNone);
  }
  EXPECT_FALSE(s.came_back);
}

TEST(Channels, ManyDrawsAreBounded) {
  Selects s;
  constexpr std::uint64_t kDraws = 20'000;
  for (std::uint64_t i = 1; i <= kDraws; ++i) {
    s.receive(kJobs, i, 1, 0, Select::kFirstDrawn);
    s.receive(i << 20U, i, 1, 0, Select::kAnotherDrawn);
  }
  // All of them are seen to have taken what was in those of their own: who has been forgotten is not told of.
  for (std::uint64_t i = kDraws; i > 0; --i) s.send(i << 20U, 1, 100, 0, 1);
  EXPECT_GT(s.won.size(), 0U);
  EXPECT_LE(s.won.size(), 4096U);
}

TEST(Channels, ManyChannelsAreBounded) {
  Channels channels;
  for (std::uint64_t i = 1; i < 100'000; ++i) {
    static_cast<void>(channels.sends({{}, testing::goroutine(1, i), Role::kSends, i, 0, 0, 0, 1}, i));
  }
}

}  // namespace
}  // namespace wirespan
