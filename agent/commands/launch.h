// `wirespan trace ... -- CMD`: a command that starts only when the probes are there.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace wirespan {

class Launch {
 public:
  // Forks; the child waits. Before any thread is started.
  [[nodiscard]] static Result<Launch> prepare(const std::vector<std::string>& command);
  Launch(Launch&& other) noexcept;
  Launch& operator=(Launch&&) = delete;
  // A child that was never let go ends.
  ~Launch();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Executes the command; the error is that of exec.
  Status go();

 private:
  Launch(pid_t pid, int go_fd, int error_fd) : pid_(pid), go_fd_(go_fd), error_fd_(error_fd) {}
  pid_t pid_;
  int go_fd_;
  int error_fd_;
};

}  // namespace wirespan
