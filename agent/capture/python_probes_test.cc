// Probes of a real interpreter, without a kernel side. Leaves itself out where there is no python3 of 3.8 to 3.13.
#include "agent/capture/python_probes.h"

#include <gtest/gtest.h>

#include "agent/capture/testing/fake_runtime_kernel.h"
#include "agent/capture/testing/interpreter.h"

namespace wirespan {
namespace {

using testing::FakeRuntimeKernel;
using testing::Interpreter;

TEST(PythonProbes, SitOnReturnInstructionsAndEndWithTheProcess) {
  if (!Interpreter::installed()) GTEST_SKIP() << "no python3 of 3.8 to 3.13";
  const Interpreter python("import _queue");
  ASSERT_TRUE(python.ready());
  FakeRuntimeKernel kernel;
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
