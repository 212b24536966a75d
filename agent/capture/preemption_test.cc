#include "agent/capture/preemption.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

struct Case {
  const char* name;
  PreemptionFacts facts;
  bool preempted;
};

class Preemption : public ::testing::TestWithParam<Case> {};

TEST_P(Preemption, IsFoundOut) {
  EXPECT_EQ(!why_preempted(GetParam().facts).empty(), GetParam().preempted) << why_preempted(GetParam().facts);
}

constexpr const char* kVoluntary = "\n# CONFIG_PREEMPT_NONE is not set\nCONFIG_PREEMPT_VOLUNTARY=y\n";

INSTANTIATE_TEST_SUITE_P(
    Kernels, Preemption,
    ::testing::Values(
        Case{"Debian11", {"5.10.0-46-cloud-amd64", "#1 SMP Debian 5.10.262-1", "", "", ""}, false},
        Case{"OldWithPreempt", {"5.10.0-arch1", "#1 SMP PREEMPT Mon", "", "", ""}, false},
        Case{"Ubuntu2204", {"5.15.0-91-generic", "#101-Ubuntu SMP Tue Nov 14", "", "", ""}, false},
        Case{"Lowlatency", {"5.15.0-91-lowlatency", "#101-Ubuntu SMP PREEMPT Tue", "", "", ""}, true},
        Case{"RealTime", {"5.10.0-rt", "#1 SMP PREEMPT_RT Debian", "", "", ""}, true},
        Case{"SaidByTheKernel",
             {"6.1.0-13-amd64", "#1 SMP PREEMPT_DYNAMIC", "none voluntary (full) \n", "", kVoluntary},
             true},
        Case{"SaidToBeGentle",
             {"6.1.0-13-amd64", "#1 SMP PREEMPT_DYNAMIC", "none (voluntary) full \n", "preempt=full", ""},
             false},
        Case{"LastWordCounts",
             {"6.1.0-13-amd64", "#1 SMP PREEMPT_DYNAMIC", "", "quiet preempt=none preempt=full\n", kVoluntary},
             true},
        Case{"AskedForNone", {"6.1.0-13-amd64", "#1 SMP PREEMPT_DYNAMIC", "", "preempt=none quiet\n", ""}, false},
        Case{"NotThatWord", {"6.1.0-13-amd64", "#1 SMP PREEMPT_DYNAMIC", "", "rcu.preempt=none", ""}, true},
        Case{"ByItsConfig", {"6.1.0-13-amd64", "#1 SMP PREEMPT_DYNAMIC", "", "quiet\n", kVoluntary}, false},
        Case{"FullByItsConfig", {"6.1.0-arch1", "#1 SMP PREEMPT_DYNAMIC", "", "quiet\n", "\nCONFIG_PREEMPT=y\n"}, true},
        Case{"NothingTells", {"6.1.0-13-amd64", "#1 SMP PREEMPT_DYNAMIC", "", "quiet\n", "\n"}, true},
        Case{"Lazy", {"6.18.15", "#1 SMP PREEMPT_DYNAMIC", "full (lazy)\n", "", ""}, true},
        Case{"Seven", {"7.2.12", "#1 SMP PREEMPT_DYNAMIC", "full (lazy)\n", "", ""}, true},
        Case{"NotAKernel", {"", "", "", "", ""}, false}),
    [](const auto& p) { return std::string(p.param.name); });

TEST(KernelVersion, IsRead) {
  EXPECT_EQ(kernel_version("6.1.0-13-amd64"), 6'001U);
  EXPECT_EQ(kernel_version("7.0-rc1"), 7'000U);
  EXPECT_EQ(kernel_version("5"), 0U);
  EXPECT_EQ(kernel_version("5."), 0U);
  EXPECT_EQ(kernel_version("linux"), 0U);
  EXPECT_EQ(kernel_version(""), 0U);
}

}  // namespace
}  // namespace wirespan
