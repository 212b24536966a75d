// Calls by threads that work on futures, of requests whose threads hold those.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "correlator/correlator.h"
#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

constexpr std::uint32_t kPid = 100;
constexpr std::uint32_t kWorkers = 1000;  // of a pool
using Futures = std::vector<std::uint64_t>;

struct Service : Scene {
  Service() : Scene(waiting()) {}
  std::uint32_t collections = 1;

  event::Holds holds(std::uint32_t tid, const Futures& futures) {
    event::Holds out;
    out.time = now = now + 1000;
    out.thread = {kPid, tid};
    out.collections = collections;
    for (const std::uint64_t future : futures) out.futures[out.count++] = future;
    return out;
  }
  // The thread of a request, or of a pool (which works on something itself), waits for the first of these.
  void waits(std::uint32_t tid, const Futures& futures, std::uint64_t works_on = 0) {
    event::Holds out = holds(tid, futures);
    out.works_on = works_on;
    correlator.on_event(out);
  }
  ExchangePtr calls(std::uint32_t tid, const Futures& futures, const std::vector<std::uint32_t>& waiting = {}) {
    const ExchangePtr made = call(thread(kPid, tid));
    answers(made, tid, futures, waiting);
    return made;
  }
  void answers(const ExchangePtr& made, std::uint32_t tid, const Futures& futures,
               const std::vector<std::uint32_t>& waiting = {}) {
    event::Holds out = holds(tid, futures);
    out.call = made->conn->id;
    out.works_on = futures.front();
    for (const std::uint32_t one : waiting) out.waiting[out.waiters++] = one;
    correlator.on_event(out);
    finish(made, thread(kPid, tid));
  }
  // What is to be done after it names a request's connection; it is not over yet.
  void names(const ExchangePtr& made, std::uint32_t tid, std::uint64_t future, const ExchangePtr& request) {
    event::Holds out = holds(tid, {future});
    out.call = made->conn->id;
    out.works_on = future;
    correlator.on_event(out);
    correlator.on_event(event::Leads{now, kPid, made->conn->id, request->conn->id, 0, 0, tid});
    finish(made, thread(kPid, tid));
  }
  ExchangePtr request(std::uint32_t tid) { return serve(thread(kPid, tid)); }
  void answer(const ExchangePtr& request, std::uint32_t tid) { finish(request, thread(kPid, tid)); }
  [[nodiscard]] bool orphan(const ExchangePtr& made) { return !span(made).parent.id.valid(); }

  // It is believed once it has fitted some times.
  void prove(int requests = 20) {
    for (int i = 0; i < requests; ++i) {
      const ExchangePtr a = request(1);
      const ExchangePtr b = request(2);
      const auto at = static_cast<std::uint64_t>(0x10000 + i * 16);
      calls(kWorkers, {at});
      calls(kWorkers + 1, {at + 8});
      waits(1, {at});
      waits(2, {at + 8});
      answer(a, 1);
      answer(b, 2);
    }
  }
};

TEST(Future, CallsBeforeAndAfterTheRequestWaits) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  const auto first_of_a = service.calls(kWorkers + 7, {0x100});  // ends before anybody waits for it
  const auto of_b = service.calls(kWorkers + 8, {0x200});
  service.waits(2, {0x200});
  const auto second_of_a = service.call(thread(kPid, kWorkers + 9));
  service.waits(1, {0x108, 0x100});  // a list: of its first one it was not waited for
  service.answers(second_of_a, kWorkers + 9, {0x108});
  service.answer(b, 2);
  service.answer(a, 1);
  EXPECT_TRUE(service.is_parent(a, first_of_a));
  EXPECT_TRUE(service.is_parent(a, second_of_a));
  EXPECT_TRUE(service.is_parent(b, of_b));
  EXPECT_EQ(service.span(of_b).parent.method, "future");
}

TEST(Future, AllCallsOfOnePieceOfWork) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  std::vector<ExchangePtr> made;
  for (int i = 0; i < 3; ++i) made.push_back(service.calls(kWorkers, {0x100}));
  service.waits(1, {0x100});
  service.answer(a, 1);
  service.answer(b, 2);
  for (const ExchangePtr& one : made) EXPECT_TRUE(service.is_parent(a, one));
}

TEST(Future, WhoWaitsForWhatItLeadsTo) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  const auto made = service.calls(kWorkers, {0x100, 0x180}, {2});
  service.answer(a, 1);
  service.answer(b, 2);
  EXPECT_TRUE(service.is_parent(b, made));
}

TEST(Future, APoolThatGivesWorkToAnother) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  const auto made = service.calls(kWorkers, {0x200});
  service.waits(kWorkers + 1, {0x200, 0x100}, 0x100);  // works on 0x100, waits for 0x200
  service.waits(1, {0x100});
  service.answer(b, 2);
  service.answer(a, 1);
  EXPECT_TRUE(service.is_parent(a, made));
}

// Two requests wait for one piece of work, as caches do: whose it was nobody tells.
TEST(Future, WhatSeveralRequestsShareIsNobodys) {
  Service service;
  service.prove(200);
  const auto a = service.request(1);
  const auto b = service.request(2);
  const auto made = service.calls(kWorkers, {0x100});
  service.waits(1, {0x100});
  service.waits(2, {0x100});
  service.answer(a, 1);
  service.answer(b, 2);
  EXPECT_TRUE(service.orphan(made));
}

// A pool of one's own: its threads run a task that never ends, and wait for others by turns.
TEST(Future, ATaskThatNeverEndsJoinsNothing) {
  Service service;
  service.prove(200);
  const std::uint64_t loop = 0x900;
  ExchangePtr last;
  for (std::uint32_t i = 0; i < 20; ++i) {
    const auto a = service.request(1);
    const auto b = service.request(2);
    const std::uint64_t job = 0x1000 + i * 64;
    service.waits(kWorkers, {job + 8, job, loop}, loop);
    service.waits(1 + i % 2, {job});
    last = service.calls(kWorkers + 1, {job + 8});
    service.answer(a, 1);
    service.answer(b, 2);
    const auto& parent = service.span(last).parent.id;
    EXPECT_TRUE(!parent.valid() || service.is_parent(i % 2 == 0 ? a : b, last)) << i;
  }
}

// Addresses hold until the next collection of garbage: what lies there then is another.
TEST(Future, AnAddressIsAnotherAfterACollection) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  service.waits(1, {0x100});
  service.collections = 2;
  const auto made = service.calls(kWorkers, {0x100});
  service.waits(2, {0x100});
  service.answer(a, 1);
  service.answer(b, 2);
  EXPECT_TRUE(service.is_parent(b, made));
}

TEST(Future, WhatIsLeftOnTheStackOfWhoHasNothingToDoIsNothing) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  const auto made = service.calls(kWorkers, {0x100});
  service.waits(kWorkers + 1, {0x100, 0x200});  // works on nothing
  service.waits(2, {0x200});
  service.waits(1, {0x100});
  service.answer(b, 2);
  service.answer(a, 1);
  EXPECT_TRUE(service.is_parent(a, made));
}

// A word left on a stack from before a collection, where another object lies now.
TEST(Future, WhatTwoThreadsSeemToWorkOnIsNobodys) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  const auto of_b = service.calls(kWorkers, {0x100}, {1});
  const auto of_a = service.calls(kWorkers + 1, {0x100}, {1});
  service.waits(1, {0x100});
  service.answer(b, 2);
  service.answer(a, 1);
  EXPECT_TRUE(service.orphan(of_b));
  EXPECT_TRUE(service.orphan(of_a));
}

// Calls that are older than the request that seems to wait for them: what is read there is not what it seems.
TEST(Future, WhereItDoesNotFitNothingIsSaid) {
  Service service;
  for (int i = 0; i < 40; ++i) {
    const auto older = service.call(thread(kPid, kWorkers));
    const auto a = service.request(1);
    const auto b = service.request(2);
    const auto at = static_cast<std::uint64_t>(0x1000 + i * 16);
    service.answers(older, kWorkers, {at});
    const auto made = service.calls(kWorkers + 1, {at + 8});
    service.waits(1, {at, at + 8});
    service.answer(a, 1);
    service.answer(b, 2);
    EXPECT_TRUE(service.orphan(older));
    EXPECT_TRUE(service.orphan(made));
  }
}

// What a pool's thread worked on before is left on its stack.
TEST(Future, FormerWorkIsOfAnotherRequest) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  const auto of_a = service.calls(kWorkers, {0x100});
  service.waits(kWorkers, {0x100, 0x400}, 0x100);
  service.waits(1, {0x100, 0x108});  // and goes on to wait for the other
  const auto of_b = service.calls(kWorkers, {0x200});
  service.waits(kWorkers, {0x100, 0x400, 0x200, 0x408}, 0x200);
  service.waits(2, {0x200});
  service.answer(b, 2);
  service.answer(a, 1);
  EXPECT_TRUE(service.is_parent(a, of_a));
  EXPECT_TRUE(service.is_parent(b, of_b));
}

// Nobody waits: one thread reads all requests, a pool's make the calls, and the last of these answers.
struct Asynchronous : Service {
  std::uint64_t next = 0x40000;
  // Requests by twos, each with a call that another thread makes than who answers.
  void prove_alone(int pairs = 20) {
    for (int i = 0; i < pairs; ++i) {
      const ExchangePtr a = request(1);
      const ExchangePtr b = request(1);
      const std::uint64_t at = next += 0x100;
      calls(kWorkers, {at, at + 0x20});
      calls(kWorkers + 1, {at + 0x40, at + 0x60});
      calls(kWorkers + 2, {at + 0x10, at + 0x20});
      answer(a, kWorkers + 2);
      calls(kWorkers + 3, {at + 0x50, at + 0x60});
      answer(b, kWorkers + 3);
    }
  }
};

TEST(Future, WhereNobodyWaitsCallsAreOfWhoIsAnsweredRightAfterTheLast) {
  Asynchronous service;
  service.prove_alone();
  const auto a = service.request(1);
  const auto b = service.request(1);
  const auto first_of_a = service.calls(kWorkers, {0x100, 0x180, 0x190});
  const auto first_of_b = service.calls(kWorkers + 1, {0x200, 0x280});
  const auto second_of_a = service.calls(kWorkers + 1, {0x110, 0x188, 0x190});
  const auto second_of_b = service.calls(kWorkers, {0x210, 0x280});
  service.answer(b, kWorkers);
  service.answer(a, kWorkers + 1);
  for (const ExchangePtr& one : {first_of_a, second_of_a}) EXPECT_TRUE(service.is_parent(a, one));
  for (const ExchangePtr& one : {first_of_b, second_of_b}) EXPECT_TRUE(service.is_parent(b, one));
  EXPECT_EQ(service.span(second_of_b).parent.method, "future");
}

// Answers are work like any other: whoever is free writes them.
TEST(Future, WhereAPoolIsGivenTheAnswersTheyTellNothing) {
  Asynchronous service;
  ExchangePtr last;
  for (std::uint64_t i = 0; i < 60; ++i) {
    const auto a = service.request(1);
    const auto b = service.request(1);
    service.calls(kWorkers, {0x50000 + i * 0x20});
    last = service.calls(kWorkers + 1, {0x50010 + i * 0x20});
    const auto writer = static_cast<std::uint32_t>(kWorkers + i % 2);
    service.answer(a, writer);
    service.answer(b, writer);
    service.wait(30'000'000);
  }
  EXPECT_TRUE(service.orphan(last));
}

TEST(Future, CallsOlderThanWhoIsAnsweredRightAfterAreNotIts) {
  Asynchronous service;
  service.prove_alone();
  for (int i = 0; i < 2; ++i) {
    const auto a = service.request(1);
    const auto b = service.request(1);
    const auto older = service.calls(kWorkers, {0x100});
    const auto c = service.request(1);
    service.answer(c, kWorkers);
    service.answer(a, 1);
    service.answer(b, 1);
    EXPECT_TRUE(service.orphan(older)) << "the request is newer";
  }
}

TEST(Future, CallsThatAllLeadToOnePlaceAreNobodys) {
  Asynchronous service;
  service.prove_alone();
  std::vector<ExchangePtr> made;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const auto request = service.request(1);
    made.push_back(service.calls(kWorkers, {0x60000 + i * 16, 0x100}));
    if (i >= 70) service.answer(request, kWorkers);
  }
  for (std::size_t i = 70; i < made.size(); ++i) EXPECT_TRUE(service.orphan(made[i]));
}

TEST(Future, WhatIsToBeDoneAfterNamesTheConnectionOfTheRequest) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  const auto first = service.call(thread(kPid, kWorkers));
  service.names(first, kWorkers, 0x100, a);
  ++service.collections;
  const auto second = service.call(thread(kPid, kWorkers + 1));
  service.names(second, kWorkers + 1, 0x200, a);
  const auto of_b = service.call(thread(kPid, kWorkers));
  service.names(of_b, kWorkers, 0x300, b);
  service.answer(b, kWorkers);
  service.answer(a, kWorkers + 1);
  EXPECT_TRUE(service.is_parent(a, first));
  EXPECT_TRUE(service.is_parent(a, second));
  EXPECT_TRUE(service.is_parent(b, of_b));
  EXPECT_EQ(service.span(of_b).parent.method, "future");
}

// A word left on one's stack, at an address where another's future is now.
TEST(Future, WhatTwoThreadsSeemToWorkOnNamesNobody) {
  Service service;
  service.prove();
  const auto a = service.request(1);
  const auto b = service.request(2);
  const auto of_a = service.call(thread(kPid, kWorkers));
  service.names(of_a, kWorkers, 0x100, a);
  const auto of_b = service.call(thread(kPid, kWorkers + 1));
  service.names(of_b, kWorkers + 1, 0x100, a);
  service.answer(a, kWorkers);
  service.answer(b, kWorkers + 1);
  EXPECT_TRUE(service.orphan(of_a));
  EXPECT_TRUE(service.orphan(of_b));
}

}  // namespace
}  // namespace wirespan
