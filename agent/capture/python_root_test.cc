// Tasks of real Python interpreters. Needs root and some python3; leaves itself out else.
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

using testing::Script;
using testing::Seen;

constexpr int kClients = 4;
constexpr int kRequests = 5;  // of each client, see tasks.py

class Tasks : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    python_ = GetParam();
    if (python_.front() != '/') python_ = first_of(python_);
    const std::string check = python_ + " -c 'import asyncio, sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null";
    if (python_.empty() || std::system(check.c_str()) != 0) GTEST_SKIP() << GetParam() << " is not installed";
  }
  // pyenv's, of which there may be several.
  static std::string first_of(const std::string& release) {
    const char* const home = std::getenv("HOME");
    const std::filesystem::path versions = std::filesystem::path(home != nullptr ? home : "/root") / ".pyenv/versions";
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(versions, error)) {
      if (entry.path().filename().string().starts_with(release + ".")) return entry.path() / "bin/python3";
    }
    return {};
  }
  [[nodiscard]] const char* python() const { return python_.c_str(); }
  std::string python_;
  testing::Program program_;
};

// Every line says who sent it: "client 2 request 3".
TEST_P(Tasks, EachHasAContextBornOfWhoeverStartedIt) {
  Script script;
  script.before = [&] { program_.start({python(), WIRESPAN_SOURCE_DIR "/agent/capture/testing/tasks.py"}); };
  script.after = [&] { program_.finish(); };
  const Seen seen = testing::trace(script);

  std::map<std::uint64_t, event::Lineage> lineages;
  for (const auto& lineage : seen.all<event::Lineage>()) {
    EXPECT_FALSE(lineages.contains(lineage.task)) << "told twice";
    lineages[lineage.task] = lineage;
    for (std::uint32_t i = 0; i < lineage.count; ++i) {
      EXPECT_LT(born(lineage.ancestors[i]), i == 0 ? born(lineage.task) : born(lineage.ancestors[i - 1]));
    }
  }
  std::map<std::string, std::set<std::uint64_t>> senders;  // by the line's first two words
  std::map<std::uint64_t, std::set<std::string>> lines;    // by the parent of who sent them
  std::set<std::uint64_t> threads;
  for (const auto& data : seen.data) {
    if (data.direction != Direction::kSent || data.conn->side != TcpSide::kActive) continue;
    EXPECT_TRUE(is_context(data.actor.task)) << data.captured;
    EXPECT_TRUE(lineages.contains(data.actor.task)) << data.captured;
    const std::string client = data.captured.substr(0, data.captured.find(" request"));
    EXPECT_TRUE(senders[client].insert(data.actor.task).second) << "a task for each request: " << data.captured;
    lines[data.actor.parent_task].insert(client);
    threads.insert(data.actor.thread.tid);
  }
  ASSERT_EQ(senders.size(), static_cast<std::size_t>(2 * kClients)) << "clients, and clients in threads";
  for (const auto& [client, tasks] : senders) EXPECT_EQ(tasks.size(), static_cast<std::size_t>(kRequests)) << client;
  EXPECT_EQ(lines.size(), static_cast<std::size_t>(2 * kClients)) << "parents are told apart";
  for (const auto& [parent, of] : lines) EXPECT_EQ(of.size(), 1U);
  EXPECT_GT(threads.size(), 1U);
}

// What a thread of the pool sends is of who gave it the piece of work that it took last.
TEST_P(Tasks, WhoGivesWorkToAPoolIsTold) {
  Script script;
  script.before = [&] { program_.start({python(), WIRESPAN_SOURCE_DIR "/agent/capture/testing/pool.py"}); };
  script.after = [&] { program_.finish(); };
  const Seen seen = testing::trace(script);

  using Role = event::Handover::Role;
  const auto handed = seen.all<event::Handover>();
  const auto last = [&](Role role, BootTime before, auto fits) {
    const auto it = std::find_if(handed.rbegin(), handed.rend(), [&](const event::Handover& one) {
      return one.role == role && one.time < before && fits(one);
    });
    return it == handed.rend() ? event::Handover{} : *it;
  };
  std::map<std::string, std::uint32_t> clients;              // their threads
  std::map<std::string, std::multiset<std::uint64_t>> gave;  // threads, or tasks
  for (const auto& data : seen.data) {
    if (data.direction != Direction::kSent || data.conn->side != TcpSide::kActive) continue;
    const std::string name = data.captured.substr(0, data.captured.find(' ', data.captured.find(' ') + 1));
    if (data.captured.find(" gives") != std::string::npos) {
      clients[name] = data.actor.thread.tid;
      continue;
    }
    const auto take =
        last(Role::kTakes, data.time, [&](const auto& one) { return one.actor.thread == data.actor.thread; });
    ASSERT_NE(take.object, 0U) << data.captured;
    const auto give = last(Role::kGives, take.time, [&](const auto& one) { return one.object == take.object; });
    ASSERT_NE(give.time.ns, 0U) << data.captured;
    EXPECT_NE(give.actor.thread, data.actor.thread);
    EXPECT_EQ(is_context(give.actor.task), name.starts_with("task")) << data.captured;
    gave[name].insert(give.actor.task != 0 ? give.actor.task : give.actor.thread.tid);
  }
  ASSERT_EQ(gave.size(), static_cast<std::size_t>(2 * kClients)) << "clients, and tasks";
  std::set<std::uint64_t> all;
  for (const auto& [name, givers] : gave) {
    EXPECT_EQ(givers.size(), static_cast<std::size_t>(kRequests)) << name;
    EXPECT_EQ(givers.count(*givers.begin()), givers.size()) << name << ": the same each time";
    if (name.starts_with("client")) {
      EXPECT_EQ(*givers.begin(), clients[name]);
    }
    all.insert(*givers.begin());
  }
  EXPECT_EQ(all.size(), gave.size()) << "one for each";
}

// Once it is known that the queue carries work. What a worker sends is of whoever put in what it took last.
TEST_P(Tasks, WhoPutsWorkIntoAQueueIsToldOnceItIsKnown) {
  Script script;
  script.before = [&] { program_.start({python(), WIRESPAN_SOURCE_DIR "/agent/capture/testing/queues.py"}); };
  script.after = [&] { program_.finish(); };
  const Seen seen = testing::trace(script);

  using Role = event::Handover::Role;
  std::map<std::string, std::uint32_t> servers;   // threads, by the line they read
  std::map<std::uint64_t, std::uint32_t> givers;  // by what is in the queue
  std::map<std::uint32_t, std::uint32_t> works;   // by worker: who gave what it took last
  std::size_t known = 0;
  std::size_t all = 0;
  for (const Event& event : seen.events) {
    if (const auto* handover = std::get_if<event::Handover>(&event)) {
      ASSERT_TRUE(handover->role < Role::kMayGive) << "only for capture itself";
      if (handover->place == 0) continue;
      if (handover->role == Role::kGives) givers[handover->object] = handover->actor.thread.tid;
      if (handover->role == Role::kTakes) works[handover->actor.thread.tid] = givers[handover->object];
    }
    const auto* moved = std::get_if<event::Data>(&event);
    if (moved == nullptr) continue;
    const auto data = std::find_if(seen.data.begin(), seen.data.end(), [&](const auto& one) {
      return one.time == moved->time && one.actor.thread == moved->actor.thread && one.position == moved->position;
    });
    ASSERT_NE(data, seen.data.end());
    if (data->direction == Direction::kReceived && data->conn->side == TcpSide::kPassive)
      servers[data->captured] = data->actor.thread.tid;
    if (data->direction != Direction::kSent || !data->captured.starts_with("job of ")) continue;
    if (data->conn->side != TcpSide::kActive) continue;
    ++all;
    const auto giver = works.find(data->actor.thread.tid);
    if (giver == works.end() || giver->second == 0) continue;
    ++known;
    EXPECT_EQ(giver->second, servers[data->captured.substr(7)]) << data->captured;
  }
  ASSERT_EQ(all, 240U);
  EXPECT_GT(known, all / 2);
}

using Greenlets = Tasks;

TEST_P(Greenlets, MayEndWhileAContextIsBorn) {
  if (std::system((python_ + " -c 'import greenlet' 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "it has no greenlets";
  Script script;
  script.before = [&] { program_.start({python(), WIRESPAN_SOURCE_DIR "/agent/capture/testing/greenlets.py"}); };
  script.after = [&] { program_.finish(); };
  (void)testing::trace(script);
}

// The bed's services bring greenlet with them.
INSTANTIATE_TEST_SUITE_P(OfTheBed, Greenlets,
                         ::testing::Values("/usr/bin/python3", WIRESPAN_SOURCE_DIR "/build/accuracy/venv/bin/python"),
                         [](const auto& python) { return std::string(python.index == 0 ? "system" : "bed"); });

INSTANTIATE_TEST_SUITE_P(Releases, Tasks,
                         ::testing::Values("/usr/bin/python3", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13"),
                         [](const auto& python) {
                           std::string name = python.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace wirespan
