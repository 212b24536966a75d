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

TEST(Channels, ManyChannelsAreBounded) {
  Channels channels;
  for (std::uint64_t i = 1; i < 100'000; ++i) {
    static_cast<void>(channels.sends({{}, testing::goroutine(1, i), Role::kSends, i, 0, 0, 0, 1}, i));
  }
}

}  // namespace
}  // namespace wirespan
