// Uprobes on functions of this very program, by either way to attach them.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>

#include "agent/capture/bpf_object.h"

namespace wirespan {
namespace {

constexpr const char* kProgram = "node_begins";  // any: it counts, and does nothing with who is no target
constexpr const char* kThis = "/proc/self/exe";

volatile int calls = 0;
[[gnu::noinline]] void first() {
  calls = calls + 1;
}
[[gnu::noinline]] void second() {
  calls = calls + 2;
}

std::uint64_t offset_of(void (*function)()) {
  const auto address = reinterpret_cast<std::uintptr_t>(function);
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t offset = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &start, &end, &offset) != 3) continue;
    if (address >= start && address < end) return address - start + offset;
  }
  return 0;
}

class UprobesOf : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    if (GetParam() && !kernel_has_uprobe_multi()) GTEST_SKIP() << "this kernel has no links for many uprobes";
    counting_ = bpf_enable_stats(BPF_STATS_RUN_TIME);
    BpfSettings settings;
    settings.one_link = GetParam();
    const std::array<const char*, 1> programs{kProgram};
    auto loaded = BpfObject::load(settings, programs);
    ASSERT_TRUE(loaded) << loaded.error().text();
    bpf_ = std::move(*loaded);
  }
  void TearDown() override {
    if (counting_ >= 0) close(counting_);
  }

  std::uint64_t runs_of_two_calls() {
    const std::uint64_t before = runs();
    first();
    second();
    return runs() - before;
  }
  std::uint64_t runs() const {
    for (const auto& cost : bpf_->costs()) {
      if (cost.name == kProgram) return cost.runs;
    }
    return 0;
  }

  std::unique_ptr<BpfObject> bpf_;
  const std::array<std::uint64_t, 2> both_{offset_of(first), offset_of(second)};

 private:
  int counting_ = -1;
};

TEST_P(UprobesOf, AllProcessesAreHitWhereverTheyWereAskedFor) {
  const auto probes = bpf_->attach_uprobes(0, kProgram, kThis, both_);
  ASSERT_TRUE(probes) << probes.error().text();
  EXPECT_EQ(runs_of_two_calls(), 2U);
}

TEST_P(UprobesOf, OneProcessIsHitInAllOfItsThreadsAndNoOtherIs) {
  const pid_t other = fork();
  if (other == 0) {
    pause();
    _exit(0);
  }
  const auto elsewhere = bpf_->attach_uprobes(static_cast<std::uint32_t>(other), kProgram, kThis, both_);
  ASSERT_TRUE(elsewhere) << elsewhere.error().text();
  EXPECT_EQ(runs_of_two_calls(), 0U);
  const auto here = bpf_->attach_uprobes(static_cast<std::uint32_t>(getpid()), kProgram, kThis, both_);
  ASSERT_TRUE(here) << here.error().text();
  EXPECT_EQ(runs_of_two_calls(), 2U);
  const std::uint64_t before = runs();
  std::thread(first).join();
  EXPECT_EQ(runs() - before, 1U);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

TEST_P(UprobesOf, DetachedOnesEndSoonAndOthersStay) {
  const auto self = static_cast<std::uint32_t>(getpid());
  const auto one = bpf_->attach_uprobes(self, kProgram, kThis, std::span(both_).first(1));
  const auto two = bpf_->attach_uprobes(self, kProgram, kThis, std::span(both_).last(1));
  ASSERT_TRUE(one && two);
  bpf_->begin_detaching();
  bpf_->detach_uprobes(*one);
  bpf_->detach_uprobes(*one);  // known by now: nothing
  for (int i = 0; i < 1000 && runs_of_two_calls() != 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(runs_of_two_calls(), 1U);
  bpf_->detach_all();
  EXPECT_EQ(runs_of_two_calls(), 0U);
}

TEST_P(UprobesOf, OfWhoIsGoneAreRefused) {
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  waitpid(gone, nullptr, 0);
  const auto probes = bpf_->attach_uprobes(static_cast<std::uint32_t>(gone), kProgram, kThis, both_);
  ASSERT_FALSE(probes);
  EXPECT_EQ(probes.error().code, ESRCH);
}

INSTANTIATE_TEST_SUITE_P(Links, UprobesOf, ::testing::Values(true, false),
                         [](const auto& one) { return one.param ? "OneForAll" : "OneEach"; });

}  // namespace
}  // namespace wirespan
