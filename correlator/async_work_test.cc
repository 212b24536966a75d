// Whom a Node process works for: what its loop does, event by event, as real processes were seen to.
#include "correlator/async_work.h"

#include <gtest/gtest.h>

#include <set>

namespace wirespan {
namespace {

using Where = event::Async::Where;

constexpr ConnId kServed{1};  // a connection each on which A and B came
constexpr ConnId kServedToo{2};
constexpr ConnId kBackend{3};
constexpr ConnId kDatabase{4};
constexpr std::uint64_t kA = 100;
constexpr std::uint64_t kB = 200;

struct Loop : AsyncWork {
  using Where = event::Async::Where;
  void tell(Where where, ConnId conn, std::uint64_t execution, std::uint64_t trigger) {
    observe({BootTime{1}, 7, where, conn, execution, trigger, given, ++sequence},
            [this](std::uint64_t request) { return !answered.contains(request); });
  }
  // Something is made in JavaScript: gives its id.
  std::uint64_t make() { return ++given; }
  // A request is read; what its handler does follows.
  void request(ConnId conn, std::uint64_t number) {
    tell(Where::kReceives, conn, 0, 0);
    reading(conn, {number}, true);
  }
  std::uint64_t timers(std::uint64_t execution, std::uint64_t trigger) {
    tell(Where::kBegins, {}, 0, 0);
    tell(Where::kResolves, {}, execution, trigger);
    return now().request;
  }
  std::uint64_t sends(ConnId conn, std::uint64_t execution = 0, std::uint64_t trigger = 0) {
    tell(Where::kSends, conn, execution, trigger);
    return now().request;
  }
  void call(ConnId conn, std::uint64_t request, std::uint64_t number) { calls(conn, {request, number}); }
  void response(ConnId conn) { tell(Where::kReceives, conn, 0, 0); }

  std::uint64_t given = 10;
  std::uint32_t sequence = 0;
  std::set<std::uint64_t> answered;
};

TEST(AsyncWork, ATimerBelongsToWhoSetIt) {
  Loop loop;
  loop.request(kServed, kA);
  const auto of_a = loop.make();
  loop.request(kServedToo, kB);
  const auto of_b = loop.make();
  EXPECT_EQ(loop.timers(of_a, 0), kA);
  EXPECT_EQ(loop.sends(kBackend), kA) << "the promise's continuation runs in no context";
  EXPECT_EQ(loop.timers(of_b, 0), kB);
  EXPECT_EQ(loop.sends(kBackend), kB);
  EXPECT_EQ(loop.how(), AsyncWork::kInTurn);
}

TEST(AsyncWork, CallbacksOfTimersAreToldApartByTheirTicks) {
  Loop loop;
  loop.request(kServed, kA);
  const auto of_a = loop.make();
  loop.request(kServedToo, kB);
  const auto of_b = loop.make();
  loop.tell(Where::kBegins, {}, 0, 0);
  const auto tick_a = loop.make();
  const auto tick_b = loop.make();
  EXPECT_EQ(loop.sends(kBackend, tick_a, of_a), kA);
  EXPECT_EQ(loop.sends(kDatabase, tick_b, of_b), kB);
}

TEST(AsyncWork, ARequestThatWaitedForASocketIsOfWhoMadeIt) {
  Loop loop;
  loop.request(kServed, kA);
  loop.sends(kBackend);
  loop.call(kBackend, kA, 101);
  loop.request(kServedToo, kB);
  const auto queued = loop.make();
  loop.response(kBackend);  // A's, which sets the socket free
  const auto tick = loop.make();
  EXPECT_EQ(loop.sends(kBackend, tick, queued), kB);
  EXPECT_EQ(loop.how() & AsyncWork::kReused, 0);
}

// undici: what is sent next on a connection that was set free is sent from an immediate.
TEST(AsyncWork, WhatIsSentOnAConnectionByANumberGivenWhenThatWasReadMayHaveWaitedForIt) {
  Loop loop;
  loop.request(kServed, kA);
  loop.sends(kBackend);
  loop.call(kBackend, kA, 101);
  loop.response(kBackend);
  const auto resumes = loop.make();
  loop.tell(Where::kBegins, {}, 0, 0);
  EXPECT_EQ(loop.sends(kDatabase, loop.make(), resumes), kA);
  EXPECT_EQ(loop.how() & AsyncWork::kReused, 0) << "another connection";
  EXPECT_EQ(loop.sends(kBackend, loop.make(), resumes), kA);
  EXPECT_NE(loop.how() & AsyncWork::kReused, 0);
  // Read again since.
  loop.call(kBackend, kA, 102);
  loop.response(kBackend);
  loop.tell(Where::kBegins, {}, 0, 0);
  loop.sends(kBackend, loop.make(), resumes);
  EXPECT_EQ(loop.how() & AsyncWork::kReused, 0);
}

TEST(AsyncWork, WhoWaitsForAResponseIsHeardFirst) {
  Loop loop;
  loop.request(kServed, kA);
  const auto of_a = loop.make();
  loop.request(kServedToo, kB);
  const auto of_b = loop.make();
  loop.timers(of_a, 0);
  loop.sends(kBackend);
  loop.call(kBackend, kA, 101);
  loop.response(kBackend);
  EXPECT_FALSE(loop.heard());
  loop.tell(Where::kResolves, {}, of_b, 0);
  ASSERT_TRUE(loop.heard());
  EXPECT_EQ(loop.heard()->call, 101U);
  EXPECT_EQ(loop.heard()->by, Work{kB});
  EXPECT_FALSE(loop.heard()->agrees);
  EXPECT_EQ(loop.now(), (Work{kB, 101})) << "and is led on by it";
  loop.tell(Where::kResolves, {}, of_a, 0);
  EXPECT_FALSE(loop.heard()) << "a promise resolved later may be anybody's";
}

TEST(AsyncWork, WhoWaitsIsHeardWhereNothingElseIsKnownOfTheCall) {
  Loop loop;
  loop.request(kServed, kA);
  loop.sends(kDatabase);
  loop.call(kDatabase, kA, 101);
  loop.response(kDatabase);
  loop.reading(kDatabase, {kA, 101}, false);
  const auto waits = loop.make();
  loop.tell(Where::kBegins, {}, 0, 0);
  loop.sends(kBackend);
  loop.response(kBackend);
  loop.reading(kBackend, {0, 102}, false);
  loop.tell(Where::kResolves, {}, waits, 0);
  ASSERT_TRUE(loop.heard());
  EXPECT_EQ(loop.heard()->call, 102U);
  EXPECT_EQ(loop.heard()->by, (Work{kA, 101})) << "what had led to it";
}

TEST(AsyncWork, AKeptConnectionsOwnNumberSaysNothing) {
  Loop loop;
  loop.request(kServed, kA);
  const auto socket = loop.make();
  loop.tell(Where::kConnects, kBackend, 0, 0);
  loop.sends(kBackend, socket, 0);
  loop.call(kBackend, kA, 101);
  loop.response(kBackend);
  loop.request(kServedToo, kB);
  loop.sends(kBackend);
  loop.call(kBackend, kB, 201);
  loop.response(kBackend);
  EXPECT_EQ(loop.sends(kServedToo, loop.make(), socket), kB) << "though the socket was made for A, which is open";
  EXPECT_EQ(loop.now().via, 201U);
}

TEST(AsyncWork, ASocketMadeAmongTimersIsOfWhoMadeIt) {
  Loop loop;
  loop.request(kServed, kA);
  const auto of_a = loop.make();
  loop.request(kServedToo, kB);
  const auto of_b = loop.make();
  loop.timers(of_b, 0);
  loop.tell(Where::kMakes, {}, of_a, 0);  // in the callback of A's timer, which runs next
  const auto socket = loop.make();
  const auto tick = loop.make();
  loop.tell(Where::kConnects, kBackend, tick, socket);
  const auto connecting = loop.make();
  EXPECT_EQ(loop.now().request, kA);
  loop.tell(Where::kBegins, {}, 0, 0);
  EXPECT_EQ(loop.sends(kBackend, connecting, socket), kA);
}

TEST(AsyncWork, WhatADatabaseAnswersIsForWhoAsked) {
  Loop loop;
  loop.request(kServed, kA);
  loop.sends(kDatabase);
  loop.request(kServedToo, kB);
  loop.response(kDatabase);
  EXPECT_EQ(loop.sends(kBackend), kA);
}

TEST(AsyncWork, OfAConnectionSeveralWroteToNothingIsKnown) {
  Loop loop;
  loop.request(kServed, kA);
  loop.sends(kDatabase);
  loop.request(kServedToo, kB);
  loop.sends(kDatabase);
  loop.response(kDatabase);
  EXPECT_EQ(loop.sends(kBackend), 0U);
}

TEST(AsyncWork, WhenAnotherIsResolvedInOnesTurnEitherMayGoOn) {
  Loop loop;
  loop.request(kServed, kA);
  const auto of_a = loop.make();
  loop.request(kServedToo, kB);
  loop.tell(Where::kResolves, {}, of_a, 0);
  EXPECT_EQ(loop.sends(kBackend), 0U);
}

TEST(AsyncWork, AfterSomethingNobodyToldOfNothingIsKnown) {
  Loop loop;
  loop.request(kServed, kA);
  loop.tell(Where::kBegins, {}, 0, 0);
  EXPECT_EQ(loop.sends(kBackend), 0U);
  loop.request(kServedToo, kB);
  ++loop.sequence;  // an event is lost
  EXPECT_EQ(loop.sends(kBackend), 0U);
}

TEST(AsyncWork, WhatWasMadeWhileTimersOfSeveralRanIsDoubtful) {
  Loop loop;
  loop.request(kServed, kA);
  const auto of_a = loop.make();
  loop.timers(of_a, 0);
  const auto made = loop.make();  // by A, or by a timer of another that has run since
  loop.tell(Where::kBegins, {}, 0, 0);
  EXPECT_EQ(loop.sends(kBackend, loop.make(), made), kA);
  EXPECT_NE(loop.how() & AsyncWork::kMixed, 0);
}

// setImmediate(() => setTimeout(...)), of several at once: nothing but the timers' numbers says whose calls follow.
TEST(AsyncWork, ATimerSetAmongImmediatesIsOfWhoSetIt) {
  Loop loop;
  loop.request(kServed, kA);
  const auto immediate_a = loop.make();
  loop.request(kServedToo, kB);
  const auto immediate_b = loop.make();
  loop.tell(Where::kBegins, {}, 0, 0);
  const auto timer_a = loop.make();
  loop.tell(Where::kSets, {}, immediate_a, 0);
  const auto timer_b = loop.make();
  loop.tell(Where::kSets, {}, immediate_b, 0);
  loop.tell(Where::kBegins, {}, 0, 0);
  EXPECT_EQ(loop.sends(kBackend, loop.make(), timer_a), kA);
  EXPECT_EQ(loop.how(), 0);
  EXPECT_EQ(loop.sends(kDatabase, loop.make(), timer_b), kB);
  EXPECT_EQ(loop.how(), 0);
}

// The same where calls wait for a connection: http.Agent resets it for each in the scope of who made the call.
TEST(AsyncWork, WhatATimersCallbackQueuesIsOfWhoSetTheTimer) {
  Loop loop;
  loop.request(kServed, kA);
  loop.sends(kBackend);
  loop.call(kBackend, kA, 101);
  loop.request(kServedToo, kB);
  const auto immediate = loop.make();
  loop.tell(Where::kBegins, {}, 0, 0);
  const auto timer = loop.make();
  loop.tell(Where::kSets, {}, immediate, 0);
  loop.tell(Where::kBegins, {}, 0, 0);
  const auto queued = loop.make();
  loop.response(kBackend);  // A's, which sets the socket free
  loop.tell(Where::kMakes, {}, queued, timer);
  loop.make();
  EXPECT_EQ(loop.sends(kBackend, loop.make(), queued), kB);
  EXPECT_EQ(loop.how(), 0);
}

// A tick's own trigger is told nowhere. But the connection is not taken for whose response set it free.
TEST(AsyncWork, WhatATickQueuedIsKnownByTheTickAlone) {
  Loop loop;
  loop.request(kServed, kA);
  loop.sends(kBackend);
  loop.call(kBackend, kA, 101);
  loop.request(kServedToo, kB);
  loop.make();  // an immediate
  loop.tell(Where::kBegins, {}, 0, 0);
  const auto tick = loop.make();
  const auto queued = loop.make();
  loop.response(kBackend);  // A's, which sets the socket free
  loop.tell(Where::kMakes, {}, queued, tick);
  loop.make();
  EXPECT_EQ(loop.sends(kBackend, loop.make(), queued), 0U);
  EXPECT_EQ(loop.cause(), tick);
  loop.calls(kBackend, {});
  loop.response(kBackend);
  loop.reading(kBackend, {0, 102}, false);
  const auto immediate = loop.make();
  loop.tell(Where::kBegins, {}, 0, 0);
  loop.sends(kServedToo, immediate, 0);
  EXPECT_EQ(loop.now(), (Work{0, 102})) << "the call that led there, whosever it is";
  EXPECT_EQ(loop.cause(), 0U);
}

TEST(AsyncWork, ATimerKeepsTheCallThatLedToIt) {
  Loop loop;
  loop.request(kServed, kA);
  loop.tell(Where::kBegins, {}, 0, 0);
  loop.sends(kBackend);
  loop.response(kBackend);
  loop.reading(kBackend, {0, 102}, false);
  const auto immediate = loop.make();
  loop.tell(Where::kBegins, {}, 0, 0);
  const auto timer = loop.make();
  loop.tell(Where::kSets, {}, immediate, 0);
  loop.tell(Where::kBegins, {}, 0, 0);
  loop.sends(kDatabase, loop.make(), timer);
  EXPECT_EQ(loop.now(), (Work{0, 102}));
}

// A timer that repeats asks for the time as well, before its callback runs: the last number is another's then.
TEST(AsyncWork, WhatMadeANumberSaysMoreThanATimerSetAfterIt) {
  Loop loop;
  loop.request(kServed, kA);
  const auto interval_a = loop.make();
  loop.request(kServedToo, kB);
  const auto interval_b = loop.make();
  loop.tell(Where::kBegins, {}, 0, 0);
  loop.tell(Where::kSets, {}, interval_a, 0);
  const auto queued = loop.make();
  loop.tell(Where::kSets, {}, interval_b, 0);
  loop.tell(Where::kBegins, {}, 0, 0);
  loop.tell(Where::kMakes, {}, queued, interval_a);
  loop.make();
  EXPECT_EQ(loop.sends(kBackend, loop.make(), queued), kA);
}

TEST(AsyncWork, ATimerSetWhereAnothersPromiseWasResolvedSaysNothingOfNumbersBefore) {
  Loop loop;
  loop.request(kServed, kA);
  const auto timer_a = loop.make();
  loop.request(kServedToo, kB);
  const auto interval_b = loop.make();
  EXPECT_EQ(loop.timers(timer_a, 0), kA);
  const auto queued = loop.make();  // by what waited for the promise, in no context
  loop.tell(Where::kSets, {}, interval_b, 0);
  loop.tell(Where::kBegins, {}, 0, 0);
  EXPECT_EQ(loop.sends(kBackend, loop.make(), queued), kA);
}

TEST(AsyncWork, ATimerSetOnceMoreGivesNoNumber) {
  Loop loop;
  loop.request(kServed, kA);
  const auto of_a = loop.make();
  loop.request(kServedToo, kB);
  const auto of_b = loop.make();
  loop.tell(Where::kBegins, {}, 0, 0);
  loop.tell(Where::kSets, {}, of_a, 0);
  EXPECT_EQ(loop.sends(kBackend, loop.make(), of_b), kB);
}

// That one guess led to both is no proof.
TEST(AsyncWork, AConnectionsSuccessionIsDoubtedThoughTheTurnAgrees) {
  Loop loop;
  loop.request(kServed, kA);
  loop.sends(kBackend);
  loop.call(kBackend, kA, 101);
  loop.response(kBackend);
  loop.sends(kBackend);  // may have waited for the connection
  EXPECT_NE(loop.how() & AsyncWork::kReused, 0);
  loop.calls(kBackend, {kA, 102, AsyncWork::kReused});
  loop.response(kBackend);
  const auto made = loop.make();
  loop.request(kServed, kA);
  EXPECT_EQ(loop.sends(kDatabase, made, 0), kA);
  EXPECT_NE(loop.how() & AsyncWork::kReused, 0);
}

TEST(AsyncWork, WorkOfARequestThatWasAnsweredIsNobodys) {
  Loop loop;
  loop.request(kServed, kA);
  const auto refresh = loop.make();
  loop.answered.insert(kA);
  loop.request(kServedToo, kB);
  EXPECT_EQ(loop.timers(refresh, 0), 0U);
  EXPECT_EQ(loop.sends(kBackend), 0U);
}

TEST(AsyncWork, IdsThatBeginAnewAreAnotherProgram) {
  Loop loop;
  loop.given = 500;
  loop.request(kServed, kA);
  loop.given = 3;
  loop.tell(Where::kBegins, {}, 0, 0);
  loop.given = 510;
  EXPECT_EQ(loop.sends(kBackend, 505, 0), 0U);
}

}  // namespace
}  // namespace wirespan
