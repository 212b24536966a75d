// Tasks of a real tokio program, as cargo builds it in several ways. Needs root, cargo, and tokio from a registry or
// cargo's store; leaves itself out else.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/capture/testing/traced_child.h"
#include "agent/capture/tokio_executable.h"

namespace wirespan {
namespace {

using Role = event::Handover::Role;
using testing::Program;
using testing::Script;
using testing::Seen;

constexpr int kClients = 4;  // of testing/tokio_tasks
constexpr int kRequests = 100;
constexpr int kLearned = 50;  // of them, until it is known where the running task is named

struct Build {
  const char* name;
  const char* how;  // variables of cargo
};

class TokioTasks : public ::testing::TestWithParam<Build> {
 protected:
  void SetUp() override {
    if (std::string_view(GetParam().name) != "plain" && std::getenv("CI") == nullptr)
      GTEST_SKIP() << "half a minute: only where CI is set";
    directory_ = std::filesystem::temp_directory_path() / ("wirespan-tokio-" + std::to_string(getpid()));
    std::filesystem::create_directory(directory_);
    const std::string build = "export PATH=$PATH:$HOME/.cargo/bin CARGO_TARGET_DIR=" + directory_.string() + " " +
                              GetParam().how +
                              "; command -v cargo >/dev/null || exit 77; cd " WIRESPAN_SOURCE_DIR
                              "/agent/capture/testing/tokio_tasks && cargo fetch --locked -q 2>/dev/null || exit 77; "
                              "exec cargo build --locked --release -q -j 2";
    const int status = std::system(build.c_str());
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "cargo or tokio is not to be had";
    ASSERT_EQ(status, 0);
  }
  void TearDown() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  [[nodiscard]] std::string program() const { return directory_ / "release" / "tokio_tasks"; }

 private:
  std::filesystem::path directory_;
};

TEST_P(TokioTasks, WhoReadAsksOrItsChildDoes) {
  Script script;
  Program running;
  script.before = [&] { running.start({program()}); };
  script.after = [&] { running.finish(); };
  const Seen seen = testing::trace(script);

  std::map<std::string, std::uint64_t> readers;  // by line
  std::map<std::uint64_t, std::uint64_t> parents;
  std::map<std::uint64_t, std::uint64_t> blocking_parents;
  std::map<std::uint64_t, std::vector<event::Handover>> wakes;  // by who was woken
  for (const auto& e : seen.all<event::Handover>()) {
    const bool blocking = (e.place & event::Handover::kBlocking) != 0;
    if (e.role == Role::kSpawns) (blocking ? blocking_parents : parents)[e.object] = e.actor.task;
    if (e.role == Role::kWakes) wakes[e.object].push_back(e);
  }
  // The connection's task replies through oneshots; who gets that is told, where those functions are.
  std::map<std::uint64_t, std::uint64_t> replied;  // by oneshot: who did last
  std::map<std::uint64_t, int> got_from;
  for (const auto& e : seen.all<event::Handover>()) {
    if (e.role == Role::kReplies) replied[e.object] = e.actor.task;
    if (e.role == Role::kGets && replied.contains(e.object) && replied[e.object] != e.actor.task)
      ++got_from[replied[e.object]];
  }
  std::set<std::uint64_t> writers;
  BootTime before{};
  int asked[2] = {};
  int blocked = 0;
  for (const auto& data : seen.data) {
    const bool call = data.captured.starts_with("call ");
    const std::string line = data.captured.substr(call ? 5 : 0);
    if (!line.starts_with("client ")) continue;
    const int request = std::atoi(line.c_str() + line.find("request ") + 8);
    if (data.direction == Direction::kReceived && !call && data.conn->side == TcpSide::kPassive)
      readers[line] = data.actor.task;
    if (data.direction != Direction::kSent || !call) continue;
    if (line.ends_with("blocking\n")) {
      if (request < kLearned) continue;
      EXPECT_EQ(blocking_parents[data.actor.task], readers[line]) << line;
      ++blocked;
      continue;
    }
    const BootTime last = std::exchange(before, data.time);
    if (request < kLearned) continue;
    EXPECT_TRUE(is_tokio(data.actor.task)) << line;
    writers.insert(data.actor.task);
    const std::uint64_t reader = readers[line];
    const bool by_child = line.find("child") != std::string::npos;
    bool found = false;
    for (const auto& wake : wakes[data.actor.task]) {
      if (wake.time <= last || wake.time >= data.time) continue;
      found = found || (by_child ? parents[wake.actor.task] == reader : wake.actor.task == reader);
    }
    asked[by_child ? 1 : 0] += found ? 1 : 0;
  }
  EXPECT_EQ(writers.size(), 1U) << "one task writes all calls";
  if (std::string_view(GetParam().name) != "optimized_as_a_whole") {
    EXPECT_GT(got_from[*writers.begin()], kClients * (kRequests - kLearned) / 3) << "replies and who gets them";
  }
  EXPECT_GE(blocked, kClients * (kRequests - kLearned) / 3 - kClients);
  // Who has to wait for the connection is seen to wake it only once: those of others come in between.
  EXPECT_GT(asked[0], kClients * (kRequests - kLearned) / 3 / 8);
  EXPECT_GT(asked[1], kClients * (kRequests - kLearned) / 3 / 8);
}

INSTANTIATE_TEST_SUITE_P(Builds, TokioTasks,
                         ::testing::Values(Build{"plain", ""},
                                           Build{"optimized_as_a_whole", "CARGO_PROFILE_RELEASE_LTO=fat"},
                                           Build{"new_names", "RUSTFLAGS=-Csymbol-mangling-version=v0"}),
                         [](const auto& build) { return std::string(build.param.name); });

}  // namespace
}  // namespace wirespan
