#include "agent/capture/proc.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "agent/capture/runtime.h"

namespace wirespan {
namespace {

std::uint32_t self() {
  return static_cast<std::uint32_t>(getpid());
}

TEST(Proc, KnowsThisProcess) {
  const auto facts = proc::read_process(self());
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->pid, self());
  EXPECT_EQ(facts->parent_pid, static_cast<std::uint32_t>(getppid()));
  EXPECT_TRUE(facts->exe.ends_with("capture_test")) << facts->exe;
  EXPECT_FALSE(facts->cmdline.empty());
  EXPECT_GT(facts->started.ns, 0U);
  EXPECT_EQ(facts->runtime, "");
}

TEST(Proc, AProcessWithOddNameAndArguments) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    // A name with a bracket and spaces: the second field of /proc/PID/stat is not to be trusted.
    execlp("bash", ") R 1 2 3 (", "-c", "echo r >&$0; kill -STOP $$", std::to_string(ready[1]).c_str(), "", "x",
           nullptr);
    _exit(1);
  }
  char byte = 0;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  const auto facts = proc::read_process(static_cast<std::uint32_t>(child));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  for (const int fd : ready) close(fd);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->parent_pid, self());
  EXPECT_GE(facts->cmdline.size(), 2U);
}

TEST(Proc, AZombieHasNoFacts) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(proc::read_process(static_cast<std::uint32_t>(child)));
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(proc::read_process(static_cast<std::uint32_t>(child)));
}

TEST(Proc, FindsWhoListens) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener, any, size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, any, &size), 0);
  const auto found = proc::listeners({self()});
  close(listener);
  EXPECT_TRUE(std::any_of(found.begin(), found.end(), [&](const proc::Listener& l) {
    return l.pid == self() && l.port == ntohs(address.sin_port);
  }));
}

TEST(Proc, ParentsAndPids) {
  EXPECT_EQ(proc::parent_of(self()), static_cast<std::uint32_t>(getppid()));
  const auto pids = proc::all_pids();
  EXPECT_NE(std::find(pids.begin(), pids.end(), self()), pids.end());
  EXPECT_TRUE(proc::pids_of_cgroup("/sys/fs/cgroup/no/such/group", 10).empty());
}

TEST(Runtime, IsKnownByTheProgramsName) {
  EXPECT_EQ(runtime_of(self(), "/usr/bin/python3.11"), "python");
  EXPECT_EQ(runtime_of(self(), "/usr/sbin/php-fpm8.2"), "php");
  EXPECT_EQ(runtime_of(self(), "/opt/jdk/bin/java"), "jvm");
  EXPECT_EQ(runtime_of(self(), "/usr/bin/node"), "node");
  EXPECT_EQ(runtime_of(self(), "/usr/bin/node_exporter"), "");
  EXPECT_EQ(runtime_of(self(), "/usr/bin/javac"), "");
}

}  // namespace
}  // namespace wirespan
