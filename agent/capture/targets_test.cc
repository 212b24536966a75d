#include "agent/capture/targets.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

namespace wirespan {
namespace {

struct Set : TargetSet {
  void add(std::uint32_t pid) override { pids.insert(pid); }
  void exclude(std::uint32_t pid) override { excluded.insert(pid); }
  [[nodiscard]] bool contains(std::uint32_t pid) const override { return pids.contains(pid); }
  std::set<std::uint32_t> pids;
  std::set<std::uint32_t> excluded;
};

struct Facts : Sink<Event> {
  void accept(const Event& event) override { processes.push_back(std::get<event::Process>(event)); }
  std::vector<event::Process> processes;
};

// A process that waits to be killed, with a child that does as well.
class Family {
 public:
  Family() {
    int ready[2];
    if (pipe(ready) != 0) std::abort();
    parent_ = fork();
    if (parent_ == 0) {
      const pid_t child = fork();
      if (child != 0 && write(ready[1], &child, sizeof(child)) < 0) _exit(1);
      for (;;) pause();
    }
    if (read(ready[0], &child_, sizeof(child_)) != sizeof(child_)) std::abort();
    for (const int fd : ready) close(fd);
  }
  ~Family() {
    for (const pid_t pid : {child_, parent_}) kill(pid, SIGKILL);
    waitpid(parent_, nullptr, 0);
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  [[nodiscard]] std::uint32_t parent() const { return static_cast<std::uint32_t>(parent_); }
  [[nodiscard]] std::uint32_t child() const { return static_cast<std::uint32_t>(child_); }

 private:
  pid_t parent_ = 0;
  pid_t child_ = 0;
};

Selectors by_pid(std::uint32_t pid) {
  Selectors selectors;
  selectors.pids = {pid};
  return selectors;
}
Selectors by_port(std::uint16_t port) {
  Selectors selectors;
  selectors.ports = {port};
  return selectors;
}

class TargetsTest : public ::testing::Test {
 protected:
  Targets make(Selectors selectors) {
    Targets targets(std::move(selectors), static_cast<std::uint32_t>(getpid()), set_, counters_);
    targets.set_sink(&facts_);
    return targets;
  }
  Counters counters_;
  Set set_;
  Facts facts_;
};

TEST_F(TargetsTest, APidAndItsChildren) {
  const Family family;
  Targets targets = make(by_pid(family.parent()));
  targets.scan();
  EXPECT_EQ(set_.pids, (std::set<std::uint32_t>{family.parent(), family.child()}));
  EXPECT_TRUE(set_.excluded.contains(static_cast<std::uint32_t>(getpid())));
  targets.flush_facts(BootTime{1});
  EXPECT_EQ(facts_.processes.size(), 2U);
  targets.flush_facts(BootTime{2});
  EXPECT_EQ(facts_.processes.size(), 2U) << "facts are told once";
}

TEST_F(TargetsTest, TheAgentItselfIsNoTarget) {
  Targets targets = make(by_pid(static_cast<std::uint32_t>(getpid())));
  targets.scan();
  EXPECT_TRUE(set_.pids.empty());
}

TEST_F(TargetsTest, AChildGoneBeforeItCouldBeAskedHasItsParentsFacts) {
  const Family family;
  Targets targets = make(by_pid(family.parent()));
  targets.scan();
  targets.flush_facts(BootTime{1});
  constexpr std::uint32_t kGone = 0x7fffffff;
  targets.forked(family.parent(), kGone, BootTime{2});
  targets.active(kGone, BootTime{3});
  ASSERT_EQ(facts_.processes.size(), 3U);
  EXPECT_EQ(facts_.processes.back().pid, kGone);
  EXPECT_EQ(facts_.processes.back().exe, facts_.processes.front().exe);
}

TEST_F(TargetsTest, AProgramGoneBeforeItCouldBeAskedHasItsName) {
  Targets targets = make(by_pid(1));
  constexpr std::uint32_t kGone = 0x7fffffff;
  targets.executed(kGone, 1, true, "curl", BootTime{3});
  targets.active(kGone, BootTime{4});
  ASSERT_EQ(facts_.processes.size(), 1U);
  EXPECT_EQ(facts_.processes.back().comm, "curl");
}

TEST_F(TargetsTest, AForkStormIsNotReadFromProc) {
  Targets targets = make(by_pid(1));
  const std::uint32_t self = static_cast<std::uint32_t>(getppid());
  for (int i = 0; i < 10'000; ++i) {
    targets.executed(self, 1, true, "x", BootTime{5});
    targets.exited(self, BootTime{5});
  }
  EXPECT_LE(facts_.processes.size(), 200U);
  EXPECT_EQ(targets.size(), 0U);
}

TEST_F(TargetsTest, APortThatIsListenedOnLater) {
  const Family family;
  Targets targets = make(by_port(8080));
  targets.listening(family.parent(), 9090, false, BootTime{1});
  EXPECT_TRUE(set_.pids.empty());
  targets.listening(family.parent(), 8080, false, BootTime{2});
  EXPECT_TRUE(set_.pids.contains(family.child()));
  ASSERT_FALSE(facts_.processes.empty());
  EXPECT_EQ(facts_.processes.back().listening, std::vector<std::uint16_t>{8080});
}

}  // namespace
}  // namespace wirespan
