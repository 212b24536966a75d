// Asynchronous contexts of a real Node. Needs root and node; leaves itself out else.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "agent/capture/testing/traced_child.h"

namespace wirespan {
namespace {

using testing::Script;
using testing::Seen;

constexpr int kLines = 10;  // of each sort, see contexts.js

TEST(AsyncIds, AreThoseTheProgramIsToldItself) {
  if (std::system("node --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "node is not installed";
  testing::Program program;
  Script script;
  script.before = [&] { program.start({"node", WIRESPAN_SOURCE_DIR "/agent/capture/testing/contexts.js"}); };
  script.after = [&] { program.finish(); };
  const Seen seen = testing::trace(script);

  // Data lacks its bytes among the events, and is there in the same order.
  auto data = seen.data.begin();
  std::optional<event::Async> last;
  std::uint64_t resolver = 0;                     // who resolved a promise last
  std::map<std::uint64_t, std::uint64_t> set_by;  // timers, by whom
  int by_timers = 0;
  int by_promises = 0;
  std::uint32_t sequence = 0;
  for (const Event& event : seen.events) {
    if (const auto* async = std::get_if<event::Async>(&event)) {
      if (last) {
        EXPECT_EQ(async->sequence, sequence + 1);
      }
      sequence = async->sequence;
      last = *async;
      if (async->where == event::Async::Where::kResolves && async->execution != 0) resolver = async->execution;
      if (async->where == event::Async::Where::kSets) set_by[async->given] = async->execution;
    }
    if (!std::holds_alternative<event::Data>(event)) continue;
    ASSERT_NE(data, seen.data.end());
    const testing::SeenData& one = *data++;
    if (one.direction != Direction::kSent || one.conn->side != TcpSide::kActive) continue;
    ASSERT_TRUE(last) << one.captured;
    EXPECT_EQ(last->where, event::Async::Where::kSends) << one.captured;
    EXPECT_EQ(last->connection, one.conn->id) << one.captured;
    unsigned long long execution = 0;
    unsigned long long trigger = 0;
    // NOLINTBEGIN(cert-err34-c): a line that is not understood fails the test
    if (std::sscanf(one.captured.c_str(), "exec %llu trigger %llu", &execution, &trigger) == 2) {
      EXPECT_EQ(last->execution, execution) << one.captured;
      EXPECT_EQ(last->trigger, trigger) << one.captured;
      if (trigger != 0) {
        EXPECT_EQ(set_by[execution], trigger) << one.captured;
      }
      ++by_timers;
    } else if (std::sscanf(one.captured.c_str(), "resolved by %llu", &execution) == 1) {
      EXPECT_EQ(last->execution, 0U) << one.captured;
      EXPECT_EQ(resolver, execution) << one.captured;
      ++by_promises;
    }
    // NOLINTEND(cert-err34-c)
  }
  EXPECT_EQ(by_timers, kLines);
  EXPECT_EQ(by_promises, kLines);
}

}  // namespace
}  // namespace wirespan
