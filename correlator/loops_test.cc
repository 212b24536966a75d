// Links that only the answer proves: event loops and pools of workers.
#include <gtest/gtest.h>

#include "correlator/correlator.h"
#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

constexpr std::uint32_t kPid = 1;
constexpr int kRounds = 24;  // enough for a habit to be believed

CorrelatorOptions without_inference_links() {
  CorrelatorOptions options;
  options.threshold = 0.9;
  return options;
}

std::string_view method(Scene& s, const ExchangePtr& e) {
  return s.span(e).parent.id.valid() ? std::string_view(s.span(e).parent.method) : std::string_view("none");
}

// Two requests at a time, read by an acceptor, each worked off by another thread of a pool: in the order of the queue
// or not.
struct Pair {
  ExchangePtr request[2];
  ExchangePtr call[2];
};
Pair by_workers(Scene& s) {
  Pair p;
  for (auto& r : p.request) r = s.serve(thread(kPid, 10, 2));
  for (std::uint32_t i = 0; i < 2; ++i) p.call[i] = s.call(thread(kPid, 20 + i));
  // Had a worker answered this one, its call would have been older than that.
  const auto newer = s.serve(thread(kPid, 10, 2));
  for (const std::uint32_t i : {1U, 0U}) s.finish(p.call[i], thread(kPid, 20 + i));
  // The second worker took the first request.
  for (std::uint32_t i = 0; i < 2; ++i) s.finish(p.request[1 - i], thread(kPid, 20 + i));
  s.finish(newer, thread(kPid, 29));
  return p;
}

TEST(Workers, WhoAnswersHadCalledForIt) {
  Scene s(without_inference_links());
  std::vector<Pair> all;
  for (int i = 0; i < kRounds; ++i) all.push_back(by_workers(s));
  for (const Pair& p : all) {
    EXPECT_TRUE(s.is_parent(p.request[1], p.call[0]));
    EXPECT_TRUE(s.is_parent(p.request[0], p.call[1]));
  }
  EXPECT_EQ(method(s, all.back().call[0]), "worker");
}

// All requests came before all calls, as when a service has just begun to serve: whoever answers whatever, it fits.
TEST(Workers, WhatFitsWhateverIsAnsweredProvesNothing) {
  Scene s(without_inference_links());
  std::vector<ExchangePtr> requests;
  for (int i = 0; i < 64; ++i) requests.push_back(s.serve(thread(kPid, 10, 2)));
  std::vector<ExchangePtr> calls;
  for (std::uint32_t i = 0; i < 64; ++i) calls.push_back(s.call(thread(kPid, 20 + i)));
  for (std::uint32_t i = 0; i < 64; ++i) s.finish(calls[i], thread(kPid, 20 + i));
  for (std::uint32_t i = 0; i < 64; ++i) s.finish(requests[i], thread(kPid, 20 + (i + 7) % 64));
  for (const auto& call : calls) EXPECT_NE(method(s, call), "worker");
}

// The answer to the first request was lost: what the worker did for it must not become the second one's.
TEST(Workers, WhatWasNotSeenIsNotGuessed) {
  Scene s(without_inference_links());
  for (int i = 0; i < kRounds; ++i) by_workers(s);
  const auto first = s.serve(thread(kPid, 10, 2));
  const auto second = s.serve(thread(kPid, 10, 2));
  const auto for_first = s.call(thread(kPid, 20));
  s.finish(for_first, thread(kPid, 20));
  s.correlator.on_event(event::Missed{s.now, {kPid, 20}});
  const auto for_second = s.call(thread(kPid, 20));
  s.finish(for_second, thread(kPid, 20));
  s.finish(second, thread(kPid, 20));
  s.finish(first, thread(kPid, 21));
  EXPECT_NE(method(s, for_first), "worker");
  EXPECT_NE(method(s, for_second), "worker");
}

TEST(Workers, StagesOfSeveralRequestsAreNotWorkers) {
  Scene s(without_inference_links());
  std::vector<ExchangePtr> calls;
  for (int i = 0; i < kRounds; ++i) {
    const auto a = s.serve(thread(kPid, 10, 2));
    const auto for_a = s.call(thread(kPid, 20));
    const auto b = s.serve(thread(kPid, 10, 2));
    s.finish(for_a, thread(kPid, 20));
    const auto for_b = s.call(thread(kPid, 20));
    s.finish(for_b, thread(kPid, 20));
    s.finish(b, thread(kPid, 20));  // thread 20 made a call for a as well
    s.finish(a, thread(kPid, 21));
    calls.push_back(for_a);
  }
  for (const auto& call : calls) EXPECT_NE(method(s, call), "worker");
}

// Two carriers of virtual threads: each goes on with whatever can, and answers an earlier request while the call it
// made last is under way. Every call is younger than the request that is answered next.
TEST(Workers, WhoAnswersWhileItsCallIsUnderWayIsNone) {
  Scene s(without_inference_links());
  std::vector<std::pair<ExchangePtr, ExchangePtr>> all;
  for (std::uint32_t i = 0; i < 2 * kRounds; ++i) {
    const Actor carrier = thread(kPid, 20 + i % 2);
    const auto request = s.serve(thread(kPid, 10, 2));
    all.emplace_back(request, s.call(carrier));
    if (i == 0) continue;
    s.finish(all[i - 1].second, carrier);
    s.finish(all[i - 1].first, carrier);
  }
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_FALSE(s.is_parent(all[i - 1].first, all[i].second)) << i;
}

TEST(Workers, ResponsesReadByOneAnotherShowThatWorkMoves) {
  Scene s(without_inference_links());
  std::vector<std::pair<ExchangePtr, ExchangePtr>> all;
  for (std::uint32_t i = 0; i < 2 * kRounds; ++i) {
    const auto request = s.serve(thread(kPid, 10, 2));
    const auto call = s.call(thread(kPid, 20 + i % 2));
    s.finish(call, thread(kPid, 21 - i % 2));
    if (i > 0) s.finish(all.back().first, thread(kPid, 20 + i % 2));
    all.emplace_back(request, call);
  }
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_FALSE(s.is_parent(all[i - 1].first, all[i].second)) << i;
}

TEST(Workers, WhoAnswersWhileAnotherRequestOfItsOwnIsOpenIsNone) {
  Scene s(without_inference_links());
  std::vector<std::pair<ExchangePtr, ExchangePtr>> all;
  for (std::uint32_t i = 0; i < 2 * kRounds; ++i) {
    const auto request = s.serve(thread(kPid, 20));
    const auto call = s.call(thread(kPid, 20));
    s.finish(call, thread(kPid, 20));
    if (i > 0) s.finish(all.back().first, thread(kPid, 20));
    all.emplace_back(request, call);
  }
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_FALSE(s.is_parent(all[i - 1].first, all[i].second)) << i;
}

// A client library reads all responses in a thread of its own, and wakes who waits.
TEST(Workers, AThreadThatOnlyReadsResponsesIsTheirHand) {
  Scene s(without_inference_links());
  Pair p;
  for (int round = 0; round < kRounds; ++round) {
    p = {};
    for (auto& r : p.request) r = s.serve(thread(kPid, 10, 2));
    for (std::uint32_t i = 0; i < 2; ++i) p.call[i] = s.call(thread(kPid, 20 + i));
    const auto newer = s.serve(thread(kPid, 10, 2));
    for (const auto& call : p.call) s.finish(call, thread(kPid, 30));
    for (std::uint32_t i = 0; i < 2; ++i) s.finish(p.request[1 - i], thread(kPid, 20 + i));
    s.finish(newer, thread(kPid, 29));
  }
  EXPECT_TRUE(s.is_parent(p.request[1], p.call[0]));
  EXPECT_TRUE(s.is_parent(p.request[0], p.call[1]));
}

// A loop reads the two responses in two turns and answers each at once, in the other order than it called.
Pair by_loop(Scene& s, std::uint32_t& turn) {
  Pair p;
  turn += 2;
  for (auto& r : p.request) r = s.serve(thread(kPid, 7, turn));
  turn += 2;
  for (auto& c : p.call) c = s.call(thread(kPid, 7, turn));
  for (const std::uint32_t i : {1U, 0U}) {
    turn += 2;
    s.finish(p.call[i], thread(kPid, 7, turn));
    s.finish(p.request[1 - i], thread(kPid, 7, turn));
  }
  return p;
}

TEST(Turns, TheAnswerThatFollowsAResponseAtOnceTellsWhoCalled) {
  Scene s(without_inference_links());
  std::vector<Pair> all;
  std::uint32_t turn = 2;
  for (int i = 0; i < kRounds; ++i) all.push_back(by_loop(s, turn));
  s.serve(thread(kPid, 7, turn + 2));  // the last pair is proven by what is read next
  EXPECT_EQ(method(s, all.back().call[0]), "answered");
  EXPECT_TRUE(s.is_parent(all.back().request[1], all.back().call[0]));
  EXPECT_TRUE(s.is_parent(all.back().request[0], all.back().call[1]));
}

TEST(Turns, ALoopThatReadsABatchFirstIsNotBelieved) {
  Scene s(without_inference_links());
  std::vector<Pair> all;
  std::uint32_t turn = 2;
  for (int i = 0; i < kRounds; ++i) {
    Pair p;
    turn += 2;
    for (auto& r : p.request) r = s.serve(thread(kPid, 7, turn));
    for (auto& c : p.call) c = s.call(thread(kPid, 7, turn));
    turn += 2;
    // Both responses are read before either request is answered.
    for (const auto& c : p.call) s.finish(c, thread(kPid, 7, turn));
    for (const auto& r : p.request) s.finish(r, thread(kPid, 7, turn));
    all.push_back(p);
  }
  for (const Pair& p : all) {
    for (const auto& call : p.call) {
      EXPECT_NE(method(s, call), "answered");
      EXPECT_NE(method(s, call), "turn");
    }
  }
}

TEST(Turns, ALoopThatGoesOnWithWhatItReadIsFollowedCallByCall) {
  Scene s(without_inference_links());
  std::uint32_t turn = 2;
  ExchangePtr others = s.serve(thread(kPid, 7, turn));  // always one more is open
  std::vector<std::pair<ExchangePtr, ExchangePtr>> links;
  for (int i = 0; i < 2 * kRounds; ++i) {
    turn += 2;
    const auto request = s.serve(thread(kPid, 7, turn));
    const auto first = s.call(thread(kPid, 7, turn));
    turn += 2;
    s.finish(first, thread(kPid, 7, turn));
    const auto second = s.call(thread(kPid, 7, turn));
    turn += 2;
    s.finish(second, thread(kPid, 7, turn));
    s.finish(request, thread(kPid, 7, turn));
    links = {{request, first}, {request, second}};
  }
  s.finish(others, thread(kPid, 7, turn + 2));
  for (const auto& [request, call] : links) EXPECT_TRUE(s.is_parent(request, call));
}

// Two requests at a time, each called for at once on a connection of its own; a response is read, and turns later, with
// that connection's end, its request is answered, or the other.
Pair by_ends(Scene& s, std::uint32_t& turn, bool other = false) {
  Pair p;
  for (std::uint32_t i = 0; i < 2; ++i) {
    turn += 2;
    p.request[i] = s.serve(thread(kPid, 7, turn));
    p.call[i] = s.call(thread(kPid, 7, turn));
  }
  for (const auto& call : p.call) s.finish(call, thread(kPid, 7, turn += 2));
  for (const std::uint32_t i : {1U, 0U}) {
    turn += 2;
    s.now = s.now + 1000;
    s.correlator.on_event(
        event::Data{p.call[i]->conn, Direction::kReceived, s.now, thread(kPid, 7, turn), 0, 0, {}, {}});
    s.finish(p.request[other ? 1 - i : i], thread(kPid, 7, turn));
  }
  return p;
}

TEST(Turns, AnAnswerFollowsTheEndOfAConnectionAsItDoesAResponse) {
  Scene s(without_inference_links());
  std::uint32_t turn = 2;
  std::vector<Pair> all;
  for (int i = 0; i < 2 * kRounds; ++i) all.push_back(by_ends(s, turn));
  s.serve(thread(kPid, 7, turn + 2));
  for (const Pair& p : all) {
    for (std::uint32_t i = 0; i < 2; ++i) EXPECT_TRUE(s.is_parent(p.request[i], p.call[i]));
  }
  EXPECT_EQ(method(s, all.back().call[0]), "turn");
}

TEST(Turns, WhereTheEndIsFollowedByOthersAnswersNothingIsBelieved) {
  Scene s(without_inference_links());
  std::uint32_t turn = 2;
  std::vector<Pair> all;
  for (int i = 0; i < 2 * kRounds; ++i) all.push_back(by_ends(s, turn, i % 4 == 0));
  s.serve(thread(kPid, 7, turn + 2));
  for (const Pair& p : all) {
    for (const auto& call : p.call) {
      EXPECT_NE(method(s, call), "answered");
      EXPECT_NE(method(s, call), "turn");
    }
  }
}

// A proxy that reads all there is, then works it off: two requests and their calls in one turn, each response and its
// answer in a turn of their own, or all at once. `sent`: which request the first call is for.
Pair by_batch(Scene& s, std::uint32_t& turn, std::uint32_t sent = 0, bool apart = true) {
  Pair p;
  turn += 2;
  for (auto& r : p.request) r = s.serve(thread(kPid, 7, turn));
  for (const std::uint32_t i : {sent, 1 - sent}) p.call[i] = s.call(thread(kPid, 7, turn));
  turn += 2;
  for (const std::uint32_t i : {1U, 0U}) {  // the backend answered the second first
    s.finish(p.call[i], thread(kPid, 7, turn));
    if (!apart) continue;
    s.finish(p.request[i], thread(kPid, 7, turn));
    turn += 2;
  }
  for (const auto& r : p.request) {
    if (!apart) s.finish(r, thread(kPid, 7, turn));
  }
  return p;
}

TEST(Batches, AreWorkedOffInOrder) {
  CorrelatorOptions options = without_inference_links();
  options.disabled = {"turn"};
  Scene s(options);
  std::vector<Pair> all;
  std::uint32_t turn = 2;
  for (int i = 0; i < 2 * kRounds; ++i) all.push_back(by_batch(s, turn));
  s.serve(thread(kPid, 7, turn + 2));  // the last batch is over
  for (const Pair& p : all) {
    EXPECT_TRUE(s.is_parent(p.request[0], p.call[0]));
    EXPECT_TRUE(s.is_parent(p.request[1], p.call[1]));
  }
  EXPECT_EQ(method(s, all.back().call[0]), "batch");
}

TEST(Batches, OfSomeOtherOrderAreNotBelieved) {
  CorrelatorOptions options = without_inference_links();
  options.disabled = {"turn"};
  Scene s(options);
  std::vector<Pair> all;
  std::uint32_t turn = 2;
  for (std::uint32_t i = 0; i < 4 * kRounds; ++i) all.push_back(by_batch(s, turn, i % 5 == 0 ? 1 : 0));
  for (const Pair& p : all) {
    for (const auto& call : p.call) EXPECT_NE(method(s, call), "batch");
  }
}

// Other requests are open, but those of a batch are always answered together: their order is never put to the proof.
TEST(Batches, AnsweredTogetherProveNothing) {
  Scene s(without_inference_links());
  std::uint32_t turn = 2;
  for (int i = 0; i < 20; ++i) s.serve(thread(kPid, 8, turn));
  std::vector<Pair> all;
  for (std::uint32_t i = 0; i < 4 * kRounds; ++i) all.push_back(by_batch(s, turn, i % 5 == 0 ? 1 : 0, false));
  for (const Pair& p : all) {
    for (const auto& call : p.call) EXPECT_NE(method(s, call), "batch");
  }
}

TEST(Batches, ATurnThatLeavesSomethingOverSaysNothing) {
  Scene s(without_inference_links());
  std::uint32_t turn = 2;
  for (int i = 0; i < kRounds; ++i) by_batch(s, turn);
  turn += 2;
  const auto waits = s.serve(thread(kPid, 7, turn));
  const auto first = s.serve(thread(kPid, 7, turn));
  const auto for_first = s.call(thread(kPid, 7, turn));
  turn += 2;
  const auto for_waits = s.call(thread(kPid, 7, turn));
  turn += 2;
  for (const auto& call : {for_waits, for_first}) s.finish(call, thread(kPid, 7, turn));
  s.finish(waits, thread(kPid, 7, turn));
  turn += 2;
  s.finish(first, thread(kPid, 7, turn));
  s.serve(thread(kPid, 7, turn + 2));
  for (const auto& call : {for_waits, for_first}) EXPECT_NE(method(s, call), "batch");
}

// Both calls go over connections begun when their requests were read. `first`: which request the first one is for.
Pair by_new_connections(Scene& s, std::uint32_t& turn, std::uint32_t first = 0) {
  Pair p;
  turn += 2;
  std::array<ConnectionPtr, 2> conns;
  for (auto& r : p.request) r = s.serve(thread(kPid, 7, turn));
  for (const std::uint32_t i : {first, 1 - first})
    conns[i] = s.connection(kPid, 0, 0, TcpSide::kActive, thread(kPid, 7, turn));
  // The second is established first, when something else is read.
  turn += 2;
  p.call[1] = s.call(thread(kPid, 7, turn), conns[1]);
  const auto other = s.serve(thread(kPid, 7, turn));
  turn += 2;
  p.call[0] = s.call(thread(kPid, 7, turn), conns[0]);
  for (const std::uint32_t i : {1U, 0U}) {
    turn += 2;
    s.finish(p.call[i], thread(kPid, 7, turn));
    s.finish(p.request[i], thread(kPid, 7, turn));
  }
  s.finish(other, thread(kPid, 7, turn));
  return p;
}

TEST(Batches, AConnectionThatIsBegunIsTheCallSentOverItFirst) {
  CorrelatorOptions options = without_inference_links();
  options.disabled = {"turn", "answered"};
  Scene s(options);
  std::uint32_t turn = 2;
  std::vector<Pair> all;
  for (int i = 0; i < 2 * kRounds; ++i) all.push_back(by_new_connections(s, turn));
  s.serve(thread(kPid, 7, turn + 2));
  const Pair& last = all.back();
  for (const std::size_t i : {0U, 1U}) EXPECT_TRUE(s.is_parent(last.request[i], last.call[i]));
  EXPECT_EQ(method(s, last.call[0]), "batch");
}

TEST(Batches, ConnectionsBegunForAPoolAreNotBelieved) {
  CorrelatorOptions options = without_inference_links();
  options.disabled = {"turn", "answered"};
  Scene s(options);
  std::uint32_t turn = 2;
  for (int i = 0; i < kRounds; ++i) by_batch(s, turn);
  std::vector<Pair> all;
  for (std::uint32_t i = 0; i < 2 * kRounds; ++i) all.push_back(by_new_connections(s, turn, i % 2));
  s.serve(thread(kPid, 7, turn + 2));
  for (const Pair& p : all) {
    for (const std::size_t i : {0U, 1U}) {
      if (method(s, p.call[i]) == "batch") {
        EXPECT_TRUE(s.is_parent(p.request[i], p.call[i]));
      }
    }
  }
}

}  // namespace
}  // namespace wirespan
