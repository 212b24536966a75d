// Loops whose requests wait in a line for a connection.
#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <random>
#include <utility>
#include <vector>

#include "correlator/correlator.h"
#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

using testing::Scene;
using testing::thread;

constexpr std::uint32_t kPid = 100;

// One call for each request, over few connections; in every turn something is read, and what is answered is what was
// read in the turn before.
struct Proxy : Scene {
  Proxy() : Scene(options()) {}
  static CorrelatorOptions options() {
    CorrelatorOptions out;
    out.disabled = {"turn", "answered", "batch", "relay", "only_open", "inferred"};
    return out;
  }
  struct Pair {
    ExchangePtr request;
    ExchangePtr call;
  };
  [[nodiscard]] Actor now_in_turn() const { return thread(kPid, 7, turn * 2); }

  void next_turn() { ++turn; }
  void read() {
    next_turn();
    line.push_back(serve(now_in_turn()));
  }
  // Who is `nth` in line is called for.
  void send(std::size_t nth = 0) {
    const auto it = line.begin() + static_cast<std::ptrdiff_t>(nth);
    pairs.push_back({*it, call(now_in_turn())});
    flying.push_back(pairs.size() - 1);
    line.erase(it);
  }
  // The response of the `nth` call under way is read and, unless it is to be kept back, passed on in the next turn.
  Pair respond(std::size_t nth = 0) {
    next_turn();
    const auto it = flying.begin() + static_cast<std::ptrdiff_t>(nth % flying.size());
    const Pair pair = pairs[*it];
    flying.erase(it);
    finish(pair.call, now_in_turn());
    next_turn();
    finish(pair.request, now_in_turn());
    return pair;
  }

  // `open` requests are read, and calls sent for as many of them as there are connections.
  void fill(int open, int connections) {
    for (int i = 0; i < open; ++i) read();
    for (int i = 0; i < connections; ++i) send();
  }
  // How many calls have a parent by this evidence; each of them the right one.
  std::size_t told() {
    std::size_t count = 0;
    for (const auto& [request, call] : pairs) {
      if (span(call).parent.method != "queue") continue;
      EXPECT_TRUE(is_parent(request, call));
      ++count;
    }
    return count;
  }

  std::uint32_t turn = 1;
  std::deque<ExchangePtr> line;
  std::vector<Pair> pairs;
  std::vector<std::size_t> flying;  // pairs
  std::mt19937 random{1};
};

TEST(Queue, FirstComeFirstServed) {
  Proxy proxy;
  proxy.fill(20, 4);
  for (int i = 0; i < 100; ++i) {
    proxy.respond(proxy.random());
    proxy.send();
    proxy.read();
  }
  EXPECT_GE(proxy.told(), 95U);
}

TEST(Queue, WhoIsAnsweredWithoutACallLeavesTheLine) {
  Proxy proxy;
  proxy.fill(20, 4);
  for (int i = 0; i < 400; ++i) {
    proxy.respond(proxy.random());
    if (i == 200) {
      proxy.finish(proxy.line[3], proxy.now_in_turn());
      proxy.line.erase(proxy.line.begin() + 3);
      proxy.read();
    }
    proxy.send();
    proxy.read();
  }
  EXPECT_GE(proxy.told(), 340U);
}

TEST(Queue, OtherOrdersAreNotBelieved) {
  Proxy proxy;
  proxy.fill(20, 4);
  for (int i = 0; i < 400; ++i) {
    proxy.respond(proxy.random());
    proxy.send(proxy.random() % proxy.line.size());
    proxy.read();
  }
  EXPECT_EQ(proxy.told(), 0U);
}

// The calls are as far behind the requests as ever, while all connections are in use.
TEST(Queue, WhoComesLastMayBeServedFirst) {
  Proxy proxy;
  proxy.fill(20, 4);
  for (int i = 0; i < 400; ++i) {
    proxy.respond(proxy.random());
    proxy.send(proxy.line.size() - 1);
    proxy.read();
  }
  EXPECT_GE(proxy.told(), 300U);
}

// Some find a connection that has just become free, and are served before those in line.
TEST(Queue, NewcomersThatPassTheLineAreNoReasonForAWrongParent) {
  Proxy proxy;
  proxy.fill(6, 3);
  for (int i = 0; i < 600; ++i) {
    proxy.respond(proxy.random());
    const bool passes = proxy.random() % 60 == 0;
    if (passes) {
      proxy.read();
      proxy.next_turn();
      proxy.send(proxy.line.size() - 1);
    } else {
      proxy.send();
      proxy.read();
    }
  }
  EXPECT_GE(proxy.told(), 300U);
}

}  // namespace
}  // namespace wirespan
