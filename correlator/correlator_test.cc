#include "correlator/correlator.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <string>

#include "correlator/explain.h"
#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

TEST(Links, ThreadThatReadTheRequestIsTheParentUntilItAnswers) {
  Scene s;
  const auto a = s.serve(thread(1, 7));
  const auto b = s.serve(thread(1, 8));
  const auto from_a = s.call(thread(1, 7));
  const auto from_b = s.call(thread(1, 8));
  s.finish(from_a, thread(1, 7));
  s.finish(a, thread(1, 7));
  const auto late = s.call(thread(1, 7));
  s.finish(from_b, thread(1, 8));
  s.finish(b, thread(1, 8));
  s.finish(late, thread(1, 7));
  EXPECT_TRUE(s.is_parent(a, from_a));
  EXPECT_TRUE(s.is_parent(b, from_b));
  EXPECT_EQ(s.span(from_a).parent.method, "thread");
  // Only b is open then: not certain, and said so.
  EXPECT_EQ(s.span(late).parent.method, "only_open");
}

TEST(Times, ASpanLastsAsLongAsItDidWhileWallTimeIsSet) {
  Scene s;
  s.clock.step_ns = 3'600'000'000'000;
  const auto served = s.serve(thread(1, 7));
  s.finish(served, thread(1, 7));
  s.correlator.flush();
  ASSERT_EQ(s.spans.size(), 1U);
  EXPECT_EQ(static_cast<std::int64_t>(s.spans[0].end.ns - s.spans[0].start.ns),
            served->response->last_byte.time - served->request->first_byte.time);
}

// Its threads answer what they read, but another one makes calls: a pool for calls in parallel, or work in the
// background.
TEST(Links, CallsOfThreadsThatReadNoRequestsGoOutInTime) {
  Scene s{CorrelatorOptions{}};
  for (int i = 0; i < 100; ++i) {
    const auto request = s.serve(thread(1, 7));
    s.finish(request, thread(1, 7));
  }
  constexpr int kCalls = 50;
  for (int i = 0; i < kCalls; ++i) {
    const auto a = s.serve(thread(1, 7));
    const auto b = s.serve(thread(1, 8));
    const auto call = s.call(thread(1, 99));
    s.finish(call, thread(1, 99));
    s.finish(a, thread(1, 7));
    s.finish(b, thread(1, 8));
    s.wait(10'000'000);
  }
  for (int i = 0; i < 10; ++i) s.wait(1'000'000'000);
  EXPECT_EQ(s.spans.size(), 100U + 3 * kCalls) << "not only when the agent ends";
}

TEST(Links, AnEventLoopWithSeveralRequestsIsNotGuessed) {
  Scene s;
  const auto a = s.serve(thread(1, 7, 1));
  const auto b = s.serve(thread(1, 7, 2));
  const auto call = s.call(thread(1, 7, 3));
  for (const auto& e : {call, a, b}) s.finish(e, thread(1, 7, 4));
  EXPECT_FALSE(s.span(call).parent.id.valid());
  EXPECT_EQ(s.span(call).attributes.text("wirespan.link.missing"), "several_open");
}

TEST(Links, AGoThreadProvesNothing) {
  Scene s;
  s.runtimes[1] = Runtime::kGo;
  const auto a = s.serve(thread(1, 7));
  const auto b = s.serve(thread(1, 8));
  const auto call = s.call(thread(1, 7));
  for (const auto& e : {call, a, b}) s.finish(e, thread(1, 7));
  EXPECT_FALSE(s.span(call).parent.id.valid());
}

TEST(Links, BothEndsOfAConnectionMeet) {
  Scene s;
  const auto client_end = s.connection(1, 100, 200, TcpSide::kActive);
  const auto server_end = s.connection(2, 200, 100, TcpSide::kPassive);
  const auto call = s.call(thread(1, 7), client_end);
  const auto served = s.serve(thread(2, 9), server_end);
  s.finish(served, thread(2, 9));
  s.finish(call, thread(1, 7));
  EXPECT_TRUE(s.is_parent(call, served));
  EXPECT_EQ(s.span(served).parent.method, "peer");
}

TEST(Links, TheServersReadMayBeSeenBeforeTheClientsWrite) {
  Scene s;
  const auto client_end = s.connection(1, 100, 200, TcpSide::kActive);
  const auto server_end = s.connection(2, 200, 100, TcpSide::kPassive);
  const auto served = s.serve(thread(2, 9), server_end);
  const auto call = s.call(thread(1, 7), client_end);
  s.finish(served, thread(2, 9));
  s.finish(call, thread(1, 7));
  EXPECT_TRUE(s.is_parent(call, served));
}

// The caller's end is told only with its first bytes, and the callee may have read them by then.
TEST(Links, ANewConnectionsCallerMayBeToldLate) {
  Scene s;
  const auto served = s.serve(thread(2, 9), s.connection(2, 200, 100, TcpSide::kPassive));
  const auto called = s.call(thread(1, 7), s.connection(1, 100, 200, TcpSide::kActive));
  s.finish(served, thread(2, 9));
  s.finish(called, thread(1, 7));
  EXPECT_TRUE(s.is_parent(called, served));
}

// A machine with more to run than it has CPUs: between a send and what tells of it, the sender may wait for long.
TEST(Links, ACallerPutAsideIsWaitedForUntilItsRequestIsAnswered) {
  Scene s;
  const auto client_end = s.connection(1, 100, 200, TcpSide::kActive);
  const auto server_end = s.connection(2, 200, 100, TcpSide::kPassive);
  const auto served = s.serve(thread(2, 9), server_end);
  s.wait(500'000'000);
  s.finish(served, thread(2, 9));
  s.wait(50'000'000);
  const auto called = s.call(thread(1, 7), client_end);
  s.finish(called, thread(1, 7));
  EXPECT_TRUE(s.is_parent(called, served));
}

TEST(Links, ACallerIsNotWaitedForForEver) {
  Scene s;
  s.connection(1, 100, 200, TcpSide::kActive);
  const auto served = s.serve(thread(2, 9), s.connection(2, 200, 100, TcpSide::kPassive));
  const auto below = s.call(thread(2, 9));  // of a long poll: it is not kept back until the poll ends
  s.finish(below, thread(2, 9));
  s.wait(3'000'000'000);
  s.wait(30'000'000'000);
  EXPECT_EQ(s.spans.size(), 1U);
  s.finish(served, thread(2, 9));
  s.wait(200'000'000);
  EXPECT_EQ(s.spans.size(), 3U) << "its caller is made up";
}

TEST(Links, TheCallerOfAConnectionOlderThanTheAgentMayBeToldLate) {
  Scene s;
  auto conn = std::make_shared<Connection>(*s.connection(2, 200, 100, TcpSide::kPassive));
  conn->adopted = true;
  const auto served = s.serve(thread(2, 9), conn);
  s.finish(served, thread(2, 9));
  const auto called = s.call(thread(1, 7), s.connection(1, 100, 200, TcpSide::kActive));
  s.finish(called, thread(1, 7));
  EXPECT_TRUE(s.is_parent(called, served));
}

TEST(Links, AnUntracedClientLeavesARootAtOnce) {
  Scene s;
  auto conn = std::make_shared<Connection>(*s.connection(2, 200, 100, TcpSide::kPassive));
  conn->adopted = true;
  s.finish(s.serve(thread(2, 9), conn), thread(2, 9));
  s.wait(200'000'000);
  ASSERT_EQ(s.spans.size(), 1U) << "whether the first has a caller shows soon";
  s.finish(s.serve(thread(2, 9), conn), thread(2, 9));
  ASSERT_EQ(s.spans.size(), 2U) << "nothing to wait for";
  for (const Span& span : s.spans) {
    EXPECT_FALSE(span.parent.id.valid());
    EXPECT_TRUE(span.trace.valid());
  }
}

TEST(Links, HeaderGivesTheTraceAndAProxyThatForwardsItIsSeen) {
  Scene s;
  const CarriedHeaders header{{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}};
  const auto served = s.serve(thread(1, 7), nullptr, header);
  const auto forwarded = s.call(thread(1, 8), nullptr, header);
  s.finish(forwarded, thread(1, 8));
  s.finish(served, thread(1, 7));
  EXPECT_EQ(s.span(served).trace.hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(s.span(served).parent.id.hex(), "00f067aa0ba902b7");
  EXPECT_EQ(s.span(served).parent.method, "traceparent");
  EXPECT_TRUE(s.is_parent(served, forwarded));
}

TEST(Links, OneTraceparentOnManyRequestsNamesNoParentHere) {
  Scene s;
  const CarriedHeaders header{{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}};
  const auto a = s.serve(thread(1, 7), nullptr, header);
  const auto b = s.serve(thread(1, 8), nullptr, header);
  const auto call = s.call(thread(1, 8), nullptr, header);
  s.finish(call, thread(1, 8));
  s.finish(a, thread(1, 7));
  s.finish(b, thread(1, 8));
  EXPECT_TRUE(s.is_parent(b, call)) << "the thread still knows";
}

TEST(Links, AConnectionMadeForARequestCarriesItFirst) {
  Scene s;
  const auto a = s.serve(thread(1, 7, 1));
  const auto conn = s.connection(1, 0, 0, TcpSide::kActive, thread(1, 7, 1));
  const auto b = s.serve(thread(1, 8, 2));
  const auto call = s.call(thread(1, 7, 2), conn);  // a turn later: the thread alone would say nothing
  for (const auto& e : {call, a}) s.finish(e, thread(1, 7, 3));
  s.finish(b, thread(1, 8, 3));
  EXPECT_TRUE(s.is_parent(a, call));
  EXPECT_EQ(s.span(call).parent.method, "connect");
}

TEST(Links, AChildProcessInherits) {
  Scene s;
  const auto a = s.serve(thread(1, 7));
  const auto b = s.serve(thread(1, 8));
  s.correlator.on_event(event::Forked{s.now, {1, 7}, {20, 20}});
  const auto call = s.call(thread(20, 20));
  s.finish(call, thread(20, 20));
  s.finish(a, thread(1, 7));
  s.finish(b, thread(1, 8));
  EXPECT_TRUE(s.is_parent(a, call));
  EXPECT_EQ(s.span(call).parent.method, "fork");
}

TEST(Links, AServiceCallingItselfMakesNoCycle) {
  Scene s;
  const auto client_end = s.connection(1, 100, 200, TcpSide::kActive);
  const auto server_end = s.connection(1, 200, 100, TcpSide::kPassive);
  const auto served = s.serve(thread(1, 9), server_end);  // seen first
  const auto call = s.call(thread(1, 7), client_end);
  s.finish(served, thread(1, 9));
  s.finish(call, thread(1, 7));
  EXPECT_TRUE(s.is_parent(call, served));
  EXPECT_FALSE(s.span(call).parent.id.valid());
}

TEST(Links, AThreadThatHandsItsRequestOnProvesNothing) {
  Scene s;
  const auto a = s.serve(thread(1, 7));
  const auto b = s.serve(thread(1, 8));
  const auto call = s.call(thread(1, 7));  // thread 7 is back in a pool and works for b
  s.finish(call, thread(1, 7));
  s.finish(a, thread(1, 9));
  s.finish(b, thread(1, 7));
  EXPECT_FALSE(s.span(call).parent.id.valid());
  EXPECT_EQ(s.span(call).attributes.text("wirespan.link.missing"), "thread_moved");
  // Learned: not even tried again.
  const auto c = s.serve(thread(1, 7));
  const auto d = s.serve(thread(1, 8));
  const auto again = s.call(thread(1, 7));
  for (const auto& e : {again, c, d}) s.finish(e, thread(1, 7));
  EXPECT_EQ(s.span(again).attributes.text("wirespan.link.missing"), "several_open");
}

TEST(Links, WhenTheThreadProvesNothingTheOnlyOpenRequestStillCounts) {
  Scene s;
  const auto a = s.serve(thread(1, 7));
  const auto call = s.call(thread(1, 7));
  s.finish(call, thread(1, 7));
  s.finish(a, thread(1, 9));
  EXPECT_TRUE(s.is_parent(a, call));
  EXPECT_EQ(s.span(call).parent.method, "only_open");
}

TEST(Links, AnEvidenceSwitchedOffIsNotUsed) {
  Scene s({.disabled = {"thread", "only_open"}});
  const auto a = s.serve(thread(1, 7));
  const auto call = s.call(thread(1, 7));
  s.finish(call, thread(1, 7));
  s.finish(a, thread(1, 7));
  EXPECT_FALSE(s.span(call).parent.id.valid());
}

TEST(Links, FullTableStillGivesEverySpan) {
  Scene s({.most_open = 3});
  std::vector<ExchangePtr> open;
  for (std::uint32_t i = 0; i < 10; ++i) open.push_back(s.serve(thread(1, i + 10)));
  for (const auto& e : open) s.finish(e, thread(1, 1));
  s.correlator.flush();
  EXPECT_EQ(s.spans.size(), 10U);
}

// An SDK in the service says whose call it is; what the agent would have said without is counted, per service.
TEST(LinkReport, LinksAreCheckedAgainstHeaders) {
  Scene s;
  s.runtimes[1] = Runtime::kGo;
  constexpr std::string_view kTraces[] = {"4bf92f3577b34da6a3ce929d0e0e4736", "5bf92f3577b34da6a3ce929d0e0e4736"};
  const auto context = [&](int trace, std::string_view span) {
    return CarriedHeaders{{"traceparent", "00-" + std::string(kTraces[trace]) + "-" + std::string(span) + "-01"}};
  };
  for (int trace : {0, 1})
    s.serve(testing::goroutine(1, 10U + static_cast<unsigned>(trace)), nullptr, context(trace, "00f067aa0ba902b7"));
  // The goroutine that read the first request calls for it, and once for the second; a third call is anybody's.
  s.call(testing::goroutine(1, 10), nullptr, context(0, "10f067aa0ba902b7"));
  s.call(testing::goroutine(1, 10), nullptr, context(1, "20f067aa0ba902b7"));
  s.call(testing::goroutine(1, 99), nullptr, context(1, "30f067aa0ba902b7"));
  s.correlator.flush();
  EXPECT_EQ(s.counters.get("links.service.checked.calls").value(), 3U);
  EXPECT_EQ(s.counters.get("links.service.checked.right").value(), 1U);
  EXPECT_EQ(s.counters.get("links.service.checked.wrong").value(), 1U);
}

// Both ends are traced, but of the caller's end the request was lost: its span is made up, and the trace says so.
TEST(Completeness, ACallerThatWasNotSeenIsMadeUp) {
  Scene s;
  const auto caller = s.connection(1, 100, 200, TcpSide::kActive);
  const auto callee = s.connection(2, 200, 100, TcpSide::kPassive);
  const auto request = s.serve(testing::thread(2, 20), callee);
  s.wait(1'000'000'000);
  s.finish(request, testing::thread(2, 20));
  s.correlator.flush();
  ASSERT_EQ(s.spans.size(), 2U);
  const Span& synthetic = s.spans[0];
  const Span& server = s.spans[1];
  EXPECT_EQ(synthetic.role, SpanRole::kClient);
  EXPECT_EQ(synthetic.process->pid, 1U);
  EXPECT_TRUE(synthetic.find("wirespan.synthetic"));
  EXPECT_EQ(server.parent.id, synthetic.id);
  EXPECT_EQ(server.trace, synthetic.trace);
  EXPECT_EQ(std::get<double>(*server.find("wirespan.trace.completeness")), 0.5);
  EXPECT_EQ(s.counters.get("correlator.synthetic_parents").value(), 1U);
}

TEST(Completeness, WhoIsNotTracedIsNotLost) {
  Scene s;
  const auto request = s.serve(testing::thread(1, 10));
  const auto call = s.call(testing::thread(1, 10), s.connection(1, 300, 400, TcpSide::kActive));
  s.finish(call, testing::thread(1, 10));
  s.finish(request, testing::thread(1, 10));
  const Span& server = s.span(request);
  EXPECT_EQ(std::get<double>(*server.find("wirespan.trace.completeness")), 1.0);
  EXPECT_EQ(std::get<std::int64_t>(*server.find("wirespan.trace.untraced")), 1);
  EXPECT_FALSE(s.span(call).find("wirespan.trace.completeness"));
}

TEST(Losses, AfterThemTheOnlyOpenRequestSeenMayNotBeTheOnlyOne) {
  Scene s;
  s.correlator.on_event(event::Lost{s.now, "ringbuf_full", 1});
  const auto request = s.serve(testing::thread(1, 10, 2));
  const auto call = s.call(testing::thread(1, 11));
  s.finish(call, testing::thread(1, 11));
  s.finish(request, testing::thread(1, 10, 4));
  EXPECT_FALSE(s.span(call).parent.id.valid());
}

// docs/links.md is what people read, `wirespan explain` what they ask.
TEST(Explain, HasWordsForEveryReasonTheDocumentationNames) {
  std::ifstream in(WIRESPAN_SOURCE_DIR "/docs/links.md");
  const std::string unknown(explain_missing("?"));
  std::size_t reasons = 0;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("| `wirespan.link.missing` |")) continue;
    const std::regex name("`([a-z_]+)`");
    for (std::sregex_iterator at(line.begin(), line.end(), name), end; at != end; ++at, ++reasons) {
      EXPECT_NE(explain_missing((*at)[1].str()), unknown) << (*at)[1];
    }
  }
  EXPECT_GT(reasons, 5U);
}

// A pool's thread whose last call is known to be one request's (it carried that one's own context) takes up another's
// work next.
TEST(Links, APoolsThreadDoesNotStayWithTheRequestOfItsLastCall) {
  Scene s;
  const CarriedHeaders context{{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
  int linked = 0;
  for (int i = 0; i < 40; ++i) {
    const auto first = s.serve(thread(100, 1), nullptr, context);
    const auto second = s.serve(thread(100, 2));
    const auto of_first = s.call(thread(100, 50, 1), nullptr, context);
    s.finish(of_first, thread(100, 50, 1));
    const auto of_second = s.call(thread(100, 50, 1));
    s.finish(of_second, thread(100, 50, 1));
    s.finish(second, thread(100, 2));
    s.finish(first, thread(100, 1));
    linked += s.is_parent(first, of_first) ? 1 : 0;
    EXPECT_FALSE(s.is_parent(first, of_second));
  }
  EXPECT_GT(linked, 30);
}

// Nor does the loop of a client's, of which the threads of all requests ask for calls: not even in the same turn.
TEST(Links, TheLoopOfAClientDoesNotStayWithTheRequestOfItsLastCall) {
  Scene s;
  const CarriedHeaders context{{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
  constexpr std::uint32_t kTurn = 7;
  int linked = 0;
  for (int i = 0; i < 40; ++i) {
    const auto first = s.serve(thread(100, 1), nullptr, context);
    const auto second = s.serve(thread(100, 2));
    const auto of_first = s.call(thread(100, 50, kTurn), nullptr, context);
    s.finish(of_first, thread(100, 50, kTurn));
    const auto of_second = s.call(thread(100, 50, kTurn));
    s.finish(of_second, thread(100, 50, kTurn));
    s.finish(second, thread(100, 2));
    s.finish(first, thread(100, 1));
    linked += s.is_parent(first, of_first) ? 1 : 0;
    EXPECT_FALSE(s.is_parent(first, of_second));
  }
  EXPECT_GT(linked, 30);
}

}  // namespace
}  // namespace wirespan
