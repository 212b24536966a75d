// Goroutines of a real Go program, as `go build` makes it in several ways. Needs root and go; leaves itself out else.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "agent/capture/testing/traced_child.h"

namespace wirespan {
namespace {

using Role = event::Handover::Role;
using testing::Program;
using testing::Script;
using testing::Seen;

constexpr int kRequests = 40;  // of testing/goroutines

struct Build {
  const char* name;
  const char* flags;
};

class Goroutines : public ::testing::TestWithParam<Build> {
 protected:
  void SetUp() override {
    if (std::string_view(GetParam().name) == "relocated" && std::getenv("CI") == nullptr)
      GTEST_SKIP() << "Go's library is compiled anew for it: only where CI is set";
    directory_ = std::filesystem::temp_directory_path() / ("wirespan-go-" + std::to_string(getpid()));
    std::filesystem::create_directory(directory_);
    const std::string build =
        "export PATH=$PATH:/usr/local/go/bin GO111MODULE=off GOFLAGS=-buildvcs=false; "
        "command -v go >/dev/null || exit 77; exec go build -o " +
        program() + " " + GetParam().flags + " " WIRESPAN_SOURCE_DIR "/agent/capture/testing/goroutines/main.go";
    const int status = std::system(build.c_str());
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "go is not installed";
    ASSERT_EQ(status, 0);
  }
  void TearDown() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  [[nodiscard]] std::string program() const { return directory_ / "goroutines"; }

 private:
  std::filesystem::path directory_;
};

// What is done with channels is told of the program's own code, not of net/http's, and of selects as well.
void channels_are_the_programs_own(const Seen& seen) {
  std::set<std::uint64_t> sites;
  std::map<std::uint64_t, int> took;  // by worker in a select
  int handed_in = 0;
  for (const auto& e : seen.all<event::Handover>()) {
    if (e.role != Role::kSends && e.role != Role::kReceives && e.role != Role::kAsks) continue;
    sites.insert(e.site);
    if (e.select == event::Handover::Select::kNone) continue;
    took[e.actor.task] += e.role == Role::kReceives ? 1 : 0;
    handed_in += e.role == Role::kSends ? 1 : 0;
  }
  EXPECT_LE(sites.size(), 8U);
  EXPECT_EQ(handed_in, kRequests);
  // It waits for both channels each time but the ones at which somebody is there already.
  const auto most = std::ranges::max_element(took, {}, [](const auto& of) { return of.second; });
  ASSERT_NE(most, took.end());
  EXPECT_GE(most->second, kRequests);
}

TEST_P(Goroutines, CallsAreMadeByTheReaderItsChildOrAWorker) {
  Script script;
  Program running;
  script.before = [&] { running.start({program()}); };
  script.after = [&] { running.finish(); };
  const Seen seen = testing::trace(script);

  std::set<std::uint64_t> readers;
  for (const auto& births : seen.all<event::Births>()) {
    readers.insert(births.task);
    EXPECT_GT(births.count, 0U);
  }
  int direct = 0;
  int children = 0;
  int others = 0;
  std::set<std::uint64_t> called;
  std::map<std::uint64_t, std::uint64_t> writers;
  for (const auto& e : seen.all<event::Handover>()) {
    if (e.role == Role::kWrites) writers[e.actor.task] = e.object;
    if (e.role != Role::kCalls) continue;
    called.insert(e.object);
    direct += readers.contains(e.actor.task) ? 1 : 0;
    children += readers.contains(e.actor.parent_task) ? 1 : 0;
    others += readers.contains(e.actor.task) || readers.contains(e.actor.parent_task) ? 0 : 1;
  }
  EXPECT_EQ(direct, kRequests);
  EXPECT_EQ(children, kRequests);
  EXPECT_EQ(others, 3 * kRequests) << "the workers', and those of the goroutines that drive the server";
  channels_are_the_programs_own(seen);
  // Every request was written by a goroutine of which it is known for whom.
  int written = 0;
  for (const auto& data : seen.data) {
    if (data.direction != Direction::kSent || data.conn->side != TcpSide::kActive) continue;
    ++written;
    EXPECT_TRUE(writers.contains(data.actor.task) && called.contains(writers[data.actor.task])) << data.captured;
  }
  EXPECT_EQ(written, 5 * kRequests);
}

INSTANTIATE_TEST_SUITE_P(Builds, Goroutines,
                         ::testing::Values(Build{"plain", ""}, Build{"stripped", "-ldflags='-s -w'"},
                                           Build{"relocated", "-buildmode=pie -ldflags='-s -w'"}),
                         [](const auto& build) { return std::string(build.param.name); });

}  // namespace
}  // namespace wirespan
