// Probes of a real interpreter, without a kernel side. Leaves itself out where there is no python3 of 3.8 to 3.11.
#include "agent/capture/python_probes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <set>

namespace wirespan {
namespace {

class FakeKernel : public RuntimeKernel {
 public:
  Result<int> attach_uprobe(const char*, const std::string&, std::uint64_t) override {
    return Error{"no", ENOTSUP, {}};
  }
  Result<int> attach_return_probe(const char*, const std::string&, std::uint64_t, std::uint32_t) override {
    attached.insert(++last_);
    return last_;
  }
  void detach_uprobe(int probe) override { attached.erase(probe); }
  void set_go_process(std::uint32_t, const ws_go_process&) override {}
  void remove_go_process(std::uint32_t) override {}
  void set_python_process(std::uint32_t pid, const ws_python_process&) override { known.insert(pid); }
  void remove_python_process(std::uint32_t pid) override { known.erase(pid); }
  void forget_python_contexts() override {}

  std::set<int> attached;
  std::set<std::uint32_t> known;

 private:
  int last_ = 0;
};

constexpr const char* kPython = "/usr/bin/python3";
// Maps a file that is called as greenlet's is, when told to.
constexpr const char* kScript = R"(
import mmap, os, sys, tempfile
print(".", end="", flush=True)
sys.stdin.readline()
with tempfile.TemporaryDirectory() as there:
    with open(os.path.join(there, "_greenlet.cpython-311-x86_64-linux-gnu.so"), "w+b") as file:
        file.write(bytes(4096))
        file.flush()
        mapped = mmap.mmap(file.fileno(), 4096)
print(".", end="", flush=True)
sys.stdin.readline()
)";

class Interpreter {
 public:
  Interpreter() {
    int in[2];
    int out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      execl(kPython, kPython, "-c", kScript, nullptr);
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
  [[nodiscard]] bool go_on() const { return write(to_, "\n", 1) == 1 && ready(); }

 private:
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
};

TEST(PythonProbes, NoReturnProbeBesideGreenletsWhereverTheyCollect) {
  const std::string check =
      std::string(kPython) + " -c 'import sys; sys.exit(not (3, 8) <= sys.version_info < (3, 12))' 2>/dev/null";
  if (std::system(check.c_str()) != 0) GTEST_SKIP() << "no python3 of 3.8 to 3.11";
  const Interpreter python;
  ASSERT_TRUE(python.ready());
  FakeKernel kernel;
  Counters counters;
  PythonProbes probes(kernel, counters);
  BootTime now{1'000'000'000'000};
  probes.found(python.pid(), now);
  if (kernel.known.empty()) GTEST_SKIP() << "this python3 has no symbols";
  EXPECT_FALSE(kernel.attached.empty());
  // Long after the looks that every process gets.
  for (int i = 0; i < 20; ++i) probes.sweep(now = now + 20'000'000'000);
  EXPECT_FALSE(kernel.attached.empty());

  ASSERT_TRUE(python.go_on());
  probes.sweep(now + 1'100'000'000);
  EXPECT_TRUE(kernel.attached.empty());
  EXPECT_TRUE(kernel.known.empty());
  ASSERT_EQ(probes.describe().size(), 1U);
  EXPECT_NE(probes.describe()[0].find("it has greenlets"), std::string::npos) << probes.describe()[0];
  EXPECT_NE(describe_python(python.pid()).find("it has greenlets"), std::string::npos);
  // And not when it is met anew.
  probes.found(python.pid(), now);
  EXPECT_TRUE(kernel.attached.empty());
}

}  // namespace
}  // namespace wirespan
