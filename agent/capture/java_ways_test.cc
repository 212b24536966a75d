// java_ways on made-up objects: calls of a client that all share, futures, exchanges of a server.
#include "agent/capture/java_ways.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "agent/capture/java_known_ways.h"

namespace wirespan {
namespace {

enum Class : std::uint32_t { kChannel = 1, kCall, kFuture, kExchange, kClient, kServer, kExecutor, kQueue };

class World : public JavaGraph {
 public:
  const Object& read(std::uint64_t object) override { return objects_[object]; }
  bool is_shared(std::uint32_t named) override { return named == kExecutor; }
  bool moved() override { return moves; }

  std::uint64_t make(Class named) {
    objects_[++last_].named = named;
    return last_;
  }
  void refer(std::uint64_t from, std::uint16_t field, std::uint64_t to) {
    objects_[from].references.push_back({field, to});
  }

  // A connection that the process accepted; its server knows it.
  std::uint64_t accepted() {
    const std::uint64_t channel = make(kChannel);
    refer(server, 8, channel);
    ends[channel] = JavaWays::End::kAccepted;
    return channel;
  }
  // A connection of the client's, which knows it.
  std::uint64_t made() {
    const std::uint64_t channel = make(kChannel);
    const std::uint64_t call = make(kCall);
    refer(channel, 8, call);
    refer(call, 8, client);
    refer(call, 12, executor);
    refer(client, 8, channel);
    ends[channel] = JavaWays::End::kOther;
    begins.push_back(channel);
    return call;
  }
  // The call's response is waited for by whoever answers on that connection.
  void waits(std::uint64_t call, std::uint64_t connection) {
    const std::uint64_t future = make(kFuture);
    const std::uint64_t next = make(kFuture);
    const std::uint64_t exchange = make(kExchange);
    refer(call, 16, future);
    refer(future, 8, next);
    refer(next, 12, exchange);
    refer(exchange, 8, connection);
    refer(exchange, 12, server);
  }
  void calls_wait(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) waits(made(), accepted());
  }
  bool learn(JavaWays& ways) {
    return ways.learn(*this, begins, [this](std::uint64_t object, std::uint32_t) {
      const auto it = ends.find(object);
      return it == ends.end() ? JavaWays::End::kNone : it->second;
    });
  }

 private:
  std::map<std::uint64_t, Object> objects_;
  std::uint64_t last_ = 0;

 public:
  const std::uint64_t client = make(kClient);
  const std::uint64_t server = make(kServer);
  const std::uint64_t executor = make(kExecutor);
  std::map<std::uint64_t, JavaWays::End> ends;
  std::vector<std::uint64_t> begins;
  bool moves = false;
};

void expect_nothing(World& world) {
  JavaWays ways;
  EXPECT_FALSE(world.learn(ways));
  EXPECT_TRUE(ways.found().empty());
}

using Fields = std::vector<std::uint16_t>;

TEST(JavaWays, LeadFromCallsToTheirRequestsAndNotToWhatAllShare) {
  World world;
  world.calls_wait(8);
  JavaWays ways;
  ASSERT_TRUE(world.learn(ways));
  const auto found = ways.found();
  EXPECT_EQ(found.at(kCall), Fields{16});  // neither its client nor its executor
  EXPECT_EQ(found.at(kFuture), (Fields{8, 12}));
  EXPECT_EQ(found.at(kExchange), Fields{8});  // not its server
  EXPECT_FALSE(found.contains(kClient));
  EXPECT_FALSE(found.contains(kServer));
}

TEST(JavaWays, AreNotFoundFromTooFewConnections) {
  World world;
  world.calls_wait(JavaWays::kFewest - 1);
  expect_nothing(world);
}

TEST(JavaWays, AreNotFoundWhereNothingWaits) {
  World world;
  for (int i = 0; i < 8; ++i) {
    world.made();
    world.accepted();
  }
  expect_nothing(world);
}

TEST(JavaWays, ACallThatSeveralRequestsWaitForShowsNone) {
  World world;
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t call = world.made();
    world.waits(call, world.accepted());
    world.waits(call, world.accepted());
  }
  expect_nothing(world);
}

TEST(JavaWays, AreNotFoundWhileObjectsAreMoved) {
  World world;
  world.calls_wait(8);
  world.moves = true;
  expect_nothing(world);
}

// A third of the calls has left something in a queue of the server's, which leads to everyone's exchanges. As long as
// few are seen in it, it seems to be theirs.
TEST(JavaWays, IntoWhatRequestsShareAreGivenUp) {
  JavaWays ways;
  World early;
  for (int i = 0; i < 12; ++i) {
    const std::uint64_t call = early.made();
    if (i % 4 != 0) {
      early.waits(call, early.accepted());
      continue;
    }
    const std::uint64_t queue = early.make(kQueue);
    early.refer(call, 20, queue);
    early.waits(queue, early.accepted());
  }
  ASSERT_TRUE(early.learn(ways));
  ASSERT_TRUE(ways.found().contains(kQueue));

  World late;
  const std::uint64_t queue = late.make(kQueue);
  late.waits(queue, late.accepted());
  for (int i = 0; i < 12; ++i) {
    const std::uint64_t call = late.made();
    late.waits(call, late.accepted());
    late.refer(call, 20, queue);
  }
  ASSERT_TRUE(late.learn(ways));
  const auto found = ways.found();
  const auto of_call = found.find(kCall);
  ASSERT_NE(of_call, found.end());
  EXPECT_EQ(of_call->second, Fields{16});
}

// What is followed whatever is learned leads everywhere through the server.
TEST(JavaWays, WhatIsFollowedBeforehandIsGivenUpWhereItLeadsElsewhere) {
  World world;
  world.calls_wait(8);
  JavaWays ways;
  ways.follows({{kExchange, {12}}, {kServer, {8}}});
  ASSERT_TRUE(world.learn(ways));
  EXPECT_FALSE(ways.spoilers().contains(JavaWays::edge(kExchange, 12))) << "it leads to the server, and no further";
  EXPECT_TRUE(ways.spoilers().contains(JavaWays::edge(kServer, 8)));
  EXPECT_EQ(ways.found().at(kExchange), Fields{8}) << "what was learned stays";
}

TEST(JavaEnds, TwoSortsOfChannels) {
  JavaEnds ends;
  EXPECT_FALSE(ends.begin());
  EXPECT_EQ(ends.channel(0), nullptr) << "what could not be read is none";
  EXPECT_TRUE(ends.add({1, 0, 16}));
  EXPECT_TRUE(ends.add({2, 24, 12}));
  EXPECT_TRUE(ends.add({1, 0, 20}));
  EXPECT_FALSE(ends.add({3, 0, 8}));
  EXPECT_EQ(*ends.channel(1), (JavaChannel{1, 0, 20}));
  EXPECT_EQ(*ends.channel(2), (JavaChannel{2, 24, 12}));
}

}  // namespace
}  // namespace wirespan
