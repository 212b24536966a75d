// Probes of a real interpreter, without a kernel side. Leaves itself out where there is no python3 of 3.8 to 3.13.
#include "agent/capture/python_probes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>

namespace wirespan {
namespace {

class FakeKernel : public RuntimeKernel {
 public:
  Result<int> attach_uprobes(std::uint32_t, const char*, const std::string& path,
                             std::span<const std::uint64_t> offsets) override {
    std::ifstream file(path, std::ios::binary);
    for (const std::uint64_t offset : offsets) {
      file.seekg(static_cast<std::streamoff>(offset));
      instructions.insert(file.get());
    }
    attached.insert(++last_);
    return last_;
  }
  void detach_uprobes(int probes) override { attached.erase(probes); }
  void set_go_process(std::uint32_t, const ws_go_process&) override {}
  void remove_go_process(std::uint32_t) override {}
  void set_python_process(std::uint32_t pid, const ws_python_process&) override { known.insert(pid); }
  void remove_python_process(std::uint32_t pid) override { known.erase(pid); }
  std::uint32_t python_handed(std::uint32_t) const override { return handed; }
  void set_java_process(std::uint32_t, const ws_java_process&) override {}
  void remove_java_process(std::uint32_t) override {}
  bool set_java_way(const ws_java_class_of&, const ws_java_way&) override { return true; }
  void remove_java_way(const ws_java_class_of&) override {}
  bool set_java_kind(const ws_java_class_of&, const ws_java_kind&) override { return true; }
  void remove_java_kind(const ws_java_class_of&) override {}
  void set_node_process(std::uint32_t, const ws_node_process&) override {}
  void remove_node_process(std::uint32_t) override {}
  void set_tokio_process(std::uint32_t, const ws_tokio_process&) override {}
  void remove_tokio_process(std::uint32_t) override {}
  void begin_tokio_guess(std::uint32_t) override {}
  bool read_tokio_guess(std::uint32_t, ws_tokio_guess&) const override { return false; }
  void end_tokio_guess(std::uint32_t) override {}
  void forget_python_contexts() override {}

  std::set<int> attached;
  std::set<int> instructions;  // first bytes of what is probed
  std::set<std::uint32_t> known;
  std::uint32_t handed = 0;

 private:
  int last_ = 0;
};

constexpr const char* kPython = "/usr/bin/python3";
constexpr const char* kScript = "import sys, _queue; print('.', end='', flush=True); sys.stdin.readline()";

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

 private:
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
};

TEST(PythonProbes, SitOnReturnInstructionsAndEndWithTheProcess) {
  const std::string check =
      std::string(kPython) + " -c 'import sys; sys.exit(not (3, 8) <= sys.version_info < (3, 14))' 2>/dev/null";
  if (std::system(check.c_str()) != 0) GTEST_SKIP() << "no python3 of 3.8 to 3.13";
  const Interpreter python;
  ASSERT_TRUE(python.ready());
  FakeKernel kernel;
  Counters counters;
  PythonProbes probes(kernel, counters, {});
  LazyMaps maps(python.pid());
  probes.found(python.pid(), BootTime{1'000'000'000'000}, maps);
  ASSERT_EQ(probes.describe().size(), 1U);
  if (kernel.known.empty()) GTEST_SKIP() << probes.describe()[0];
  EXPECT_TRUE(kernel.instructions.contains(0xc3));
  EXPECT_FALSE(kernel.attached.empty());
  const std::size_t all = kernel.attached.size();
  const auto after = [&](std::int64_t seconds) { probes.sweep(BootTime{1'000'000'000'000} + seconds * 1'000'000'000); };
  after(1);
  after(2);
  EXPECT_EQ(kernel.attached.size(), all);
  EXPECT_TRUE(probes.take_watched().empty());
  if (all == 3) {  // births, and both ends of queues
    kernel.handed = 30'000;
    after(3);
    EXPECT_EQ(kernel.attached.size(), 1U) << "too much goes through its queues";
    EXPECT_EQ(probes.take_watched().at(0).role, event::Handover::Role::kUnwatched);
    after(62);
    EXPECT_EQ(kernel.attached.size(), 1U);
    after(64);
    EXPECT_EQ(kernel.attached.size(), 3U);
    EXPECT_EQ(probes.take_watched().at(0).role, event::Handover::Role::kWatched);
    probes.follow_errands(false);
    after(66);
    EXPECT_EQ(kernel.attached.size(), 1U);
    probes.follow_errands(true);
    after(68);
    EXPECT_EQ(kernel.attached.size(), 3U);
  }
  probes.exited(python.pid());
  EXPECT_TRUE(kernel.attached.empty());
  EXPECT_TRUE(kernel.known.empty());
}

}  // namespace
}  // namespace wirespan
