#include "agent/capture/handovers.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

namespace wirespan {
namespace {

constexpr std::uint32_t kPid = 7;
constexpr std::uint64_t kSecond = 1'000'000'000;

struct Host {
  std::set<std::uint32_t> told_otherwise;
  std::set<std::uint32_t> names_tasks;
  std::map<std::uint32_t, bool> watched;
  std::map<std::uint32_t, Handovers::Watch> how;
  std::set<std::uint32_t> prepared;
  Counters counters;
  Handovers handovers{{[this](std::uint32_t pid) { return told_otherwise.contains(pid); },
                       [this](std::uint32_t pid) { return names_tasks.contains(pid); },
                       [this](std::uint32_t pid, Handovers::Watch what) {
                         how[pid] = what;
                         watched[pid] = what != Handovers::Watch::kNothing;
                       },
                       [this](std::uint32_t pid) { prepared.insert(pid); }},
                      counters};
  ConnectionPtr accepted = connection(TcpSide::kPassive);
  ConnectionPtr connected = connection(TcpSide::kActive);
  std::uint64_t now = kSecond;

  static ConnectionPtr connection(TcpSide side) {
    static std::uint64_t id = 0;
    auto conn = std::make_shared<Connection>();
    conn->id = ConnId{++id};
    conn->side = side;
    conn->pid = kPid;
    return conn;
  }
  Host() {
    handovers.opened(*accepted);
    handovers.opened(*connected);
  }
  void moved(const ConnectionPtr& conn, Direction direction, std::uint32_t tid) {
    event::Data data;
    data.conn = conn;
    data.direction = direction;
    data.time = {now += 1000};
    data.actor = {{kPid, tid}, 0, 0, 0};
    handovers.moved(data);
  }
  void request(std::uint32_t reader, std::uint32_t caller) {
    moved(accepted, Direction::kReceived, reader);
    moved(connected, Direction::kSent, caller);
    moved(accepted, Direction::kSent, reader);
  }
  // The caller's response is read by another thread, and somebody waits for it.
  void waited(std::uint32_t reader, std::uint32_t caller, std::uint32_t waiter) {
    moved(accepted, Direction::kReceived, reader);
    moved(connected, Direction::kSent, caller);
    handovers.led(event::Leads{{now}, kPid, connected->id, {}, 0, waiter});
    moved(connected, Direction::kReceived, caller);
    moved(accepted, Direction::kSent, reader);
  }
  void sweep(std::uint64_t seconds) { handovers.sweep({now += seconds * kSecond}); }
};

TEST(Handovers, CallsByThreadsThatReadNoRequests) {
  Host host;
  EXPECT_TRUE(host.prepared.contains(kPid));
  for (std::uint32_t i = 0; i < 15; ++i) host.request(10 + i, 100 + i);
  EXPECT_TRUE(host.watched.empty());
  host.request(9, 99);
  EXPECT_EQ(host.how[kPid], Handovers::Watch::kTasksAndWakes);
  EXPECT_EQ(host.counters.get("capture.wakes.processes").value(), 1U);
  host.handovers.exited(kPid);
  EXPECT_FALSE(host.watched[kPid]);
  EXPECT_EQ(host.counters.get("capture.wakes.processes").value(), 0U);
}

TEST(Handovers, WhereOnlySomeAreByOthersItTakesLonger) {
  Host host;
  for (std::uint32_t i = 0; i < 63; ++i) host.request(10 + i, i % 4 == 0 ? 10 + i : 100 + i);
  EXPECT_TRUE(host.watched.empty());
  host.request(9, 99);
  EXPECT_TRUE(host.watched[kPid]);
}

TEST(Handovers, ThreadsThatMakeTheirOwnCallsCostNothing) {
  Host host;
  for (std::uint32_t i = 0; i < 500; ++i) host.request(10 + i % 8, 10 + i % 8);
  EXPECT_TRUE(host.watched.empty());
}

TEST(Handovers, EventLoopsCostNothing) {
  Host host;
  const ConnectionPtr other = Host::connection(TcpSide::kPassive);
  for (std::uint32_t i = 0; i < 500; ++i) {
    host.moved(other, Direction::kReceived, 10);
    host.request(10, 11);
    host.moved(other, Direction::kSent, 10);
  }
  EXPECT_TRUE(host.watched.empty());
}

// Whoever reads a request goes on to the next one, and a pool makes the calls: no thread waits, so wakes say nothing.
TEST(Handovers, OfAsynchronousProgramsOnlyTasksAreTold) {
  Host host;
  host.names_tasks.insert(kPid);
  const ConnectionPtr other = Host::connection(TcpSide::kPassive);
  for (std::uint32_t i = 0; i < 16; ++i) {
    host.moved(i % 2 == 0 ? other : host.accepted, Direction::kReceived, 10);
    host.moved(host.connected, Direction::kSent, 11);
    host.moved(i % 2 == 0 ? other : host.accepted, Direction::kSent, 11);
  }
  EXPECT_EQ(host.how[kPid], Handovers::Watch::kTasks);
}

// Puma: one thread reads what comes in pieces, for those that answer; who makes their calls does neither.
TEST(Handovers, WhoOnlyReadsForOthersIsNoEventLoop) {
  Host host;
  for (std::uint32_t i = 0; i < 80; ++i) {
    const ConnectionPtr conn = Host::connection(TcpSide::kPassive);
    host.moved(conn, Direction::kReceived, 9);
    host.moved(conn, Direction::kReceived, 10 + i % 8);
    host.moved(host.connected, Direction::kSent, 100 + i);
    host.moved(conn, Direction::kSent, 10 + i % 8);
  }
  EXPECT_EQ(host.how[kPid], Handovers::Watch::kTasksAndWakes);
}

// One thread reads all requests, a pool's make the calls and answer.
TEST(Handovers, WhoAnswersMakesItsOwnCalls) {
  Host host;
  for (std::uint32_t i = 0; i < 500; ++i) {
    const ConnectionPtr conn = Host::connection(TcpSide::kPassive);
    host.moved(conn, Direction::kReceived, 9);
    host.moved(host.connected, Direction::kSent, 10 + i % 8);
    host.moved(conn, Direction::kSent, 10 + i % 8);
  }
  EXPECT_TRUE(host.watched.empty());
}

TEST(Handovers, WhatIsToldOtherwiseIsNot) {
  Host host;
  host.told_otherwise.insert(kPid);
  for (std::uint32_t i = 0; i < 500; ++i) host.request(10, 11);
  EXPECT_TRUE(host.watched.empty());
}

TEST(Handovers, AProcessThatChangesItsWaysIsFoundLater) {
  Host host;
  for (std::uint32_t i = 0; i < 100; ++i) host.request(10, 10);
  for (std::uint32_t i = 0; i < 100; ++i) host.request(10, 11);
  EXPECT_TRUE(host.watched.empty());
  host.sweep(11);
  for (std::uint32_t i = 0; i < 100; ++i) host.request(10, 11);
  EXPECT_TRUE(host.watched[kPid]);
}

TEST(Handovers, WhoWakesTooOftenIsLeftAlone) {
  Host host;
  for (std::uint32_t i = 0; i < 64; ++i) host.request(10, 100);
  host.sweep(1);
  ASSERT_TRUE(host.watched[kPid]);
  const event::Wake wake{{}, {{kPid, 10}, 0, 0, 0}, {kPid, 11}};
  for (int i = 0; i < 1000; ++i) host.handovers.woken(wake);
  host.sweep(1);
  EXPECT_TRUE(host.watched[kPid]);
  for (int i = 0; i < 60'000; ++i) host.handovers.woken(wake);
  host.sweep(1);
  EXPECT_FALSE(host.watched[kPid]);
}

TEST(Handovers, WhereObjectsTellWhoWaitsWakeUpsAreNotNeeded) {
  Host host;
  for (std::uint32_t i = 0; i < 20; ++i) host.request(10 + i, 100);
  ASSERT_TRUE(host.watched[kPid]);
  host.sweep(1);
  for (std::uint32_t i = 0; i < 300; ++i) host.waited(10 + i % 4, 100, 10 + i % 4);
  EXPECT_FALSE(host.watched[kPid]);
  // Nor when it is looked at again.
  host.sweep(11);
  for (std::uint32_t i = 0; i < 300; ++i) host.waited(10 + i % 4, 100, 10 + i % 4);
  EXPECT_FALSE(host.watched[kPid]);
}

TEST(Handovers, WherePoolsWaitTheyAre) {
  Host host;
  for (std::uint32_t i = 0; i < 20; ++i) host.request(10 + i, 100);
  ASSERT_TRUE(host.watched[kPid]);
  for (int round = 0; round < 4; ++round) {
    host.sweep(10);
    for (std::uint32_t i = 0; i < 300; ++i) host.waited(10 + i % 4, 100, 200 + i % 4);
  }
  EXPECT_TRUE(host.watched[kPid]);
}

// A cold JVM's first requests: which of its threads make calls shows only once they have been made.
TEST(Handovers, WhereTasksCanBeToldTheyAreFromTheFirstCallOn) {
  Host host;
  host.names_tasks.insert(8);
  Connection accepted = *host.accepted;
  accepted.pid = 8;
  host.handovers.opened(accepted);
  EXPECT_TRUE(host.prepared.contains(8));
  EXPECT_FALSE(host.watched.contains(8));
  Connection connected = *host.connected;
  connected.pid = 8;
  host.handovers.opened(connected);
  EXPECT_EQ(host.how[8], Handovers::Watch::kTasksAndWakes);
  EXPECT_EQ(host.counters.get("capture.wakes.processes").value(), 1U);
  host.handovers.exited(8);
  EXPECT_FALSE(host.watched[8]);
  EXPECT_EQ(host.counters.get("capture.wakes.processes").value(), 0U);
}

TEST(Handovers, AndNoLongerOnceThreadsAreSeenToMakeTheirOwn) {
  Host host;
  host.handovers.exited(kPid);
  host.names_tasks.insert(kPid);
  host.handovers.opened(*host.accepted);
  host.handovers.opened(*host.connected);
  EXPECT_TRUE(host.watched[kPid]);
  for (std::uint32_t i = 0; i < 64; ++i) host.request(10 + i % 8, 10 + i % 8);
  EXPECT_FALSE(host.watched[kPid]);
}

}  // namespace
}  // namespace wirespan
