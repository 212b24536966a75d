// Virtual threads, and contexts of threads like Vert.x's, of a real JVM. Needs root and a JDK; leaves itself out else.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/capture/testing/traced_child.h"

namespace wirespan {
namespace {

using testing::Script;
using testing::Seen;

constexpr std::size_t kClients = 8;  // of each sort, see VirtualThreads.java
constexpr int kLines = 5;
constexpr int kContexts = 6;  // see VertxThreads.java
constexpr int kRounds = 6;

// Those that run a source file, of a release from 17 on: the one on the PATH, and any installed.
std::vector<std::string> all_java() {
  std::vector<std::string> all{"java"};
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/jvm", error)) {
    all.push_back(entry.path() / "bin/java");
  }
  std::erase_if(all, [](const std::string& java) {
    const std::string check = java + " -version 2>&1 | grep -Eq 'version \"(1[7-9]|[2-9][0-9])' && " + java +
                              " --list-modules | grep -q jdk.compiler";
    return std::system(check.c_str()) != 0;
  });
  return all;
}

// The first that has virtual threads.
std::string newest_java() {
  for (const std::string& java : all_java()) {
    const std::string check = java + " -version 2>&1 | grep -Eq 'version \"(2[1-9]|[3-9][0-9])'";
    if (std::system(check.c_str()) == 0) return java;
  }
  return {};
}

class VirtualThreads : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    java_ = newest_java();
    if (java_.empty()) GTEST_SKIP() << "no JDK 21 or newer is installed";
    const std::string check = java_ + " " + GetParam() + " -version 2>/dev/null";
    if (std::system(check.c_str()) != 0) GTEST_SKIP() << "the JVM has no " << GetParam();
  }
  void start() {
    program_.start({java_, "-Xmx64m", "-XX:-UsePerfData", GetParam(), "-Djdk.virtualThreadScheduler.parallelism=2",
                    WIRESPAN_SOURCE_DIR "/agent/capture/testing/VirtualThreads.java"});
  }

  std::string java_;
  testing::Program program_;
};

// Every line says who sent it: "virtual 2 line 3".
TEST_P(VirtualThreads, HaveEachANumberOnWhateverCarrier) {
  Script script;
  script.before = [&] { start(); };
  script.after = [&] { program_.finish(); };
  const Seen seen = testing::trace(script);

  std::map<std::string, std::set<std::uint64_t>> numbers;  // by who sent
  std::map<std::uint64_t, std::set<std::string>> senders;  // by number
  std::set<std::uint32_t> carriers;
  int lines = 0;
  for (const auto& data : seen.data) {
    if (data.direction != Direction::kSent || data.conn->side != TcpSide::kActive) continue;
    const std::string who = data.captured.substr(0, data.captured.find(" line"));
    if (who.starts_with("platform")) {
      EXPECT_EQ(data.actor.task, 0U) << data.captured;
      continue;
    }
    ASSERT_TRUE(who.starts_with("virtual")) << data.captured;
    EXPECT_TRUE(is_context(data.actor.task)) << data.captured;
    numbers[who].insert(data.actor.task);
    senders[data.actor.task].insert(who);
    carriers.insert(data.actor.thread.tid);
    ++lines;
  }
  EXPECT_EQ(lines, static_cast<int>(kClients) * kLines);
  ASSERT_EQ(numbers.size(), kClients);
  for (const auto& [who, of] : numbers) EXPECT_EQ(of.size(), 1U) << who << " has more than one number";
  for (const auto& [number, of] : senders) EXPECT_EQ(of.size(), 1U) << *of.begin() << " shares its number";
  EXPECT_LT(carriers.size(), kClients) << "they did not share carriers: nothing was tested";
}

INSTANTIATE_TEST_SUITE_P(Releases, VirtualThreads, ::testing::Values("-XX:+UseG1GC", "-XX:+UseSerialGC", "-XX:+UseZGC"),
                         [](const auto& collector) { return std::string(collector.param).substr(8); });

class VertxThreads : public ::testing::TestWithParam<const char*> {};

// Each line says in which context it was sent; between the rounds a collector moves all of them.
TEST_P(VertxThreads, KeepTheNumbersOfContextsThatAreMoved) {
  const std::vector<std::string> all = all_java();
  if (all.empty()) GTEST_SKIP() << "no JDK 17 or newer is installed";
  if (std::string_view(GetParam()) != "-XX:+UseG1GC" && std::getenv("CI") == nullptr)
    GTEST_SKIP() << "half a minute: only where CI is set";
  for (const std::string& java : all) {
    SCOPED_TRACE(java);
    testing::Program program;
    Script script;
    script.before = [&] {
      program.start({java, "-Xmx64m", "-Xmn8m", "-XX:-UsePerfData", GetParam(),
                     WIRESPAN_SOURCE_DIR "/agent/capture/testing/vertx/io/vertx/core/impl/VertxThreads.java"});
    };
    script.after = [&] { program.finish(); };
    const Seen seen = testing::trace(script);

    std::map<std::string, std::set<std::uint64_t>> numbers;  // by context
    std::map<std::uint64_t, std::set<std::string>> contexts;
    int lines = 0;
    for (const auto& data : seen.data) {
      if (data.direction != Direction::kSent || data.conn->side != TcpSide::kActive) continue;
      ++lines;
      if (data.captured.starts_with("none")) {
        EXPECT_EQ(data.actor.task, 0U);
        continue;
      }
      const std::string context = data.captured.substr(0, std::string("context 0").size());
      EXPECT_TRUE(is_context(data.actor.task)) << data.captured;
      numbers[context].insert(data.actor.task);
      contexts[data.actor.task].insert(context);
    }
    EXPECT_EQ(lines, kRounds * (kContexts + 2));
    ASSERT_EQ(numbers.size(), static_cast<std::size_t>(kContexts));
    for (const auto& [context, of] : numbers) EXPECT_EQ(of.size(), 1U) << context << " has more than one number";
    for (const auto& [number, of] : contexts) EXPECT_EQ(of.size(), 1U) << *of.begin() << " shares its number";
  }
}

// Where objects are moved at any time nothing is said.
TEST(VertxThreadsOfZ, HaveNoNumbers) {
  const std::vector<std::string> all = all_java();
  if (all.empty()) GTEST_SKIP() << "no JDK 17 or newer is installed";
  testing::Program program;
  Script script;
  script.before = [&] {
    program.start({all.front(), "-Xmx64m", "-XX:-UsePerfData", "-XX:+UseZGC",
                   WIRESPAN_SOURCE_DIR "/agent/capture/testing/vertx/io/vertx/core/impl/VertxThreads.java"});
  };
  script.after = [&] { program.finish(); };
  for (const auto& data : testing::trace(script).data) EXPECT_EQ(data.actor.task, 0U) << data.captured;
}

INSTANTIATE_TEST_SUITE_P(Releases, VertxThreads, ::testing::Values("-XX:+UseG1GC", "-XX:+UseSerialGC"),
                         [](const auto& collector) { return std::string(collector.param).substr(8); });

}  // namespace
}  // namespace wirespan
