// evidence/goroutine: work that goes through channels, scenes it must link and scenes it must refuse.
#include <gtest/gtest.h>

#include "correlator/testing/go_scene.h"

namespace wirespan {
namespace {

using testing::goroutine;
using testing::GoScene;
using Role = testing::GoRole;

constexpr std::uint32_t kPid = testing::kGoPid;

TEST(GoroutineChannels, AJobIsForgottenWhereChannelsAreNotWatchedAnyMore) {
  GoScene s;
  const auto a = s.read(20, {});
  const auto receive = [&](std::uint64_t from) {
    s.correlator.on_event(event::Handover{s.now, goroutine(kPid, 50, 1), Role::kReceives, 0xd000, 0, from, 0, 0});
  };
  const auto send = [&] {
    s.correlator.on_event(event::Handover{s.now, goroutine(kPid, 20, 1), Role::kSends, 0xd000, 0, 50, 0, 0});
  };
  receive(0);
  send();
  const auto of_a = s.call(goroutine(kPid, 50, 1));
  event::Handover unwatched;
  unwatched.actor.thread.pid = kPid;
  unwatched.role = Role::kUnwatched;
  s.correlator.on_event(unwatched);
  const auto of_whom = s.call(goroutine(kPid, 50, 1));
  receive(0);  // told of late
  send();
  const auto of_whom_else = s.call(goroutine(kPid, 50, 1));
  unwatched.role = Role::kWatched;
  s.correlator.on_event(unwatched);
  receive(0);
  send();
  const auto again = s.call(goroutine(kPid, 50, 1));
  s.finish_all({of_a, of_whom, of_whom_else, again, a, s.other});
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_EQ(s.span(of_a).parent.method, "channel");
  EXPECT_TRUE(s.is_root(of_whom));
  EXPECT_TRUE(s.is_root(of_whom_else));
  EXPECT_TRUE(s.is_parent(a, again));
}

using Select = event::Handover::Select;

constexpr std::uint64_t kJobs = 0xd000;
constexpr std::uint64_t kUrgent = 0xe000;
constexpr std::uint64_t kAtTheLoop = 0x400100;  // where workers wait in a select
constexpr std::uint64_t kElsewhere = 0x400200;

// Channels of 8 elements.
struct ChannelScene : GoScene {
  void send(std::uint64_t channel, std::uint64_t task, std::uint32_t queued, std::uint64_t place,
            std::uint64_t waits = 0) {
    correlator.on_event(event::Handover{now, goroutine(kPid, task, 1), Role::kSends, channel, place, waits, queued, 8});
  }
  void receive(std::uint64_t channel, std::uint64_t task, std::uint32_t queued, std::uint64_t place, Select select,
               std::uint64_t site = kAtTheLoop, std::uint64_t parent = 1) {
    correlator.on_event(event::Handover{now, goroutine(kPid, task, parent), Role::kReceives, channel, place, 0, queued,
                                        8, site, select});
  }
  void ask(std::uint64_t task, std::uint64_t site) {
    correlator.on_event(event::Handover{now, goroutine(kPid, task, 1), Role::kAsks, 0, 0, 0, 0, 0, site});
  }
  ExchangePtr work() { return call(goroutine(kPid, 50, 1)); }
};

TEST(GoroutineChannels, AWorkerInASelectWorksForWhatItWasSent) {
  ChannelScene s;
  const auto a = s.read(20, {});
  const auto b = s.read(30, {});
  s.receive(kUrgent, 50, 0, 0, Select::kFirst);
  s.receive(kJobs, 50, 0, 0, Select::kAnother);
  s.send(kJobs, 20, 0, 0, 50);
  const auto of_a = s.work();
  s.receive(kUrgent, 50, 0, 0, Select::kFirst);
  s.receive(kJobs, 50, 0, 0, Select::kAnother);
  const auto of_nobody = s.work();
  s.send(kUrgent, 30, 0, 0, 50);
  const auto of_b = s.work();
  s.ask(50, kElsewhere);  // in the middle of its work, for something it does not get
  const auto of_b_too = s.work();
  s.ask(50, kAtTheLoop);
  const auto of_nobody_again = s.work();
  s.finish_all({of_a, of_nobody, of_b, of_b_too, of_nobody_again, a, b});
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_EQ(s.span(of_a).parent.method, "channel");
  EXPECT_TRUE(s.is_root(of_nobody));
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_TRUE(s.is_parent(b, of_b_too));
  EXPECT_TRUE(s.is_root(of_nobody_again));
}

// One in between that waits for its children by a WaitGroup is seen only when it begins them.
TEST(GoroutineChannels, WhoBeginsOthersIsKnown) {
  ChannelScene s;
  s.show_that_children_end();
  const auto a = s.read(20, {21});
  s.hand_over(Role::kSpawns, 0, 21, 20);
  const auto grandchild = s.call(goroutine(kPid, 22, 21));
  const auto of_who_knows = s.call(goroutine(kPid, 24, 23));
  s.finish_all({grandchild, of_who_knows, a, s.other});
  EXPECT_TRUE(s.is_parent(a, grandchild));
  EXPECT_TRUE(s.is_root(of_who_knows));
}

// As handlers under net/http's TimeoutHandler do, and children that call on others.
TEST(GoroutineChannels, WhoWaitsForWhatItsOwnChildrenReturnIsNoWorker) {
  ChannelScene s;
  s.show_that_children_end();
  const auto a = s.read(20, {21});
  s.receive(0xf000, 21, 0, 0, Select::kNone, kAtTheLoop, 20);
  const auto first = s.call(goroutine(kPid, 22, 21));
  s.correlator.on_event(event::Handover{s.now, goroutine(kPid, 22, 21), Role::kSends, 0xf000, 0, 21, 0, 8});
  const auto second = s.call(goroutine(kPid, 23, 21));
  s.correlator.on_event(event::Handover{s.now, goroutine(kPid, 23, 21), Role::kSends, 0xf000, 0, 0, 0, 8});
  s.receive(0xf000, 21, 1, 0, Select::kNone, kAtTheLoop, 20);
  const auto third = s.call(goroutine(kPid, 24, 21));
  const auto own = s.call(goroutine(kPid, 21, 20));
  s.finish_all({first, second, third, own, a, s.other});
  for (const auto& made : {first, second, third, own}) {
    EXPECT_TRUE(s.is_parent(a, made));
    EXPECT_EQ(s.span(made).parent.method, "goroutine");
  }
}

TEST(GoroutineChannels, AWorkerThatAHandlerBeganWorksForWhoFeedsIt) {
  ChannelScene s;
  s.show_that_children_end();
  const auto a = s.read(20, {21});
  const auto b = s.read(30, {31});
  s.receive(kJobs, 21, 0, 0, Select::kNone, kAtTheLoop, 20);
  s.send(kJobs, 30, 0, 0, 21);
  const auto of_b = s.call(goroutine(kPid, 21, 20));
  s.receive(kJobs, 21, 0, 0, Select::kNone, kAtTheLoop, 20);
  const auto of_nobody = s.call(goroutine(kPid, 21, 20));
  s.finish_all({of_b, of_nobody, a, b, s.other});
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_TRUE(s.is_root(of_nobody));
}

TEST(GoroutineChannels, AChildThatReadsTheRestOfTheRequestWorksForIt) {
  GoScene s;
  s.show_that_children_end();
  const auto conn = s.connection(kPid, 0, 0, TcpSide::kPassive, goroutine(kPid, 20, 1));
  s.finish_all({s.read(20, {21}, conn)});
  event::Births births{s.now, kPid, 20, 1, {22 | 11ULL << 56U}};
  s.correlator.on_event(births);
  const auto second = s.serve(goroutine(kPid, 22, 20), conn);
  const auto itself = s.call(goroutine(kPid, 22, 20));
  const auto child = s.call(goroutine(kPid, 23, 22));
  const auto of_the_first = s.call(goroutine(kPid, 24, 20));
  s.finish_all({itself, child, of_the_first, second, s.other});
  EXPECT_TRUE(s.is_parent(second, itself));
  EXPECT_TRUE(s.is_parent(second, child));
  EXPECT_TRUE(s.is_parent(second, of_the_first));
}

// Two channels have a job each for the worker, and the runtime draws one of them.
struct DrawnScene : ChannelScene {
  ExchangePtr a = read(20, {});
  ExchangePtr b = read(30, {});
  DrawnScene() {
    send(kJobs, 20, 0, 0);
    send(kUrgent, 30, 0, 0);
    receive(kUrgent, 50, 1, 0, Select::kFirstDrawn);
    receive(kJobs, 50, 1, 0, Select::kAnotherDrawn);
  }
};

TEST(GoroutineChannels, CallsOfAJobThatWasDrawnWaitUntilItIsKnown) {
  DrawnScene s;
  const auto call = s.work();
  s.finish_all({call});
  EXPECT_EQ(s.counters.get("correlator.links.channel").value(), 0U);
  s.send(kJobs, 500, 0, 1);  // what was there is gone
  EXPECT_EQ(s.counters.get("correlator.links.channel").value(), 1U);
  const auto next = s.work();
  s.finish_all({next, s.a, s.b});
  EXPECT_TRUE(s.is_parent(s.a, call));
  EXPECT_TRUE(s.is_parent(s.a, next));
}

TEST(GoroutineChannels, AJobThatWasDrawnAndIsNeverKnownIsNobodys) {
  DrawnScene s;
  const auto call = s.work();
  s.finish_all({call, s.a, s.b});
  EXPECT_TRUE(s.is_root(call));
}

// Elements that hold addresses are told apart by them.
struct DispatchScene : ChannelScene {
  void send(std::uint64_t element, std::uint64_t channel, const Actor& who, std::uint64_t waits = 0) {
    correlator.on_event(event::Handover{now, who, Role::kSends, channel, 0, waits, 0, 8, 0, Select::kNone, element});
  }
  // Workers wait on channels of their own.
  void waits(std::uint64_t worker) { receive(0x10000 + worker, worker, 0, 0, Select::kNone); }
  void pass_on(std::uint64_t element, const Actor& by, std::uint64_t to) { send(element, 0x10000 + to, by, to); }
  ExchangePtr call_by(std::uint64_t worker) { return call(goroutine(kPid, worker, 1)); }
  ExchangePtr a = read(30, {});
  ExchangePtr b = read(40, {});
};

TEST(GoroutineChannels, WhatADispatcherPassesOnIsOfWhoHandedItIn) {
  DispatchScene s;
  s.waits(50);
  s.waits(51);
  s.receive(kJobs, 60, 0, 0, Select::kNone);
  s.send(0xaaaa, kJobs, goroutine(kPid, 30), 60);
  s.send(0xbbbb, kJobs, goroutine(kPid, 40), 60);
  // One that it begins for each, which first waits for a worker that has nothing to do, each at its own pace.
  s.pass_on(0xbbbb, goroutine(kPid, 71, 60), 50);
  s.pass_on(0xaaaa, goroutine(kPid, 70, 60), 51);
  const auto of_b = s.call_by(50);
  const auto of_a = s.call_by(51);
  s.finish_all({of_a, of_b, s.a, s.b});
  EXPECT_TRUE(s.is_parent(s.b, of_b));
  EXPECT_TRUE(s.is_parent(s.a, of_a));
  EXPECT_EQ(s.span(of_a).parent.method, "channel");
}

TEST(GoroutineChannels, WhatSeveralRequestsSendIsNoWorkOfAny) {
  DispatchScene s;
  s.waits(50);
  s.send(0xcccc, kJobs, goroutine(kPid, 30));  // a connection, put back
  s.send(0xcccc, kJobs, goroutine(kPid, 40));
  s.pass_on(0xcccc, goroutine(kPid, 60, 1), 50);
  const auto call = s.call_by(50);
  s.finish_all({call, s.a, s.b});
  EXPECT_TRUE(s.is_root(call));
}

TEST(GoroutineChannels, AnElementOfARequestThatIsOverIsAnothers) {
  DispatchScene s;
  s.waits(50);
  s.waits(51);
  s.send(0xaaaa, kJobs, goroutine(kPid, 30));
  s.finish_all({s.a});
  s.pass_on(0xaaaa, goroutine(kPid, 60, 1), 50);
  const auto of_nobody = s.call_by(50);
  s.send(0xaaaa, kJobs, goroutine(kPid, 40));  // its memory is used again
  s.pass_on(0xaaaa, goroutine(kPid, 60, 1), 51);
  const auto of_b = s.call_by(51);
  s.finish_all({of_nobody, of_b, s.b});
  EXPECT_TRUE(s.is_root(of_nobody));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
}

// A worker replies through channels on which the goroutines of the requests wait.
struct RepliesScene : ChannelScene {
  void reply(std::uint64_t to) { send(kReplies, 50, 0, 0, to); }
  // Jobs that are known, and to whom the reply of each goes.
  void show(int times, std::uint64_t to = 20) {
    for (int i = 0; i < times; ++i) {
      const auto request = read(20, {});
      receive(kJobs, 50, 0, 0, Select::kFirst);
      send(kJobs, 20, 0, 0, 50);
      finish_all({work()});
      reply(to);
      finish_all({request});
    }
  }
  // Two requests are handed over at once, and which of them the worker got is not known.
  ExchangePtr job() {
    receive(kJobs, 50, 0, 0, Select::kFirst);
    send(kJobs, 30, 0, 0, 50);
    send(kJobs, 40, 0, 0, 50);
    return work();
  }
  static constexpr std::uint64_t kReplies = 0xf000;
  ExchangePtr a = read(30, {});
  ExchangePtr b = read(40, {});
};

TEST(GoroutineChannels, TheReplyTellsWhoseAnUnknownJobWas) {
  RepliesScene s;
  s.show(40);
  const auto call = s.job();
  s.finish_all({call});
  s.reply(40);
  const auto afterwards = s.work();
  s.finish_all({afterwards, s.b, s.a});
  EXPECT_TRUE(s.is_parent(s.b, call));
  EXPECT_TRUE(s.is_parent(s.b, afterwards));
}

TEST(GoroutineChannels, AJobWithoutAReplyStaysUnknown) {
  RepliesScene s;
  s.show(40);
  const auto call = s.job();
  s.finish_all({call});
  s.receive(kJobs, 50, 0, 0, Select::kFirst);
  s.reply(40);
  s.finish_all({s.b, s.a});
  EXPECT_TRUE(s.is_root(call));
}

TEST(GoroutineChannels, RepliesThatOthersWaitForTellNothing) {
  RepliesScene s;
  s.show(40, 40);  // who waits is not who asked
  const auto call = s.job();
  s.finish_all({call});
  s.reply(40);
  s.finish_all({s.b, s.a});
  EXPECT_TRUE(s.is_root(call));
}

TEST(GoroutineChannels, AChildThatWaitsForAResultInASelectIsNoWorker) {
  ChannelScene s;
  s.show_that_children_end();
  const auto a = s.read(20, {17});
  const auto b = s.read(40, {});
  s.receive(kJobs, 17, 0, 0, Select::kFirst, kElsewhere, 20);
  s.send(kJobs, 600, 0, 0, 17);  // by a goroutine of a library, which works for nobody
  const auto call = s.call(goroutine(kPid, 17, 20));
  s.finish_all({call, a, b});
  EXPECT_TRUE(s.is_parent(a, call));
  EXPECT_EQ(s.span(call).parent.method, "goroutine");
}

TEST(GoroutineChannels, WhatWorkersShareIsNotTheNextOnesWork) {
  ChannelScene s;
  constexpr std::uint64_t kConnections = 0xf000;
  for (std::uint32_t i = 0; i < 6; ++i) {  // taken and put back
    s.receive(kConnections, 50 + i % 2, 1, i % 8, Select::kNone, kElsewhere);
    s.send(kConnections, 50 + i % 2, 0, (i + 1) % 8);
  }
  const auto a = s.read(20, {});
  const auto b = s.read(30, {});
  s.receive(kJobs, 50, 0, 0, Select::kFirst);
  s.send(kJobs, 20, 0, 0, 50);
  s.receive(kJobs, 51, 0, 0, Select::kFirst);
  s.send(kJobs, 30, 0, 0, 51);
  s.receive(kConnections, 51, 1, 6, Select::kNone, kElsewhere);
  s.send(kConnections, 51, 0, 7);
  s.receive(kConnections, 50, 1, 7, Select::kNone, kElsewhere);  // the other one's
  const auto call = s.work();
  s.finish_all({call, a, b});
  EXPECT_TRUE(s.is_parent(a, call));
}

}  // namespace
}  // namespace wirespan
