// A living interpreter of Python's to look at.
#pragma once

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace wirespan::testing {

class Interpreter {
 public:
  // Of a release that is understood.
  static bool installed() {
    const std::string check =
        std::string(kPython) + " -c 'import sys; sys.exit(not (3, 8) <= sys.version_info < (3, 14))' 2>/dev/null";
    return std::system(check.c_str()) == 0;
  }
  // Runs the statement, says so, and waits for its end.
  explicit Interpreter(const std::string& statement) {
    const std::string script = statement + "\nimport sys\nprint('.', end='', flush=True)\nsys.stdin.readline()";
    int in[2];
    int out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execl(kPython, kPython, "-c", script.c_str(), nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = out[0];
  }
  ~Interpreter() {
    close(to_);
    close(from_);
    waitpid(pid_, nullptr, 0);
  }
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;
  [[nodiscard]] std::uint32_t pid() const { return static_cast<std::uint32_t>(pid_); }
  [[nodiscard]] bool ready() const {
    char said = 0;
    return read(from_, &said, 1) == 1;
  }

 private:
  static constexpr const char* kPython = "/usr/bin/python3";
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
};

}  // namespace wirespan::testing
