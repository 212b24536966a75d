// Each test gives up rights in a child, as they do not come back.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <thread>

#include "agent/rights/capabilities.h"
#include "agent/rights/syscall_filter.h"

namespace wirespan {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // their runtimes make calls of their own
#else
constexpr bool kSanitized = false;
#endif

// Number of the first expectation that does not hold, 0 when all do.
int in_child(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int refusal(long result) {
  return result == -1 ? errno : 0;
}

TEST(SyscallFilter, RefusedCallsFailAndAreCounted) {
  if (kSanitized) GTEST_SKIP();
  EXPECT_EQ(in_child([] {
              Counter refused;
              if (!confine_calls(Calls::kTracing, OnRefusal::kFail, refused)) return 1;
              if (refusal(execl("/bin/true", "true", nullptr)) != EPERM) return 2;
              if (refusal(syscall(SYS_ptrace, 16, getppid(), 0, 0)) != EPERM) return 3;
              if (refusal(::socket(AF_PACKET, SOCK_RAW, 0)) != EPERM) return 4;
              if (refusal(kill(getppid(), 0)) != EPERM) return 5;
              if (refusal(syscall(SYS_bpf, 5, nullptr, 0)) != EPERM) return 6;  // BPF_PROG_LOAD
              if (fork() != -1 || errno != EPERM) return 7;
              return refused.value() == 6 ? 0 : 8;
            }),
            0);
}

TEST(SyscallFilter, WhatAnAgentDoesGoesOn) {
  if (kSanitized) GTEST_SKIP();
  EXPECT_EQ(in_child([] {
              Counter refused;
              if (!confine_calls(Calls::kTracing, OnRefusal::kFail, refused)) return 1;
              std::string line;
              std::ifstream status("/proc/self/status");
              if (!std::getline(status, line)) return 2;
              bool ran = false;
              std::thread([&] {
                const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
                ran = fd >= 0 && ::close(fd) == 0;
              }).join();
              if (!ran) return 3;
              // The kernel answers, be it with a no of its own.
              if (refusal(syscall(SYS_bpf, 1, nullptr, 0)) == 0) return 4;
              return refused.value() == 0 ? 0 : 5;
            }),
            0);
}

TEST(SyscallFilter, AThreadThatBlocksSignalsLivesOn) {
  if (kSanitized) GTEST_SKIP();
  EXPECT_EQ(in_child([] {
              Counter refused;
              if (!confine_calls(Calls::kReading, OnRefusal::kFail, refused)) return 1;
              int error = 0;
              std::thread([&] {
                sigset_t most;
                sigfillset(&most);
                sigdelset(&most, SIGSYS);
                pthread_sigmask(SIG_SETMASK, &most, nullptr);
                error = refusal(syscall(SYS_bpf, 1, nullptr, 0));
              }).join();
              return error == EPERM && refused.value() == 1 ? 0 : 2;
            }),
            0);
}

TEST(Capabilities, NothingComesBack) {
  EXPECT_EQ(in_child([] {
              if (!give_up_capabilities(false)) return 1;
              if (held_capabilities() != 0) return 2;
              if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 3;
              // Of root's: an exec would have brought all of them back.
              if (geteuid() == 0 && prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0) return 4;
              return 0;
            }),
            0);
}

TEST(Capabilities, OnlyTheNeededAreKept) {
  const CapabilitySet before = held_capabilities();
  if (missing_capabilities(before).size() == needed_capabilities().size()) GTEST_SKIP() << "has none";
  EXPECT_EQ(in_child([before] {
              if (!give_up_capabilities(true)) return 1;
              CapabilitySet needed = 0;
              for (const Capability& capability : needed_capabilities())
                needed |= CapabilitySet{1} << capability.number;
              return held_capabilities() == (before & needed) ? 0 : 2;
            }),
            0);
}

TEST(Capabilities, TheMissingAreNamed) {
  const auto missing = missing_capabilities(CapabilitySet{1} << CAP_BPF | CapabilitySet{1} << CAP_SYS_PTRACE);
  ASSERT_GE(missing.size(), 2U);  // and CAP_SYS_ADMIN where the kernel asks it for uprobes
  EXPECT_EQ(missing[0]->name, "CAP_PERFMON");
  EXPECT_TRUE(missing[0]->required);
  EXPECT_EQ(missing[1]->name, "CAP_DAC_READ_SEARCH");
  EXPECT_FALSE(missing[1]->required);
}

}  // namespace
}  // namespace wirespan
