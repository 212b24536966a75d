// evidence/goroutine: scenes it must link and scenes it must refuse.
#include <gtest/gtest.h>

#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::goroutine;
using testing::Scene;
using Role = event::Handover::Role;

constexpr std::uint32_t kPid = 1;

struct GoScene : Scene {
  GoScene() { runtimes[kPid] = Runtime::kGo; }

  // A goroutine reads a request while the runtime's processors are about to give out these ids. Two other
  // requests are open, so that nothing is linked for being the only one.
  ExchangePtr read(std::uint64_t task, std::vector<std::uint64_t> next, ConnectionPtr conn = nullptr) {
    event::Births births{now, kPid, task, static_cast<std::uint32_t>(next.size()), {}};
    // Runs begin at 1, 17, 33, ... here; beside cgo they begin anywhere.
    std::transform(next.begin(), next.end(), births.next.begin(),
                   [](std::uint64_t id) { return id | (16 - (id - 1) % 16) << 56U; });
    if (!next.empty()) correlator.on_event(births);
    return serve(goroutine(kPid, task, 1), std::move(conn));
  }
  void hand_over(Role role, std::uint64_t object, std::uint64_t task, std::uint64_t parent) {
    correlator.on_event(event::Handover{now, goroutine(kPid, task, parent), role, object});
  }
  void finish_all(std::initializer_list<ExchangePtr> exchanges) {
    for (const auto& e : exchanges) finish(e, goroutine(kPid, 999));
  }
  bool is_root(const ExchangePtr& call) { return !span(call).parent.id.valid(); }
  ExchangePtr other = read(500, {});
  ExchangePtr another = read(501, {});
};

TEST(Goroutine, TheOneThatReadTheRequestMakesTheCall) {
  GoScene s;
  const auto a = s.read(20, {});
  const auto b = s.read(21, {});
  const auto of_a = s.call(goroutine(kPid, 20));
  const auto of_b = s.call(goroutine(kPid, 21));
  s.finish_all({of_a, of_b, a, b, s.other});
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b));
  EXPECT_EQ(s.span(of_a).parent.method, "goroutine");
}

TEST(Goroutine, AConnectionsGoroutineWritesForWhoeverAskedLast) {
  GoScene s;
  const auto a = s.read(20, {});
  const auto b = s.read(21, {});
  s.hand_over(Role::kCalls, 0xc000, 20, 1);  // before the connection's goroutine has run at all
  s.hand_over(Role::kWrites, 0xc000, 40, 20);
  const auto of_a = s.call(goroutine(kPid, 40, 20));
  s.finish_all({of_a});
  s.hand_over(Role::kCalls, 0xc000, 21, 1);
  const auto of_b = s.call(goroutine(kPid, 40, 20));
  s.finish_all({of_b, a, b, s.other});
  EXPECT_TRUE(s.is_parent(a, of_a));
  EXPECT_TRUE(s.is_parent(b, of_b)) << "although the goroutine was started by the other";
}

TEST(Goroutine, AConnectionWhoseCallerWasNotSeenIsNotGuessed) {
  GoScene s;
  const auto a = s.read(20, {17});
  s.hand_over(Role::kWrites, 0xc000, 40, 20);
  const auto call = s.call(goroutine(kPid, 40, 20));
  s.finish_all({call, a, s.other});
  EXPECT_TRUE(s.is_root(call));
}

TEST(Goroutine, ChildrenAndGrandchildrenOfTheRequestAreBelieved) {
  GoScene s;
  const auto a = s.read(20, {21, 37});
  const auto child = s.call(goroutine(kPid, 38, 20));
  s.hand_over(Role::kCalls, 0xc000, 38, 20);  // any event of the child tells whose it is
  const auto grandchild = s.call(goroutine(kPid, 39, 38));
  const auto in_a_new_run = s.call(goroutine(kPid, 60, 20));
  s.finish_all({child, grandchild, in_a_new_run, a, s.other});
  EXPECT_TRUE(s.is_parent(a, child));
  EXPECT_TRUE(s.is_parent(a, grandchild));
  EXPECT_TRUE(s.is_parent(a, in_a_new_run));
}

// A request read by `reader`, next id `next`, whose child `next` makes one call and ends.
void fan_out(GoScene& s, std::uint64_t reader, std::uint64_t next) {
  const auto request = s.read(reader, {next});
  s.finish_all({s.call(goroutine(kPid, next, reader)), request});
}
// The process has shown that its goroutines end with the requests they were begun for.
void show_that_children_end(GoScene& s, std::uint64_t requests = 48) {
  for (std::uint64_t i = 0; i < requests; ++i) fan_out(s, 10'000 + 20 * i, 10'001 + 20 * i);
  s.wait(600'000'000);
}

TEST(Goroutine, ChildrenAreBelievedAtOnceWhereTheyWereSeenToEndWithTheirRequests) {
  GoScene s;
  const auto first = s.read(20, {21});
  const auto early = s.call(goroutine(kPid, 21, 20));
  s.finish_all({early, first});
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), 0U) << "it may be a worker as well";
  s.wait(600'000'000);
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), 0U) << "nobody else had anything to do";
  show_that_children_end(s);
  EXPECT_GE(s.counters.get("correlator.links.goroutine").value(), 32U);
  const auto before = s.counters.get("correlator.links.goroutine").value();
  const auto a = s.read(20, {38});
  const auto at_once = s.call(goroutine(kPid, 38, 20));
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), before + 1);
  s.finish_all({at_once, a, s.other});
  EXPECT_TRUE(s.is_parent(first, early));
  EXPECT_TRUE(s.is_parent(a, at_once));
}

TEST(Goroutine, WithOneRequestOpenItsChildIsBelievedAtOnce) {
  GoScene s;
  s.finish_all({s.other, s.another});
  const auto a = s.read(20, {21});
  const auto call = s.call(goroutine(kPid, 21, 20));
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), 1U);
  s.finish_all({call, a});
  EXPECT_TRUE(s.is_parent(a, call));
}

// A pool: handlers begin a worker where none is free, and it takes what others hand in.
TEST(Goroutine, AWorkerBegunByAHandlerIsNoChild) {
  GoScene s;
  const auto a = s.read(20, {21});
  const auto b = s.read(30, {31});
  const auto of_a = s.call(goroutine(kPid, 21, 20));
  s.finish_all({of_a});
  const auto of_b = s.call(goroutine(kPid, 21, 20));  // while a is open
  s.finish_all({of_b, a, b});
  const auto c = s.read(40, {41});
  std::vector<ExchangePtr> later;
  for (int i = 0; i < 3; ++i) later.push_back(s.call(goroutine(kPid, 21, 20)));
  const auto of_another = s.call(goroutine(kPid, 41, 40));  // nor is another's child believed at once any more
  s.finish_all({later[0], later[1], later[2], of_another, c});
  s.wait(600'000'000);
  s.finish_all({s.other});
  EXPECT_TRUE(s.is_root(of_a));
  EXPECT_TRUE(s.is_root(of_b));
  EXPECT_EQ(s.span(of_b).attributes.text("wirespan.link.missing"), "unproven");
  for (const auto& call : later) EXPECT_TRUE(s.is_root(call));
  EXPECT_TRUE(s.is_root(of_another));
}

TEST(Goroutine, WhatAWorkersChildrenCallIsNotItsBegettersEither) {
  GoScene s;
  const auto a = s.read(20, {21});
  s.hand_over(Role::kCalls, 0xc000, 21, 20);
  const auto of_a = s.call(goroutine(kPid, 22, 21));
  s.finish_all({of_a, a});
  const auto b = s.read(30, {31});
  const auto of_b = s.call(goroutine(kPid, 60, 21));
  s.finish_all({of_b, b, s.other});
  EXPECT_TRUE(s.is_root(of_a));
  EXPECT_TRUE(s.is_root(of_b));
}

TEST(Goroutine, WorkersThatComeLateAreFoundOut) {
  GoScene s;
  show_that_children_end(s);
  const auto a = s.read(20, {21});
  s.finish_all({s.call(goroutine(kPid, 21, 20)), a});
  for (int i = 0; i < 3; ++i) s.finish_all({s.call(goroutine(kPid, 21, 20))});
  const auto b = s.read(30, {31});
  const auto c = s.read(40, {41});
  const auto of_either = s.call(goroutine(kPid, 31, 30));
  s.finish_all({of_either, b, c});
  show_that_children_end(s);  // far from enough
  EXPECT_TRUE(s.is_root(of_either));
}

TEST(Goroutine, WhatARequestLeavesBehindIsNoWorker) {
  GoScene s;
  show_that_children_end(s);
  const auto a = s.read(20, {21});
  const auto in_time = s.call(goroutine(kPid, 21, 20));
  s.finish_all({in_time, a});
  const auto left = s.call(goroutine(kPid, 21, 20));
  const auto b = s.read(30, {31});
  const auto of_b = s.call(goroutine(kPid, 31, 30));
  const auto before = s.counters.get("correlator.links.goroutine").value();
  s.finish_all({left, of_b, b, s.other});
  EXPECT_EQ(s.counters.get("correlator.links.goroutine").value(), before) << "in doubt";
  show_that_children_end(s, 16);
  EXPECT_GT(s.counters.get("correlator.links.goroutine").value(), before) << "it made no more";
  EXPECT_TRUE(s.is_parent(a, in_time));
  EXPECT_TRUE(s.is_root(left));
  EXPECT_TRUE(s.is_parent(b, of_b));
}

TEST(Goroutine, ACallThatOutlivesTheAnswerProvesNothing) {
  GoScene s;
  const auto a = s.read(20, {21});
  const auto call = s.call(goroutine(kPid, 21, 20));
  s.finish_all({a, call});
  show_that_children_end(s);
  EXPECT_TRUE(s.is_root(call));
}

TEST(Goroutine, AJobIsForgottenWhereChannelsAreNotWatchedAnyMore) {
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

TEST(Goroutine, AWorkerInASelectWorksForWhatItWasSent) {
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
TEST(Goroutine, WhoBeginsOthersIsKnown) {
  ChannelScene s;
  show_that_children_end(s);
  const auto a = s.read(20, {21});
  s.hand_over(Role::kSpawns, 0, 21, 20);
  const auto grandchild = s.call(goroutine(kPid, 22, 21));
  const auto of_who_knows = s.call(goroutine(kPid, 24, 23));
  s.finish_all({grandchild, of_who_knows, a, s.other});
  EXPECT_TRUE(s.is_parent(a, grandchild));
  EXPECT_TRUE(s.is_root(of_who_knows));
}

// As handlers under net/http's TimeoutHandler do, and children that call on others.
TEST(Goroutine, WhoWaitsForWhatItsOwnChildrenReturnIsNoWorker) {
  ChannelScene s;
  show_that_children_end(s);
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

TEST(Goroutine, AWorkerThatAHandlerBeganWorksForWhoFeedsIt) {
  ChannelScene s;
  show_that_children_end(s);
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

TEST(Goroutine, AChildThatReadsTheRestOfTheRequestWorksForIt) {
  GoScene s;
  show_that_children_end(s);
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

TEST(Goroutine, CallsOfAJobThatWasDrawnWaitUntilItIsKnown) {
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

TEST(Goroutine, AJobThatWasDrawnAndIsNeverKnownIsNobodys) {
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

TEST(Goroutine, WhatADispatcherPassesOnIsOfWhoHandedItIn) {
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

TEST(Goroutine, WhatSeveralRequestsSendIsNoWorkOfAny) {
  DispatchScene s;
  s.waits(50);
  s.send(0xcccc, kJobs, goroutine(kPid, 30));  // a connection, put back
  s.send(0xcccc, kJobs, goroutine(kPid, 40));
  s.pass_on(0xcccc, goroutine(kPid, 60, 1), 50);
  const auto call = s.call_by(50);
  s.finish_all({call, s.a, s.b});
  EXPECT_TRUE(s.is_root(call));
}

TEST(Goroutine, AnElementOfARequestThatIsOverIsAnothers) {
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

TEST(Goroutine, TheReplyTellsWhoseAnUnknownJobWas) {
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

TEST(Goroutine, AJobWithoutAReplyStaysUnknown) {
  RepliesScene s;
  s.show(40);
  const auto call = s.job();
  s.finish_all({call});
  s.receive(kJobs, 50, 0, 0, Select::kFirst);
  s.reply(40);
  s.finish_all({s.b, s.a});
  EXPECT_TRUE(s.is_root(call));
}

TEST(Goroutine, RepliesThatOthersWaitForTellNothing) {
  RepliesScene s;
  s.show(40, 40);  // who waits is not who asked
  const auto call = s.job();
  s.finish_all({call});
  s.reply(40);
  s.finish_all({s.b, s.a});
  EXPECT_TRUE(s.is_root(call));
}

TEST(Goroutine, AChildThatWaitsForAResultInASelectIsNoWorker) {
  ChannelScene s;
  show_that_children_end(s);
  const auto a = s.read(20, {17});
  const auto b = s.read(40, {});
  s.receive(kJobs, 17, 0, 0, Select::kFirst, kElsewhere, 20);
  s.send(kJobs, 600, 0, 0, 17);  // by a goroutine of a library, which works for nobody
  const auto call = s.call(goroutine(kPid, 17, 20));
  s.finish_all({call, a, b});
  EXPECT_TRUE(s.is_parent(a, call));
  EXPECT_EQ(s.span(call).parent.method, "goroutine");
}

TEST(Goroutine, WhatWorkersShareIsNotTheNextOnesWork) {
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

TEST(Goroutine, AChildOfAnEarlierRequestOfTheSameConnectionIsNot) {
  GoScene s;
  const auto first = s.read(20, {21, 37});
  s.finish_all({first});
  const auto second = s.read(20, {23, 40});
  const auto left_over = s.call(goroutine(kPid, 38, 20));  // 38 < 40: born before
  const auto also_left = s.call(goroutine(kPid, 22, 20));  // 22 < 23
  const auto of_used_up = s.call(goroutine(kPid, 5, 20));  // a run that no processor has any more
  const auto fresh = s.call(goroutine(kPid, 41, 20));
  s.finish_all({left_over, also_left, of_used_up, fresh, second, s.other});
  EXPECT_TRUE(s.is_root(left_over));
  EXPECT_TRUE(s.is_root(also_left));
  EXPECT_TRUE(s.is_root(of_used_up));
  EXPECT_TRUE(s.is_parent(second, fresh));
}

TEST(Goroutine, ARunThatWasUsedUpThenIsOld) {
  GoScene s;
  s.finish_all({s.read(20, {21})});
  event::Births births{s.now, kPid, 20, 1, {34}};  // 18..33 were given out, none is left
  s.correlator.on_event(births);
  const auto second = s.serve(goroutine(kPid, 20, 1));
  const auto old = s.call(goroutine(kPid, 33, 20));
  const auto young = s.call(goroutine(kPid, 34, 20));
  s.finish_all({old, young, second, s.other});
  EXPECT_TRUE(s.is_root(old));
  EXPECT_TRUE(s.is_parent(second, young));
}

TEST(Goroutine, WithoutKnowingBirthsOnlyTheFirstRequestHasChildren) {
  GoScene s;
  const auto first = s.read(20, {});
  const auto child = s.call(goroutine(kPid, 38, 20));
  s.finish_all({child, first});
  const auto second = s.read(20, {});
  const auto unknown = s.call(goroutine(kPid, 41, 20));
  s.finish_all({unknown, second, s.other});
  EXPECT_TRUE(s.is_parent(first, child));
  EXPECT_TRUE(s.is_root(unknown));
}

TEST(Goroutine, LateWorkIsNoChild) {
  GoScene s;
  const auto a = s.read(20, {21});
  s.finish_all({a});
  const auto late = s.call(goroutine(kPid, 22, 20));
  const auto later = s.call(goroutine(kPid, 20, 1));
  s.finish_all({late, later, s.other});
  for (const auto& made : {late, later}) {
    EXPECT_TRUE(s.is_root(made));
    ASSERT_EQ(s.span(made).links.size(), 1U);
    EXPECT_EQ(s.span(made).links[0].span, s.span(a).id);
  }
}

TEST(Goroutine, AGoroutineThatReadsForOthersKnowsWhichChildIsWhose) {
  GoScene s;
  const auto a = s.read(20, {21});
  const auto b = s.read(20, {22});
  const auto of_a = s.call(goroutine(kPid, 21, 20));
  const auto itself = s.call(goroutine(kPid, 20, 1));
  s.finish_all({of_a, itself, a, b, s.other});
  EXPECT_TRUE(s.is_parent(a, of_a)) << "born after it read the one and before it read the other";
  EXPECT_TRUE(s.is_root(itself));
}

TEST(Goroutine, BackgroundWorkInAGoProcessIsNotTheOnlyOpenRequests) {
  GoScene s;
  s.finish_all({s.other, s.another});
  for (int i = 0; i < 20; ++i) {
    const auto a = s.read(20, {});
    s.finish_all({s.call(goroutine(kPid, 20, 1)), a});
  }
  const auto a = s.read(20, {});
  const auto background = s.call(goroutine(kPid, 7, 1));
  s.finish_all({background, a});
  EXPECT_TRUE(s.is_root(background));
}

TEST(Goroutine, TheHeadCountsNotTheByteThatWasWaitedFor) {
  GoScene s;
  const auto b = s.read(21, {});
  // net/http: backgroundRead took the first byte in a goroutine of its own.
  auto request = std::make_shared<Message>();
  request->conn = s.connection(kPid, 0, 0, TcpSide::kPassive);
  request->first_byte = {s.now, goroutine(kPid, 30, 20)};
  request->last_byte = {s.now, goroutine(kPid, 20, 1)};
  auto exchange = std::make_shared<Exchange>();
  exchange->number = 1000;
  exchange->role = SpanRole::kServer;
  exchange->conn = request->conn;
  exchange->request = request;
  s.correlator.accept(ExchangeOpened{exchange});
  const auto call = s.call(goroutine(kPid, 20, 1));
  s.finish_all({call, exchange, b, s.other});
  EXPECT_EQ(s.span(call).parent.method, "goroutine");
}

// A keep-alive connection that loses an answer and the request after it looks as if the first were still open.
TEST(Goroutine, WhileEventsAreLostACallBelongsOnlyToARequestWhoseAnswerIsSeen) {
  GoScene s;
  s.correlator.on_event(event::Lost{s.now, "ringbuf_full", 2});
  const auto unanswered = s.read(20, {});
  const auto whole = s.read(21, {});
  const auto of_the_next = s.call(goroutine(kPid, 20));
  const auto of_whole = s.call(goroutine(kPid, 21));
  s.finish_all({of_the_next, of_whole});
  unanswered->incomplete = "lost";
  unanswered->ended = s.now;
  s.correlator.accept(ExchangeFinished{unanswered});
  s.finish_all({whole, s.other});
  EXPECT_TRUE(s.is_root(of_the_next));
  EXPECT_EQ(s.span(of_the_next).attributes.text("wirespan.link.missing"), "answer_lost");
  EXPECT_TRUE(s.is_parent(whole, of_whole));
}

// The loss shows when the answer to a later request is sent. The next one was not seen either, but the call for it was.
TEST(Goroutine, WhoseAnswerWasLostMayWorkForTheNextRequestUnseen) {
  GoScene s;
  s.correlator.on_event(event::Lost{s.now, "ringbuf_full", 2});
  const auto unanswered = s.read(20, {});
  unanswered->incomplete = "lost";
  unanswered->ended = s.now;
  s.correlator.accept(ExchangeFinished{unanswered});
  const auto of_the_next = s.call(goroutine(kPid, 20));
  s.finish_all({of_the_next, s.other});
  EXPECT_TRUE(s.is_root(of_the_next));
}

}  // namespace
}  // namespace wirespan
