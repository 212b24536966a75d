#include "agent/capture/turns.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace wirespan {
namespace {

constexpr std::uint32_t kPid = 7;
constexpr std::uint64_t kSecond = 1'000'000'000;

struct Host {
  std::set<std::uint32_t> loops{kPid};
  std::vector<bool> asked;
  Turns turns{{[this](std::uint32_t pid) { return loops.contains(pid); },
               [this](bool on) {
                 asked.push_back(on);
                 return true;
               }}};
  void opened(TcpSide side, std::uint64_t second, std::uint32_t pid = kPid) {
    turns.opened(conn(side, pid), {second * kSecond});
  }
  static Connection conn(TcpSide side, std::uint32_t pid = kPid) {
    Connection conn;
    conn.side = side;
    conn.pid = pid;
    return conn;
  }
  [[nodiscard]] std::uint32_t believed(std::uint64_t second, std::uint32_t turn, std::uint32_t pid = kPid) const {
    return turns.believed(pid, {second * kSecond}, turn);
  }
};

TEST(Turns, WhoOnlyServesCostsForItsFirstMomentsOnly) {
  Host host;
  for (std::uint64_t second = 1; second < 20; ++second) {
    host.opened(TcpSide::kPassive, second);
    host.turns.sweep({second * kSecond});
  }
  EXPECT_EQ(host.asked, (std::vector{true, false}));
  EXPECT_EQ(host.believed(1, 1), 1U);
}

TEST(Turns, WhoOnlyCallsCostsNothing) {
  Host host;
  for (int i = 0; i < 3; ++i) host.opened(TcpSide::kActive, 1);
  EXPECT_TRUE(host.asked.empty());
}

TEST(Turns, TheFirstCallAfterTheFirstRequestIsUnderstood) {
  Host host;
  host.opened(TcpSide::kPassive, 10);
  host.opened(TcpSide::kActive, 11);
  EXPECT_EQ(host.asked, std::vector{true});
  EXPECT_EQ(host.believed(11, 1), 1U);
}

TEST(Turns, WhoServesAndCallsByThreadsAloneCostsNothing) {
  Host host;
  host.loops.clear();
  host.opened(TcpSide::kPassive, 1);
  host.opened(TcpSide::kActive, 1);
  EXPECT_TRUE(host.asked.empty());
  EXPECT_EQ(host.believed(1, 1), 1U);
}

TEST(Turns, ALoopMadeLaterIsFound) {
  Host host;
  host.loops.clear();
  host.opened(TcpSide::kPassive, 1);
  host.opened(TcpSide::kActive, 1);
  host.loops.insert(kPid);
  host.turns.sweep({3 * kSecond});
  EXPECT_TRUE(host.asked.empty());
  host.turns.sweep({7 * kSecond});
  EXPECT_EQ(host.asked, std::vector{true});
}

TEST(Turns, NothingIsBelievedOfBeforeTheyWereCounted) {
  Host host;
  host.opened(TcpSide::kActive, 1);
  host.opened(TcpSide::kPassive, 10);
  EXPECT_EQ(host.asked, std::vector{true});
  EXPECT_EQ(host.believed(9, 1), kTurnUnknown);
  EXPECT_EQ(host.believed(9, 12), kTurnUnknown) << "left over from an earlier time";
  EXPECT_EQ(host.believed(10, 1), kTurnUnknown) << "may be in a turn that began before";
  EXPECT_EQ(host.believed(10, 2), 2U);
  EXPECT_EQ(host.believed(12, 1), 1U) << "a worker, which never waits";
  EXPECT_EQ(host.believed(9, 1, 8), 1U) << "another process, without a loop";
}

TEST(Turns, ConnectionsThatAreNotReadDoNotCount) {
  Host host;
  host.opened(TcpSide::kPassive, 1);
  host.opened(TcpSide::kActive, 1);
  host.turns.ignored(Host::conn(TcpSide::kActive));
  host.turns.sweep({2 * kSecond});
  EXPECT_TRUE(host.turns.watching()) << "not detached at once: the next one may come";
  host.turns.sweep({4 * kSecond});
  EXPECT_EQ(host.asked, (std::vector{true, false}));
  host.opened(TcpSide::kActive, 20);
  EXPECT_EQ(host.asked, (std::vector{true, false, true}));
  EXPECT_EQ(host.believed(15, 8), kTurnUnknown);
}

TEST(Turns, EndWithTheLastLoop) {
  Host host;
  host.loops.insert(8);
  for (const std::uint32_t pid : {kPid, 8U}) {
    host.opened(TcpSide::kPassive, 1, pid);
    host.opened(TcpSide::kActive, 1, pid);
  }
  host.turns.exited(kPid);
  for (std::uint64_t second = 2; second < 30; ++second) host.turns.sweep({second * kSecond});
  EXPECT_TRUE(host.turns.watching());
  host.turns.exited(8);
  for (std::uint64_t second = 30; second < 60; ++second) host.turns.sweep({second * kSecond});
  EXPECT_EQ(host.asked, (std::vector{true, false}));
}

}  // namespace
}  // namespace wirespan
