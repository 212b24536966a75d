// evidence/async_id: scenes it must link and scenes it must refuse.
#include <gtest/gtest.h>

#include <vector>

#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using Where = event::Async::Where;

constexpr std::uint32_t kPid = 1;

struct NodeScene : Scene {
  // With inference, which holds calls back until an answer can prove them.
  NodeScene() : Scene(CorrelatorOptions()) { runtimes[kPid] = Runtime::kNode; }

  // No turns: other evidence of loops has nothing to go by.
  static Actor loop() { return {{kPid, kPid}, 0, 0, 0}; }
  void tell(Where where, ConnId conn, std::uint64_t execution = 0, std::uint64_t trigger = 0) {
    correlator.on_event(event::Async{now, kPid, where, conn, execution, trigger, given, ++sequence});
  }
  // Reads a request; its handler sets a timer.
  struct Request {
    ExchangePtr exchange;
    std::uint64_t timer = 0;
  };
  Request begin() {
    const auto conn = connection(kPid, 0, 0, TcpSide::kPassive);
    tell(Where::kReceives, conn->id);
    Request request{serve(loop(), conn)};
    request.timer = ++given;
    return request;
  }
  void fires(const Request& request) {
    tell(Where::kBegins, {});
    tell(Where::kResolves, {}, request.timer);
  }
  ExchangePtr calls() {
    const auto conn = connection(kPid, 0, 0, TcpSide::kActive);
    tell(Where::kSends, conn->id);
    return call(loop(), conn);
  }
  void responds(const ExchangePtr& call) {
    tell(Where::kReceives, call->conn->id);
    finish(call, loop());
  }
  void answers(const Request& request) {
    tell(Where::kSends, request.exchange->conn->id);
    finish(request.exchange, loop());
  }
  // So many pairs of requests served at once, each with two calls at once behind its timer.
  struct Pair {
    Request a, b;
    std::vector<ExchangePtr> of_a, of_b;
  };
  Pair serve_pair() {
    Pair pair{begin(), begin(), {}, {}};
    fires(pair.b);
    pair.of_b = {calls(), calls()};
    fires(pair.a);
    pair.of_a = {calls(), calls()};
    responds(pair.of_a[0]);
    responds(pair.of_b[0]);
    responds(pair.of_a[1]);
    answers(pair.a);
    responds(pair.of_b[1]);
    answers(pair.b);
    return pair;
  }

  std::uint64_t given = 10;
  std::uint32_t sequence = 0;
};

TEST(AsyncIdEvidence, LinksCallsBehindTimersOnceAnswersHaveProvenIt) {
  NodeScene s;
  for (int i = 0; i < 64; ++i) s.serve_pair();
  const auto pair = s.serve_pair();
  for (const auto& call : pair.of_a) EXPECT_TRUE(s.is_parent(pair.a.exchange, call));
  for (const auto& call : pair.of_b) EXPECT_TRUE(s.is_parent(pair.b.exchange, call));
  EXPECT_EQ(s.span(pair.of_a[0]).parent.method, "async_id");
}

// No promise anywhere: each call's end sets an immediate, and that a timer, for several at once.
TEST(AsyncIdEvidence, LinksCallsOfCallbacksWithImmediatesAndTimersBetween) {
  NodeScene s;
  for (int i = 0; i < 200; ++i) {
    const auto a = s.begin();
    const auto b = s.begin();
    const auto calls = [&](std::uint64_t timer) {
      const auto conn = s.connection(kPid, 0, 0, TcpSide::kActive);
      s.tell(Where::kSends, conn->id, ++s.given, timer);
      return s.call(NodeScene::loop(), conn);
    };
    std::vector<ExchangePtr> of_a;
    std::vector<ExchangePtr> of_b;
    std::uint64_t end_a = a.timer;
    std::uint64_t end_b = b.timer;
    for (int step = 0; step < 2; ++step) {
      s.tell(Where::kBegins, {});
      const auto timer_a = ++s.given;
      s.tell(Where::kSets, {}, end_a);
      const auto timer_b = ++s.given;
      s.tell(Where::kSets, {}, end_b);
      s.tell(Where::kBegins, {});
      of_a.push_back(calls(timer_a));
      of_b.push_back(calls(timer_b));
      s.responds(of_a.back());
      end_a = ++s.given;
      s.responds(of_b.back());
      end_b = ++s.given;
    }
    s.tell(Where::kBegins, {});
    s.tell(Where::kSends, a.exchange->conn->id, end_a);
    s.finish(a.exchange, NodeScene::loop());
    s.tell(Where::kSends, b.exchange->conn->id, end_b);
    s.finish(b.exchange, NodeScene::loop());
    if (i < 100) continue;
    for (const auto& call : of_a) EXPECT_TRUE(s.is_parent(a.exchange, call)) << i;
    for (const auto& call : of_b) EXPECT_TRUE(s.is_parent(b.exchange, call)) << i;
  }
}

// Calls that a tick has queued for a connection: nothing says whose tick that was, but whose answer they lead to.
struct QueueScene : NodeScene {
  QueueScene() {
    for (int i = 0; i < 200; ++i) serve_pair();
  }
  // A's response sets the connection free, which is taken for what the tick has queued.
  ExchangePtr takes(const ExchangePtr& freed, std::uint64_t tick, std::uint64_t queued) {
    responds(freed);
    tell(Where::kMakes, {}, queued, tick);
    given += 2;
    tell(Where::kSends, freed->conn->id, given, queued);
    return call(loop(), freed->conn);
  }
  void answers_by(const Request& request, std::uint64_t execution) {
    tell(Where::kBegins, {});
    tell(Where::kSends, request.exchange->conn->id, execution);
    finish(request.exchange, loop());
  }
};

TEST(AsyncIdEvidence, CallsOfATickAreOfWhoseAnswerTheyLeadTo) {
  QueueScene s;
  for (int i = 0; i < 100; ++i) {
    const auto a = s.begin();
    const auto b = s.begin();
    s.fires(a);
    const auto of_a = s.calls();
    const auto too = s.calls();
    s.tell(Where::kBegins, {});
    const auto tick = ++s.given;
    const auto queued = ++s.given;
    const auto queued_too = ++s.given;
    const auto of_b = s.takes(of_a, tick, queued);
    const auto beside = s.takes(too, tick, queued_too);
    s.answers(a);
    s.responds(beside);
    s.responds(of_b);
    s.answers_by(b, ++s.given);
    if (i < 20) continue;
    EXPECT_TRUE(s.is_parent(b.exchange, of_b)) << i;
    EXPECT_TRUE(s.is_parent(b.exchange, beside)) << i << ": the same tick's";
  }
}

// One call for all: whoever waits for it is answered where its response leads.
TEST(AsyncIdEvidence, CallsThatLeadToSeveralAnswersAreNobodys) {
  QueueScene s;
  std::vector<std::pair<NodeScene::Request, ExchangePtr>> shared;
  for (int i = 0; i < 100; ++i) {
    const auto a = s.begin();
    const auto b = s.begin();
    const auto c = s.begin();
    s.fires(a);
    const auto of_a = s.calls();
    s.tell(Where::kBegins, {});
    const auto tick = ++s.given;
    const auto of_all = s.takes(of_a, tick, ++s.given);
    s.answers(a);
    s.responds(of_all);
    const auto immediate = ++s.given;
    s.answers_by(b, immediate);
    s.answers_by(c, immediate);
    shared.emplace_back(b, of_all);
  }
  for (const auto& [request, call] : shared) EXPECT_FALSE(s.is_parent(request.exchange, call));
}

TEST(AsyncIdEvidence, SaysNothingBeforeThat) {
  NodeScene s;
  const auto pair = s.serve_pair();
  EXPECT_NE(s.span(pair.of_a[1]).parent.method, "async_id");
}

// A lock: whoever leaves it lets another's work go on, in its own turn.
TEST(AsyncIdEvidence, IsSilentWhereWorkIsHandedOverUnseen) {
  NodeScene s;
  std::vector<ExchangePtr> handed_over;
  for (int i = 0; i < 200; ++i) {
    const auto a = s.begin();
    const auto b = s.begin();
    s.fires(a);
    const auto of_a = s.calls();
    s.responds(of_a);
    const auto of_b = s.calls();  // in the turn of A's response
    s.answers(a);
    s.responds(of_b);
    s.answers(b);
    handed_over.push_back(of_b);
  }
  for (const auto& call : handed_over) EXPECT_NE(s.span(call).parent.method, "async_id");
}

TEST(AsyncIdEvidence, BackgroundWorkIsNobodys) {
  NodeScene s;
  const std::uint64_t interval = ++s.given;
  for (int i = 0; i < 64; ++i) s.serve_pair();
  const auto one = s.begin();
  const auto two = s.begin();
  s.tell(Where::kBegins, {});
  s.tell(Where::kResolves, {}, interval);
  const auto refresh = s.calls();
  s.responds(refresh);
  s.answers(one);
  s.answers(two);
  EXPECT_FALSE(s.span(refresh).parent.id.valid());
}

// undici with few connections: an immediate that a response set sends what waited for its connection; the numbers of
// that immediate are those of whom the response was for. But who resolves a promise first is who waits for a response.
TEST(AsyncIdEvidence, CallsThatWaitedForAConnectionAreNotOfWhomTheySucceed) {
  NodeScene s;
  const auto call_by = [&](const ConnectionPtr& conn, std::uint64_t execution, std::uint64_t trigger = 0) {
    s.tell(Where::kBegins, {});
    s.tell(Where::kSends, conn->id, execution, trigger);
    return s.call(NodeScene::loop(), conn);
  };
  const auto connection = [&] { return s.connection(kPid, 0, 0, TcpSide::kActive); };
  for (int i = 0; i < 300; ++i) {
    const auto a = s.begin();
    const auto b = s.begin();
    const auto of_b = call_by(connection(), b.timer);
    const auto of_a = call_by(connection(), a.timer);
    s.responds(of_b);
    s.answers(b);
    s.responds(of_a);
    s.answers(a);
  }
  for (int i = 0; i < 100; ++i) {
    const auto a = s.begin();
    const auto b = s.begin();
    const auto beside = call_by(connection(), a.timer);
    const auto of_a = call_by(connection(), a.timer);
    s.responds(of_a);
    const auto resumes = ++s.given;
    const auto of_b = call_by(of_a->conn, ++s.given, resumes);
    s.responds(of_b);
    s.tell(Where::kResolves, {}, b.timer);
    s.answers(b);
    s.responds(beside);
    s.answers(a);
    EXPECT_TRUE(s.is_parent(a.exchange, beside)) << i;
    EXPECT_FALSE(s.is_parent(a.exchange, of_b)) << i;
  }
}

// The same where a connection is all there is, and each caller waits in a context of its own.
TEST(AsyncIdEvidence, CallsThatWaitedForAConnectionAreOfWhoWaitsForTheirResponses) {
  NodeScene s;
  const auto backend = s.connection(kPid, 0, 0, TcpSide::kActive);
  const auto sends = [&](std::uint64_t trigger) {
    s.tell(Where::kBegins, {});
    s.tell(Where::kSends, backend->id, ++s.given, trigger);
    return s.call(NodeScene::loop(), backend);
  };
  const auto resolves = [&](const NodeScene::Request& request) { s.tell(Where::kResolves, {}, request.timer); };
  for (int i = 0; i < 300; ++i) {
    const auto a = s.begin();  // its timer stands for what waits for the response
    const auto b = s.begin();
    const auto c = s.begin();
    const auto of_a = sends(a.timer);
    s.responds(of_a);
    const auto freed = ++s.given;
    resolves(a);
    s.answers(a);
    const auto of_b = sends(freed);
    s.responds(of_b);
    const auto freed_again = ++s.given;
    resolves(b);
    s.answers(b);
    const auto of_c = sends(freed_again);
    s.responds(of_c);
    resolves(c);
    s.answers(c);
    if (i < 100) continue;
    EXPECT_TRUE(s.is_parent(a.exchange, of_a)) << i;
    EXPECT_TRUE(s.is_parent(b.exchange, of_b)) << i;
    EXPECT_TRUE(s.is_parent(c.exchange, of_c)) << i;
  }
}

// A lock around it: who is let in next goes on in a context that another's response had made.
TEST(AsyncIdEvidence, WhoWaitsIsNotBelievedWhereAnswersRefuteIt) {
  NodeScene s;
  const auto backend = s.connection(kPid, 0, 0, TcpSide::kActive);
  std::vector<std::pair<NodeScene::Request, ExchangePtr>> wrong;
  for (int i = 0; i < 300; ++i) {
    const auto a = s.begin();
    const auto b = s.begin();
    s.tell(Where::kBegins, {});
    s.tell(Where::kSends, backend->id, a.timer);
    const auto of_a = s.call(NodeScene::loop(), backend);
    s.responds(of_a);
    const auto waits = ++s.given;  // B is let in here, and waits
    s.tell(Where::kBegins, {});
    s.tell(Where::kSends, backend->id, ++s.given, waits);
    const auto of_b = s.call(NodeScene::loop(), backend);
    s.responds(of_b);
    s.tell(Where::kResolves, {}, waits);
    s.answers(b);
    s.answers(a);
    wrong.emplace_back(a, of_b);
  }
  for (const auto& [request, call] : wrong) EXPECT_FALSE(s.is_parent(request.exchange, call));
}

// Behind answers that take longer than inference waits for.
TEST(AsyncIdEvidence, LinksAtOnceWhereItWasProvenOverAndOver) {
  NodeScene s;
  for (int i = 0; i < 256; ++i) s.serve_pair();
  const auto a = s.begin();
  const auto b = s.begin();
  s.fires(a);
  const auto of_a = s.calls();
  s.responds(of_a);
  s.wait(5'000'000'000);
  s.answers(a);
  s.answers(b);
  EXPECT_TRUE(s.is_parent(a.exchange, of_a));
}

}  // namespace
}  // namespace wirespan
