// Sampling windows in the kernel: nothing told while the gate is shut, every turn counted, and what was under way is
// known when it opens again. Needs root.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <numeric>

#include "agent/capture/gate.h"
#include "agent/capture/testing/traced_child.h"

namespace wirespan {
namespace {

using testing::Ends;
using testing::must;
using testing::read_exactly;
using testing::Script;
using testing::Seen;
using testing::trace;
using testing::write_all;

constexpr std::uint64_t kBehindTheGate = 20;

// What the child and the agent tell each other of how far they are.
struct Stage {
  std::atomic<int> window{0};  // 0: open, 1: shut, 2: open again
  std::atomic<bool> done{false};
};

Stage& shared_stage() {
  void* memory = mmap(nullptr, sizeof(Stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return *new (memory) Stage();
}

void wait_for(const Stage& stage, int window) {
  while (stage.window != window) usleep(1000);
}

void ask(const Ends& ends) {
  write_all(ends.client, "request");
  read_exactly(ends.server, 7);
}
void answer(const Ends& ends) {
  write_all(ends.server, "answer");
  read_exactly(ends.client, 6);
}

class GateTest : public ::testing::TestWithParam<bool> {};

TEST_P(GateTest, CountsWhatItDoesNotTell) {
  const bool unix_sockets = GetParam();
  Stage& stage = shared_stage();
  Script script;
  script.after = [&] {
    const Ends ends = unix_sockets ? testing::unix_pair("") : testing::tcp_pair(AF_INET);
    ask(ends);
    answer(ends);
    wait_for(stage, 1);
    for (std::uint64_t i = 0; i < kBehindTheGate; ++i) {
      ask(ends);
      answer(ends);
    }
    ask(ends);
    // One more connection, which only opens behind the gate.
    const std::string path = "/tmp/wirespan-gate-test-" + std::to_string(getpid());
    const Ends fresh = unix_sockets ? testing::unix_pair(path) : testing::tcp_pair(AF_INET);
    unlink(path.c_str());
    ask(fresh);
    answer(fresh);
    stage.done = true;
    wait_for(stage, 2);
    answer(ends);
    ask(ends);
    answer(ends);
    ask(fresh);
    answer(fresh);
  };
  bool shut_asked = false;
  script.on_event = [&](const Event& event, KernelSource& source) {
    if (const auto* data = std::get_if<event::Data>(&event); data != nullptr && !shut_asked && data->length == 6) {
      shut_asked = true;
      source.set_limits({0});
    }
    if (const auto* window = std::get_if<event::Window>(&event)) stage.window = window->open ? 2 : 1;
    if (stage.done && stage.window == 1) source.set_limits({1});
  };
  const Seen seen = trace(script);

  std::uint64_t requests = 0;
  std::uint64_t answers = 0;
  std::uint64_t calls = 0;
  for (const auto& counted : seen.all<event::Counted>()) {
    (counted.side == TcpSide::kPassive ? requests : calls) += counted.requests;
    if (counted.side != TcpSide::kPassive) continue;
    answers += counted.answers;
    EXPECT_EQ(std::accumulate(counted.slots.begin(), counted.slots.end(), std::uint64_t{0}), counted.answers);
  }
  EXPECT_EQ(requests, kBehindTheGate + 2);
  EXPECT_EQ(answers, kBehindTheGate + 1);
  EXPECT_EQ(calls, kBehindTheGate + 2);

  const auto unanswered = seen.all<event::Unanswered>();
  const auto opened = std::find_if(seen.opened.begin(), seen.opened.end(),
                                   [](const event::Opened& o) { return o.conn->side == TcpSide::kPassive; });
  ASSERT_EQ(unanswered.size(), 1U);
  ASSERT_NE(opened, seen.opened.end());
  EXPECT_EQ(unanswered.front().connection, opened->conn->id);

  // Of the first connection: one request before, one after, at the place where it is.
  std::vector<std::uint64_t> positions;
  for (const auto& data : seen.data_of(opened->conn->id, Direction::kReceived)) positions.push_back(data.position);
  EXPECT_EQ(positions, (std::vector<std::uint64_t>{0, 7 * (kBehindTheGate + 2)}));
  EXPECT_EQ(seen.connections().size(), 4U) << "the second connection is told when the gate is open";
}

INSTANTIATE_TEST_SUITE_P(Sockets, GateTest, ::testing::Bool(),
                         [](const auto& which) { return which.param ? "unix" : "tcp"; });

TEST(Windows, AreAlignedToWallTimeAndLieWithinEachOther) {
  const CaptureLimits half{0.5, 10'000'000'000};
  const CaptureLimits eighth{0.125, 10'000'000'000};
  int open = 0;
  for (std::uint64_t ms = 0; ms < 20'000; ms += 10) {
    const WallTime now{1'700'000'000'000'000'000 + ms * 1'000'000};
    const WindowState small = window_at(eighth, now);
    const WindowState large = window_at(half, now);
    EXPECT_TRUE(!small.open || large.open);
    EXPECT_NE(window_at(eighth, WallTime{now.ns + static_cast<std::uint64_t>(small.left_ns)}).open, small.open);
    open += small.open ? 1 : 0;
  }
  EXPECT_EQ(open, 250);
}

// Who was asked before the agent came, and has not answered, is known; who has, and who waits for an answer, is not.
TEST(OlderConnections, RequestsNobodySawBeingReadAreKnown) {
  Script script;
  Ends waits;
  Ends answered;
  Ends silent;
  script.before = [&] {
    waits = testing::tcp_pair(AF_INET);
    answered = testing::tcp_pair(AF_INET6);
    silent = testing::tcp_pair(AF_INET);
    ask(answered);
    usleep(20'000);  // TCP notes times in ticks of at most 10 ms
    answer(answered);
    ask(waits);
  };
  script.after = [&] {
    usleep(50'000);
    answer(waits);
    ask(answered);
  };
  const Seen seen = trace(script);
  const auto unanswered = seen.all<event::Unanswered>();
  ASSERT_EQ(unanswered.size(), 1U);
  // The first to move a byte was the one that waited, by its server's end.
  ASSERT_FALSE(seen.data.empty());
  const ConnectionPtr& first = seen.data.front().conn;
  EXPECT_EQ(first->side, TcpSide::kPassive);
  EXPECT_EQ(static_cast<std::uint64_t>(unanswered.front().connection),
            static_cast<std::uint64_t>(first->id) & 0xffffffffU);
  EXPECT_EQ(unanswered.front().pid, first->pid);
}

}  // namespace
}  // namespace wirespan
