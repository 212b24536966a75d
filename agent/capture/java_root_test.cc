// Virtual threads, and contexts of threads like Vert.x's, of a real JVM. Needs root and a JDK; leaves itself out else.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
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
constexpr int kHellos = 40;  // in which who is not refused is understood

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

// Runs VertxThreads.java and tells it what was seen.
class VertxProgram {
 public:
  // go_on: told of what the program says by the way, at the first true it is to begin.
  VertxProgram(const std::string& java, const char* collector, std::function<bool(const event::Data&)> go_on) {
    must_be(mkfifo(pipe_.c_str(), 0600) == 0 && (seen_ = open(pipe_.c_str(), O_RDWR | O_CLOEXEC)) >= 0);
    script_.before = [this, java, collector] {
      program_.start({java, "-Xmx64m", "-Xmn8m", "-XX:-UsePerfData", collector,
                      WIRESPAN_SOURCE_DIR "/agent/capture/testing/vertx/io/vertx/core/impl/VertxThreads.java", pipe_});
    };
    script_.after = [this] { program_.finish(); };
    script_.on_event = [this, go_on = std::move(go_on)](const Event& event, KernelSource&) {
      const auto* const data = std::get_if<event::Data>(&event);
      if (data == nullptr || data->direction != Direction::kSent || data->conn->side != TcpSide::kActive) return;
      const std::string_view line = as_text(data->captured);
      const bool hello = line.starts_with("hello");
      if (hello && (begun_ || !go_on(*data))) return;
      begun_ = true;
      if (hello || line.starts_with(kLast)) must_be(write(seen_, "s", 1) == 1);
    };
  }
  ~VertxProgram() {
    close(seen_);
    unlink(pipe_.c_str());
  }
  VertxProgram(const VertxProgram&) = delete;
  VertxProgram& operator=(const VertxProgram&) = delete;

  Seen run() { return testing::trace(script_); }

 private:
  static void must_be(bool ok) { EXPECT_TRUE(ok) << std::strerror(errno); }

  const std::string kLast = "context " + std::to_string(kContexts - 1);
  const std::string pipe_ = ::testing::TempDir() + "wirespan-vertx-" + std::to_string(getpid());
  int seen_ = -1;
  bool begun_ = false;
  testing::Program program_;
  Script script_;
};

class VertxThreads : public ::testing::TestWithParam<const char*> {};

// Each line says in which context it was sent; between the rounds a collector moves all of them.
TEST_P(VertxThreads, KeepTheNumbersOfContextsThatAreMoved) {
  const std::vector<std::string> all = all_java();
  if (all.empty()) GTEST_SKIP() << "no JDK 17 or newer is installed";
  if (std::string_view(GetParam()) != "-XX:+UseG1GC" && std::getenv("CI") == nullptr)
    GTEST_SKIP() << "half a minute: only where CI is set";
  for (const std::string& java : all) {
    SCOPED_TRACE(java);
    VertxProgram program(java, GetParam(), [](const event::Data& data) { return is_context(data.actor.task); });
    const Seen seen = program.run();

    std::map<std::string, std::set<std::uint64_t>> numbers;  // by context
    std::map<std::uint64_t, std::set<std::string>> contexts;
    int lines = 0;
    for (const auto& data : seen.data) {
      if (data.direction != Direction::kSent || data.conn->side != TcpSide::kActive) continue;
      if (data.captured.starts_with("hello")) continue;
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

INSTANTIATE_TEST_SUITE_P(Releases, VertxThreads, ::testing::Values("-XX:+UseG1GC", "-XX:+UseSerialGC"),
                         [](const auto& collector) { return std::string(collector.param).substr(8); });

class VertxThreadsOf : public ::testing::TestWithParam<const char*> {};

// Where nobody knows where objects went nothing is said.
TEST_P(VertxThreadsOf, CollectorsThatAreRefusedHaveNoNumbers) {
  const std::vector<std::string> all = all_java();
  if (all.empty()) GTEST_SKIP() << "no JDK 17 or newer is installed";
  int hellos = 0;
  VertxProgram program(all.front(), GetParam(), [&](const event::Data&) { return ++hellos == kHellos; });
  for (const auto& data : program.run().data) EXPECT_EQ(data.actor.task, 0U) << data.captured;
  EXPECT_GE(hellos, kHellos);
}

INSTANTIATE_TEST_SUITE_P(Releases, VertxThreadsOf, ::testing::Values("-XX:+UseZGC", "-XX:+UseParallelGC"),
                         [](const auto& collector) { return std::string(collector.param).substr(8); });

class Futures : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

// What the thread that reads a call's response works on is what the request's thread holds, or leads to it: never
// another request's.
TEST_P(Futures, OfCallsAreHeldByTheirRequests) {
  const auto [collector, how] = GetParam();
  const std::vector<std::string> all = all_java();
  if (all.empty()) GTEST_SKIP() << "no JDK 17 or newer is installed";
  if (std::string_view(collector) != "-XX:+UseG1GC" && std::getenv("CI") == nullptr)
    GTEST_SKIP() << "some seconds: only where CI is set";
  std::set<std::string> releases{all.front()};
  if (const std::string newest = newest_java(); !newest.empty()) releases.insert(newest);
  for (const std::string& java : releases) {
    SCOPED_TRACE(java);
    testing::Program program;
    Script script;
    script.before = [&] {
      program.start({java, "-Xmx64m", "-Xmn4m", "-XX:-UsePerfData", collector,
                     WIRESPAN_SOURCE_DIR "/agent/capture/testing/Futures.java", how, "150"});
    };
    script.after = [&] { program.finish(); };
    std::map<ConnId, std::string> made;                                   // on a connection: "request 7"
    std::set<ConnId> clients;                                             // whose threads are tasks as well
    std::map<std::uint32_t, std::string> served;                          // by a thread
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::string> held;  // by number of collections and address
    std::vector<std::pair<event::Holds, std::string>> calls;
    int waiting = 0;
    std::size_t unseen = 0;
    script.on_event = [&](const Event& event, KernelSource&) {
      if (const auto* data = std::get_if<event::Data>(&event)) {
        const std::string line(as_text(data->captured).substr(0, as_text(data->captured).find('\n')));
        const bool sent = data->direction == Direction::kSent;
        if (line.starts_with("call") && sent) made[data->conn->id] = line.substr(line.find("request"));
        if (line.starts_with("request") && sent) clients.insert(data->conn->id);
        if (line.starts_with("request") && !sent) served[data->actor.thread.tid] = line;
        if (line.starts_with("done") && sent) served.erase(data->actor.thread.tid);
      } else if (const auto* holds = std::get_if<event::Holds>(&event)) {
        if (clients.contains(holds->call)) return;
        if (holds->call != ConnId{}) {
          // Programs that are preempted miss one now and then (ADR 14).
          if (!made.contains(holds->call)) {
            ++unseen;
            return;
          }
          calls.emplace_back(*holds, made[holds->call]);
          for (std::uint16_t i = 0; i < holds->waiters; ++i) {
            EXPECT_EQ(served[holds->waiting[i]], made[holds->call]);
            ++waiting;
          }
        } else if (served.contains(holds->thread.tid)) {
          // Later ones have it left on their stacks.
          for (std::uint16_t i = 0; i < holds->count; ++i)
            held.try_emplace({holds->collections, holds->futures[i]}, served[holds->thread.tid]);
        }
      }
    };
    (void)testing::trace(script);
    std::size_t found = 0;
    for (const auto& [holds, request] : calls) {
      EXPECT_NE(holds.works_on, 0U);
      bool one = false;
      for (std::uint16_t i = 0; i < holds.count; ++i) {
        const auto it = held.find({holds.collections, holds.futures[i]});
        if (it == held.end()) continue;
        EXPECT_EQ(it->second, request);
        one = true;
      }
      found += one || holds.waiters != 0 ? 1 : 0;
    }
    // The first calls show that threads have others make them; a collection now and then comes between.
    EXPECT_GT(calls.size(), 600U);
    EXPECT_LT(unseen, 10U);
    EXPECT_GT(found * 10, calls.size() * 9);
    EXPECT_GT(waiting, 100);
  }
}

INSTANTIATE_TEST_SUITE_P(Java, Futures,
                         ::testing::Values(std::pair("-XX:+UseG1GC", "order"), std::pair("-XX:+UseG1GC", "all"),
                                           std::pair("-XX:+UseSerialGC", "order")),
                         [](const auto& of) { return std::string(of.param.first).substr(8) + "_" + of.param.second; });

class Sends : public ::testing::TestWithParam<const char*> {};

// A call that a client's own thread reads the response of is told to be whose thread waits for it, and no other's.
TEST_P(Sends, CallsAreOfTheThreadThatWaits) {
  const std::string how = GetParam();
  const bool is_virtual = how == "virtual";
  const std::vector<std::string> all = all_java();
  const std::string java = is_virtual ? newest_java() : all.empty() ? "" : all.front();
  if (java.empty()) GTEST_SKIP() << "no such JDK is installed";
  testing::Program program;
  Script script;
  script.before = [&] {
    program.start({java, "-Xmx64m", "-Xmn8m", "-XX:-UsePerfData",
                   WIRESPAN_SOURCE_DIR "/agent/capture/testing/Sends.java", how, "100"});
  };
  script.after = [&] { program.finish(); };
  std::map<ConnId, std::string> made;           // on a connection: of request "7"
  std::map<std::uint64_t, std::string> served;  // by a thread or a virtual one
  std::size_t calls = 0;
  std::size_t told = 0;
  script.on_event = [&](const Event& event, KernelSource&) {
    if (const auto* data = std::get_if<event::Data>(&event)) {
      const std::string line(as_text(data->captured).substr(0, as_text(data->captured).find('\n')));
      const std::uint64_t by = is_virtual ? data->actor.task : data->actor.thread.tid;
      if (line.starts_with("GET /") && data->direction == Direction::kSent) {
        made[data->conn->id] = line.substr(5, line.find(' ', 5) - 5);
        ++calls;
      } else if (line.starts_with("request ") && data->direction == Direction::kReceived) {
        served[by] = line.substr(8);
      }
    } else if (const auto* leads = std::get_if<event::Leads>(&event)) {
      if (leads->request != ConnId{}) return;
      EXPECT_EQ(is_virtual, leads->tid == 0);
      EXPECT_EQ(served[is_virtual ? leads->task : leads->tid], made[leads->call]);
      ++told;
    }
  };
  (void)testing::trace(script);
  EXPECT_GT(calls, 1500U);
  // Its classes are known some 0.1 s after they are loaded, and a collection now and then comes between.
  EXPECT_GT(told * 10, calls * 7);
}

INSTANTIATE_TEST_SUITE_P(Releases, Sends, ::testing::Values("threads", "virtual"),
                         [](const auto& of) { return std::string(of.param); });

class Captures : public ::testing::TestWithParam<const char*> {};

// What is to be done after a call names the connection that is answered then: from the first calls on, as nothing has
// to be learned, and never another request's.
TEST_P(Captures, TellTheirRequest) {
  const std::vector<std::string> all = all_java();
  if (all.empty()) GTEST_SKIP() << "no JDK 17 or newer is installed";
  const bool everything = std::getenv("CI") != nullptr;
  if (!everything && std::string_view(GetParam()) != "lambda" && std::string_view(GetParam()) != "latch")
    GTEST_SKIP() << "some seconds: only where CI is set";
  std::set<std::string> releases{all.front()};
  if (const std::string newest = newest_java(); !newest.empty() && everything) releases.insert(newest);
  for (const std::string& java : releases) {
    SCOPED_TRACE(java);
    testing::Program program;
    Script script;
    script.before = [&] {
      program.start({java, "-Xmx64m", "-Xmn8m", "-XX:-UsePerfData",
                     WIRESPAN_SOURCE_DIR "/agent/capture/testing/Captures.java", GetParam(), "60"});
    };
    script.after = [&] { program.finish(); };
    std::map<ConnId, std::string> made;           // on a connection: of request "7"
    std::map<ConnId, std::string> asked;          // on one that was accepted
    std::map<std::uint32_t, std::string> served;  // by a thread
    std::size_t calls = 0;
    std::size_t told = 0;
    script.on_event = [&](const Event& event, KernelSource&) {
      if (const auto* data = std::get_if<event::Data>(&event)) {
        const std::string line(as_text(data->captured).substr(0, as_text(data->captured).find('\n')));
        const auto number = [&line](std::string_view path) {
          return line.substr(path.size(), line.find(' ', path.size()) - path.size());
        };
        if (line.starts_with("GET /call/") && data->direction == Direction::kSent) {
          made[data->conn->id] = number("GET /call/");
          ++calls;
        } else if (line.starts_with("GET /front/") && data->direction == Direction::kReceived) {
          served[data->actor.thread.tid] = asked[data->conn->id] = number("GET /front/");
        }
      } else if (const auto* leads = std::get_if<event::Leads>(&event)) {
        if ((leads->request == ConnId{} && !served.contains(leads->tid)) || !made.contains(leads->call)) return;
        EXPECT_EQ(leads->request != ConnId{} ? asked[leads->request] : served[leads->tid], made[leads->call]);
        ++told;
      }
    };
    (void)testing::trace(script);
    EXPECT_GE(calls, 360U);
    EXPECT_GT(told * 10, calls * 7);
  }
}

INSTANTIATE_TEST_SUITE_P(Releases, Captures, ::testing::Values("lambda", "local", "blocking", "submitted", "latch"),
                         [](const auto& of) { return std::string(of.param); });

}  // namespace
}  // namespace wirespan
