#include "agent/commands/launch.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace wirespan {

Result<Launch> Launch::prepare(const std::vector<std::string>& command) {
  std::array<int, 2> go{};
  std::array<int, 2> failed{};
  if (pipe2(go.data(), O_CLOEXEC) != 0 || pipe2(failed.data(), O_CLOEXEC) != 0) return errno_error("pipe");
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));  // NOLINT
  arguments.push_back(nullptr);

  const pid_t pid = fork();
  if (pid < 0) return errno_error("fork");
  if (pid == 0) {
    // The Supervisor blocked these for us; the command gets them as a shell would give them.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    std::signal(SIGPIPE, SIG_DFL);
    close(go[1]);
    char byte = 0;
    if (read(go[0], &byte, 1) != 1) _exit(127);  // the agent gave up
    execvp(arguments[0], arguments.data());
    const int error = errno;
    const auto written = write(failed[1], &error, sizeof(error));
    _exit(written == sizeof(error) ? 127 : 126);
  }
  close(go[0]);
  close(failed[1]);
  return Launch(pid, go[1], failed[0]);
}

Launch::Launch(Launch&& other) noexcept : pid_(other.pid_), go_fd_(other.go_fd_), error_fd_(other.error_fd_) {
  other.go_fd_ = other.error_fd_ = -1;
}

Launch::~Launch() {
  if (go_fd_ >= 0) close(go_fd_);
  if (error_fd_ >= 0) close(error_fd_);
}

Status Launch::go() {
  const char byte = 1;
  if (write(go_fd_, &byte, 1) != 1) return errno_error("start the command");
  int error = 0;
  // Closed by a successful exec.
  if (read(error_fd_, &error, sizeof(error)) == sizeof(error))
    return Error{"the command could not be started", error, {}};
  return {};
}

}  // namespace wirespan
