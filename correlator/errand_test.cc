// evidence/errand: scenes it must link and scenes it must refuse.
#include <gtest/gtest.h>

#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;
using Role = event::Handover::Role;

constexpr std::uint32_t kPid = 1;
constexpr std::uint32_t kReader = 10;
constexpr std::uint32_t kOther = 11;
constexpr std::uint32_t kPool = 20;

struct PoolScene : Scene {
  explicit PoolScene(CorrelatorOptions options = certain()) : Scene(std::move(options)) {
    runtimes[kPid] = Runtime::kPython;
    // Threads stay with their requests here, as has been seen.
    for (std::uint32_t i = 0; i < 20; ++i) finish(serve(thread(kPid, 100)), thread(kPid, 100));
  }

  static constexpr std::uint64_t kQueue = 0x1000;
  void hand(Role role, Actor actor, std::uint64_t object, std::uint64_t queue) {
    now = now + 10;
    correlator.on_event(event::Handover{now, actor, role, object, queue, 0, 0, 0});
  }
  void hand(Role role, Actor actor, std::uint64_t object) {
    hand(role, actor, object, role == Role::kGives ? kQueue : 0);
  }
  void put(std::uint32_t tid, std::uint64_t object) { hand(Role::kGives, thread(kPid, tid), object); }
  void get(std::uint32_t tid, std::uint64_t object) { hand(Role::kTakes, thread(kPid, tid), object); }
  // Where it is told from which queue.
  void get_from(std::uint32_t tid, std::uint64_t object, std::uint64_t queue = kQueue, std::uint32_t queued = 0) {
    now = now + 10;
    correlator.on_event(event::Handover{now, thread(kPid, tid), Role::kTakes, object, queue, 0, queued, 0});
  }
  ExchangePtr called_by(std::uint32_t tid) {
    auto made = call(thread(kPid, tid));
    finish(made, thread(kPid, tid));
    return made;
  }
  bool is_root(const ExchangePtr& call) { return !span(call).parent.id.valid(); }

  ExchangePtr a = serve(thread(kPid, kReader));
  ExchangePtr b = serve(thread(kPid, kOther));
};

TEST(Errand, WhoTakesWorksForWhoGave) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.put(kOther, 0x20);
  s.get(kPool + 1, 0x10);
  s.get(kPool, 0x20);
  const auto of_b = s.called_by(kPool);
  const auto of_a = s.called_by(kPool + 1);
  const auto of_a_too = s.called_by(kPool + 1);
  s.finish(s.a, thread(kPid, kReader));
  s.finish(s.b, thread(kPid, kOther));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
  EXPECT_TRUE(s.is_parent(s.a, of_a));
  EXPECT_TRUE(s.is_parent(s.a, of_a_too));
  EXPECT_EQ(s.span(of_a).parent.method, "errand");
}

// A number, or a word, that two requests put in: it is one object.
TEST(Errand, TheSameThingTwiceInAQueue) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.put(kOther, 0x10);
  s.put(kReader, 0x10);
  s.get_from(kPool, 0x10);
  s.get_from(kPool + 1, 0x10);
  s.get_from(kPool + 2, 0x10);
  const auto of_b = s.called_by(kPool + 1);
  const auto of_a = s.called_by(kPool);
  const auto of_a_too = s.called_by(kPool + 2);
  s.get_from(kPool, 0x10);
  const auto of_nobody = s.called_by(kPool);
  s.finish(s.a, thread(kPid, kReader));
  s.finish(s.b, thread(kPid, kOther));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
  EXPECT_TRUE(s.is_parent(s.a, of_a));
  EXPECT_TRUE(s.is_parent(s.a, of_a_too));
  EXPECT_TRUE(s.is_root(of_nobody)) << "it was not seen to be given";
}

// Of what is in a queue before it is followed nobody knows whose it is.
TEST(Errand, OlderThanWhatWasSeenToBeGiven) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.put(kOther, 0x10);
  s.get_from(kPool, 0x10, PoolScene::kQueue, 4);
  s.get_from(kPool + 1, 0x10, PoolScene::kQueue, 3);
  EXPECT_TRUE(s.is_root(s.called_by(kPool)));
  EXPECT_TRUE(s.is_root(s.called_by(kPool + 1)));
  s.get_from(kPool, 0x10, PoolScene::kQueue, 2);
  s.get_from(kPool + 1, 0x10, PoolScene::kQueue, 1);
  const auto of_a = s.called_by(kPool);
  const auto of_b = s.called_by(kPool + 1);
  s.finish(s.a, thread(kPid, kReader));
  s.finish(s.b, thread(kPid, kOther));
  EXPECT_TRUE(s.is_parent(s.a, of_a));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
}

TEST(Errand, TakenUnseen) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.put(kOther, 0x10);
  s.get_from(kPool, 0x10, PoolScene::kQueue, 1);
  const auto of_b = s.called_by(kPool);
  s.put(kReader, 0x20);
  s.put(kOther, 0x30);
  s.get_from(kPool, 0x30, PoolScene::kQueue, 2);  // from the other end
  const auto unknown = s.called_by(kPool);
  s.finish(s.a, thread(kPid, kReader));
  s.finish(s.b, thread(kPid, kOther));
  EXPECT_TRUE(s.is_parent(s.b, of_b));
  EXPECT_TRUE(s.is_root(unknown));
}

// One that two workers take from two queues.
TEST(Errand, InTwoQueuesAtOnce) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.hand(Role::kGives, thread(kPid, kReader), 0x10, 0x2000);
  s.get_from(kPool, 0x10, 0x2000, 1);
  s.get_from(kPool + 1, 0x10, PoolScene::kQueue, 1);
  const auto one = s.called_by(kPool);
  const auto other = s.called_by(kPool + 1);
  s.finish(s.a, thread(kPid, kReader));
  EXPECT_TRUE(s.is_parent(s.a, one));
  EXPECT_TRUE(s.is_parent(s.a, other));
}

// From another queue, into which it was not seen to be put.
TEST(Errand, OnlyOutOfTheQueueItWasPutInto) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.get_from(kPool, 0x10, 0x2000);
  const auto made = s.called_by(kPool);
  s.finish(s.a, thread(kPid, kReader));
  EXPECT_TRUE(s.is_root(made));
}

TEST(Errand, OnlyUntilItComesBack) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.get(kPool, 0x10);
  const auto of_a = s.called_by(kPool);
  s.get(kPool, 0);
  const auto of_nobody = s.called_by(kPool);
  s.put(kOther, 0x10);  // at the same address
  s.get(kPool, 0x10);
  const auto of_b = s.called_by(kPool);
  s.get(kPool, 0x30);  // of whoever gave it, unseen
  const auto unseen = s.called_by(kPool);
  s.finish(s.a, thread(kPid, kReader));
  s.finish(s.b, thread(kPid, kOther));
  EXPECT_TRUE(s.is_parent(s.a, of_a));
  EXPECT_TRUE(s.is_root(of_nobody)) << "nor for whom it heard a response before";
  EXPECT_TRUE(s.is_parent(s.b, of_b));
  EXPECT_TRUE(s.is_root(unseen));
}

TEST(Errand, EachPieceOnce) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.get(kPool, 0x10);
  s.get(kPool + 1, 0x10);
  const auto second = s.called_by(kPool + 1);
  s.finish(s.a, thread(kPid, kReader));
  EXPECT_TRUE(s.is_root(second));
}

TEST(Errand, WhatIsDoneAfterTheAnswerIsNotOfTheNextRequest) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.finish(s.a, thread(kPid, kReader));
  const auto next = s.serve(thread(kPid, kReader));
  s.get(kPool, 0x10);
  const auto late = s.called_by(kPool);
  s.put(kReader, 0x20);
  s.get(kPool, 0x20);
  const auto of_next = s.called_by(kPool);
  s.finish(next, thread(kPid, kReader));
  EXPECT_TRUE(s.is_root(late));
  EXPECT_TRUE(s.is_parent(next, of_next));
}

TEST(Errand, NorOfTheOnlyOneThatIsOpenThen) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.get(kPool, 0x10);
  s.finish(s.a, thread(kPid, kReader));
  const auto late = s.called_by(kPool);
  s.finish(s.b, thread(kPid, kOther));
  EXPECT_TRUE(s.is_root(late));
}

TEST(Errand, WhoWorksForNobodyGivesForNobody) {
  PoolScene s;
  s.put(30, 0x10);
  s.get(kPool, 0x10);
  const auto call = s.called_by(kPool);
  EXPECT_TRUE(s.is_root(call));
}

TEST(Errand, WhoIsOnOneMayGiveItOn) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.get(kPool, 0x10);
  s.put(kPool, 0x20);
  s.get(kPool, 0);
  s.put(kPool, 0x30);
  s.get(kPool + 1, 0x20);
  const auto of_a = s.called_by(kPool + 1);
  s.get(kPool + 1, 0x30);
  const auto of_nobody = s.called_by(kPool + 1);
  s.finish(s.a, thread(kPid, kReader));
  EXPECT_TRUE(s.is_parent(s.a, of_a));
  EXPECT_TRUE(s.is_root(of_nobody));
}

// Servers whose workers read the requests: what they are given are connections.
TEST(Errand, WhoHasReadARequestWorksForThat) {
  PoolScene s;
  s.put(kOther, 0x10);
  s.get(kPool, 0x10);
  const auto own = s.serve(thread(kPid, kPool));
  const auto call = s.called_by(kPool);
  s.finish(own, thread(kPid, kPool));
  EXPECT_TRUE(s.is_parent(own, call));
  EXPECT_EQ(s.span(call).parent.method, "thread");
}

TEST(Errand, WhoseResultsItTakesDoesNotMatterToWhoHasReadARequest) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.get(kOther, 0x10);
  const auto call = s.called_by(kOther);
  s.finish(s.b, thread(kPid, kOther));
  s.finish(s.a, thread(kPid, kReader));
  EXPECT_TRUE(s.is_parent(s.b, call));
}

TEST(Errand, WhoHasReadSeveralSaysNothing) {
  PoolScene s;
  const auto third = s.serve(thread(kPid, kReader));
  s.put(kReader, 0x10);
  s.get(kPool, 0x10);
  const auto of_two = s.called_by(kPool);
  EXPECT_TRUE(s.is_root(of_two));
}

TEST(Errand, NorWhoHasBeenBackInALoop) {
  PoolScene s;
  const Actor loop = thread(kPid, 12, 2);
  const auto looped = s.serve(loop);
  s.hand(Role::kGives, thread(kPid, 12, 4), 0x20);
  s.get(kPool, 0x20);
  const auto of_loop = s.called_by(kPool);
  s.hand(Role::kGives, loop, 0x30);  // it has waited for events before it read the request, not since
  s.get(kPool, 0x30);
  const auto of_same_turn = s.called_by(kPool);
  s.hand(Role::kGives, thread(kPid, 12, 3), 0x40);  // a timer would be due
  s.get(kPool, 0x40);
  const auto much_later = s.called_by(kPool);
  s.finish(looped, loop);
  EXPECT_TRUE(s.is_parent(looped, much_later));
  EXPECT_TRUE(s.is_root(of_loop));
  EXPECT_TRUE(s.is_parent(looped, of_same_turn));
}

// Acceptors.
TEST(Errand, WhereOthersAnswerNothingIsSaid) {
  PoolScene s;
  for (std::uint32_t i = 0; i < 20; ++i) s.finish(s.serve(thread(kPid, 40)), thread(kPid, 41 + i));
  s.put(kReader, 0x10);
  s.get(kPool, 0x10);
  const auto call = s.called_by(kPool);
  s.finish(s.a, thread(kPid, kPool));
  EXPECT_TRUE(s.is_root(call));
}

TEST(Errand, WhatWasMissedMayHaveBeenTheNext) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.get(kPool, 0x10);
  s.correlator.on_event(event::Missed{s.now, {kPid, kPool}});
  const auto call = s.called_by(kPool);
  s.finish(s.a, thread(kPid, kReader));
  EXPECT_TRUE(s.is_root(call));
}

TEST(Errand, WhatComesOutOfAQueueShowsThatWhatWasBeforeItHas) {
  PoolScene s;
  s.put(kReader, 0x10);  // taken, unseen
  s.put(kReader, 0x20);
  s.get(kPool, 0x20);
  s.get(kPool, 0x10);  // at the same address, given unseen
  const auto call = s.called_by(kPool);
  s.finish(s.a, thread(kPid, kReader));
  EXPECT_TRUE(s.is_root(call));
}

TEST(Errand, WhoeverMissedSomethingMayHaveTakenTheFirst) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.put(kOther, 0x20);
  s.correlator.on_event(event::Missed{s.now, {kPid, kPool}});
  s.get(kPool, 0x10);
  const auto first = s.called_by(kPool);
  s.get(kPool, 0x20);
  const auto second = s.called_by(kPool);
  s.finish(s.a, thread(kPid, kReader));
  s.finish(s.b, thread(kPid, kOther));
  EXPECT_TRUE(s.is_root(first));
  EXPECT_TRUE(s.is_parent(s.b, second));
}

TEST(Errand, WhatIsNotWatchedIsNotKnown) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.get(kPool, 0x10);
  s.put(kReader, 0x20);
  s.hand(Role::kUnwatched, thread(kPid, 0), 0);
  const auto on_none = s.called_by(kPool);
  s.get(kPool, 0x20);  // told late
  const auto late = s.called_by(kPool);
  s.hand(Role::kWatched, thread(kPid, 0), 0);
  s.put(kReader, 0x30);
  s.get(kPool, 0x30);
  const auto again = s.called_by(kPool);
  s.finish(s.a, thread(kPid, kReader));
  EXPECT_TRUE(s.is_root(on_none));
  EXPECT_TRUE(s.is_root(late));
  EXPECT_TRUE(s.is_parent(s.a, again));
}

TEST(Errand, OfAnotherProcessIsAnother) {
  PoolScene s;
  s.put(kReader, 0x10);
  s.hand(Role::kTakes, thread(kPid + 1, kPool), 0x10);
  const auto call = s.call(thread(kPid + 1, kPool));
  s.finish(call, thread(kPid + 1, kPool));
  EXPECT_TRUE(s.is_root(call));
}

TEST(Errand, SwitchedOffItSaysNothing) {
  CorrelatorOptions options = Scene::certain();
  options.disabled = {"errand"};
  PoolScene s(options);
  s.put(kReader, 0x10);
  s.get(kPool, 0x10);
  const auto call = s.called_by(kPool);
  EXPECT_TRUE(s.is_root(call));
}

// asyncio: a task gives, as if its context had been copied then.
struct LoopScene : PoolScene {
  event::Data moved(std::uint32_t tid, TcpSide side) {
    event::Data data;
    data.conn = connection(kPid, 0, 0, side);
    data.direction = Direction::kSent;
    data.time = now = now + 10;
    data.actor = thread(kPid, tid);
    return data;
  }
  // Who it is told of.
  Actor told(const event::Data& data) {
    const Event event = data;
    return std::get<event::Data>(correlator.on_behalf(event)).actor;
  }
  std::uint64_t birth() {
    now = now + 10;
    return kContextTask | now.ns;
  }
  void put(std::uint64_t task, std::uint64_t object) { hand(Role::kGives, {{kPid, kPid}, 2, task, 0}, object); }
};

TEST(Errand, OfATaskIsAContextOfItsOwn) {
  LoopScene s;
  const std::uint64_t task = s.birth();
  s.put(task, 0x10);
  const BootTime given = s.now;
  s.get(kPool, 0x10);
  const Actor actor = s.told(s.moved(kPool, TcpSide::kActive));
  EXPECT_EQ(actor.task, kContextTask | given.ns);
  EXPECT_EQ(actor.parent_task, task);
  EXPECT_EQ(actor.thread.tid, kPool);
  EXPECT_EQ(s.told(s.moved(kPool, TcpSide::kPassive)).task, 0U) << "it answers that itself";
  EXPECT_EQ(s.told(s.moved(kPool, TcpSide::kUnknown)).task, 0U);
  EXPECT_EQ(s.told(s.moved(kPool + 1, TcpSide::kActive)).task, 0U);
  event::Data own = s.moved(kPool, TcpSide::kActive);
  own.actor.task = s.birth();
  EXPECT_EQ(s.told(own).task, own.actor.task);
  event::Data before = s.moved(kPool, TcpSide::kActive);
  before.time = given;
  EXPECT_EQ(s.told(before).task, 0U);
  s.get(kPool, 0);
  EXPECT_EQ(s.told(s.moved(kPool, TcpSide::kActive)).task, 0U);
}

TEST(Errand, OfATaskGivenOnIsStillItsOwn) {
  LoopScene s;
  const std::uint64_t task = s.birth();
  s.put(task, 0x10);
  const BootTime given = s.now;
  s.get(kPool, 0x10);
  s.PoolScene::put(kPool, 0x20);
  s.get(kPool + 1, 0x20);
  EXPECT_EQ(s.told(s.moved(kPool + 1, TcpSide::kActive)).task, kContextTask | given.ns);
}

// asyncio.Queue: all are tasks of one thread.
TEST(Errand, ATaskTakesWhatAnotherGave) {
  LoopScene s;
  const std::uint64_t worker = s.birth();
  const std::uint64_t task = s.birth();
  const std::uint64_t older = s.birth();
  const auto told_of = [&](std::uint64_t by, std::uint64_t parent = 0) {
    event::Data data = s.moved(kPid, TcpSide::kActive);
    data.actor.task = by;
    data.actor.parent_task = parent;
    return s.told(data);
  };
  const auto takes = [&](std::uint64_t object) { s.hand(Role::kTakes, {{kPid, kPid}, 2, worker, 0}, object); };
  s.put(task, 0x10);
  const BootTime given = s.now;
  const std::uint64_t child_before = s.birth();
  takes(0x10);
  EXPECT_EQ(told_of(worker).task, kContextTask | given.ns);
  EXPECT_EQ(told_of(worker).parent_task, task);
  EXPECT_EQ(told_of(older).task, older);
  EXPECT_EQ(told_of(s.birth(), worker).parent_task, task) << "what it begins for it";
  EXPECT_EQ(told_of(child_before, worker).task, child_before) << "what it began before, say a connection";
  // It gives it on.
  s.put(worker, 0x20);
  s.get(kPool, 0x20);
  EXPECT_EQ(s.told(s.moved(kPool, TcpSide::kActive)).task, kContextTask | given.ns);
  takes(0x30);
  EXPECT_EQ(told_of(worker).task, worker) << "not seen to be given";
  s.put(task, 0x10);
  takes(0x10);
  EXPECT_NE(told_of(worker).task, worker);
  s.correlator.on_event(event::Missed{s.now, {kPid, kPid}});
  EXPECT_EQ(told_of(worker).task, worker) << "it may have taken another";
}

TEST(Errand, OfATaskIsLinkedByTask) {
  LoopScene s;
  const std::uint64_t reader = s.birth();
  const auto first = s.serve({{kPid, kPid}, 2, reader, 0});
  s.put(reader, 0x10);  // never waited for
  s.finish(first, {{kPid, kPid}, 2, reader, 0});
  const auto second = s.serve({{kPid, kPid}, 2, reader, 0});
  s.get(kPool, 0x10);
  const auto late = s.call(s.told(s.moved(kPool, TcpSide::kActive)));
  s.finish(late, thread(kPid, kPool));
  s.put(reader, 0x20);
  s.get(kPool, 0x20);
  const auto fresh = s.call(s.told(s.moved(kPool, TcpSide::kActive)));
  s.finish(fresh, thread(kPid, kPool));
  s.finish(second, {{kPid, kPid}, 2, reader, 0});
  EXPECT_TRUE(s.is_root(late));
  EXPECT_TRUE(s.is_parent(second, fresh));
  EXPECT_EQ(s.span(fresh).parent.method, "task");
}

}  // namespace
}  // namespace wirespan
