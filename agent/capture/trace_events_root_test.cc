// Numbers of trace events, on the running kernel.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/capture/trace_events.h"

namespace wirespan {
namespace {

constexpr const char* kEvent = "raw_syscalls/sys_enter";

TEST(TraceEvents, AreFoundWhereTracefsIsMountedNowhere) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const auto number = trace_event_number(kEvent);
  ASSERT_TRUE(number) << number.error().text();
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(2);
    if (mount("none", "/sys/kernel", "tmpfs", 0, nullptr) != 0) _exit(2);
    const auto again = trace_event_number(kEvent);
    _exit(again && *again == *number ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "may not make a mount namespace";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(TraceEvents, ThatDoNotExistAreAnErrorWithAWayOut) {
  const auto number = trace_event_number("sock/no_such_event");
  ASSERT_FALSE(number);
  EXPECT_NE(number.error().hint.find("tracefs"), std::string::npos);
}

}  // namespace
}  // namespace wirespan
