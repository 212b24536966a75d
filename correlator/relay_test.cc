// Loops that put off what they send: Envoy's way.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "correlator/correlator.h"
#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

constexpr std::uint32_t kPid = 100;
constexpr std::size_t kOpen = 3;
using Three = std::array<ExchangePtr, kOpen>;

struct Proxy : Scene {
  Proxy() : Scene(options()) {
    for (int i = 0; i < 20; ++i) serve(thread(kPid, 8, turn));  // others are open: what fits is no accident
    for (ConnectionPtr& conn : free) conn = connection(kPid, 0, 0, TcpSide::kActive);
  }
  static CorrelatorOptions options() {
    CorrelatorOptions out;
    out.disabled = {"turn", "answered", "batch"};
    return out;
  }
  [[nodiscard]] Actor now_in_turn() const { return thread(kPid, 7, turn); }

  // Three requests that are read at once, and their calls. `swapped`: over connections taken in another order.
  void round(bool swapped = false) {
    turn += 2;
    for (ExchangePtr& r : request) r = serve(now_in_turn());
    turn += 2;
    // What became free last is taken first; what is sent first is another matter.
    for (const std::size_t i : {1U, 2U, 0U}) {
      const std::size_t taken = kOpen - 1 - (swapped ? (i + 1) % kOpen : i);
      made[i] = call(now_in_turn(), free[taken]);
    }
    const std::array<ConnectionPtr, kOpen> used{made[0]->conn, made[1]->conn, made[2]->conn};
    // The backend answers one after the other.
    for (const std::size_t i : {2U, 0U, 1U}) {
      turn += 2;
      responds(made[i], now_in_turn());
      turn += 2;
      finish(request[i], now_in_turn());
    }
    free = {used[2], used[0], used[1]};
  }
  void alone() {
    turn += 2;
    const ExchangePtr one = serve(now_in_turn());
    turn += 2;
    const ExchangePtr its = call(now_in_turn(), free.back());
    turn += 2;
    responds(its, now_in_turn());
    turn += 2;
    finish(one, now_in_turn());
  }
  void responds(const ExchangePtr& exchange, Actor actor) { finish(exchange, actor); }
  [[nodiscard]] int right() {
    int count = 0;
    for (std::size_t i = 0; i < kOpen; ++i) count += is_parent(request[i], made[i]) ? 1 : 0;
    return count;
  }

  std::uint32_t turn = 2;
  std::array<ConnectionPtr, kOpen> free;
  Three request;
  Three made;
};

TEST(Relay, CallsAreOfThoseWhoTookTheirConnections) {
  Proxy proxy;
  for (int i = 0; i < 30; ++i) proxy.round();
  proxy.serve(thread(kPid, 7, proxy.turn + 2));
  EXPECT_EQ(proxy.right(), 3);
  EXPECT_EQ(proxy.span(proxy.made[0]).parent.method, "relay");
}

// Each answer alone in its turn says all there is to know, once some requests were alone as well.
TEST(Relay, AnswersTellWhatConnectionsDoNot) {
  Proxy proxy;
  for (int i = 0; i < 30; ++i) proxy.alone();
  for (int i = 0; i < 30; ++i) proxy.round(true);
  proxy.serve(thread(kPid, 7, proxy.turn + 2));
  EXPECT_EQ(proxy.right(), 3);
}

TEST(Relay, ALoopThatSendsWhenItLikesIsNotBelieved) {
  Proxy proxy;
  std::vector<ExchangePtr> calls;
  for (std::uint32_t i = 0; i < 60; ++i) {
    proxy.turn += 2;
    const auto first = proxy.serve(proxy.now_in_turn());
    const auto second = proxy.serve(proxy.now_in_turn());
    proxy.turn += 2 + 2 * (i % 2);
    for (const std::size_t conn : {0U, 1U}) calls.push_back(proxy.call(proxy.now_in_turn(), proxy.free[conn]));
    for (const std::size_t back : {2U, 1U}) {
      proxy.turn += 2;
      proxy.responds(calls[calls.size() - back], proxy.now_in_turn());
    }
    proxy.turn += 2;
    proxy.finish(i % 3 == 0 ? first : second, proxy.now_in_turn());
    proxy.turn += 2;
    proxy.finish(i % 3 == 0 ? second : first, proxy.now_in_turn());
  }
  for (const auto& call : calls) EXPECT_NE(proxy.span(call).parent.method, "relay");
}

}  // namespace
}  // namespace wirespan
