#include "agent/governor/governor.h"

#include <gmock/gmock.h>

#include <cmath>

namespace wirespan {
namespace {

// A host whose requests cost the agent what they cost: `open_cores` while a window is open, `shut_cores` while not.
class Host {
 public:
  explicit Host(GovernorOptions options) : governor(options, counters), period_(options.period_seconds) {}

  void run(double seconds) {
    constexpr double kRound = 0.05;
    for (double until = now_ + seconds; now_ < until; now_ += kRound) {
      const double share = governor.rung().share;
      Usage usage;
      usage.window_open = share >= 1 || std::fmod(now_, period_) < share * period_;
      usage.seconds = kRound;
      usage.cpu_seconds = (usage.window_open ? open_cores : shut_cores) * kRound;
      usage.memory = memory;
      usage.exported = usage.window_open ? static_cast<std::uint64_t>(export_rate * kRound) : 0;
      usage.ring_permille = ring_permille;
      usage.lost = lost;
      usage.wakeups = wakeups;
      lost = 0;
      if (governor.judge(usage)) {
        ++steps;
        last_why = governor.why();
      }
    }
  }
  [[nodiscard]] double cost() const {
    const double share = governor.rung().share;
    return share * open_cores + (1 - share) * shut_cores;
  }

  Counters counters;
  Governor governor;
  double open_cores = 0.001;
  double shut_cores = 0.001;
  double export_rate = 0;
  std::uint64_t memory = 30'000'000;
  std::uint64_t ring_permille = 0;
  std::uint64_t lost = 0;
  bool wakeups = false;
  int steps = 0;
  std::string last_why;

 private:
  double now_ = 0;
  double period_;
};

TEST(Governor, LeavesAnAgentWithinItsBudgetsAlone) {
  Host host({});
  host.run(120);
  EXPECT_EQ(host.steps, 0);
  EXPECT_EQ(host.governor.rung().share, 1);
}

TEST(Governor, MemoryThatFitsKeepsNobodyDownWhoSteppedDownForSomethingElse) {
  Host host({});
  host.memory = 48'000'000;
  host.open_cores = 0.2;
  host.run(5);
  EXPECT_GT(host.governor.number(), 0U);
  host.open_cores = 0.001;
  host.run(600);
  EXPECT_EQ(host.governor.number(), 0U);
}

TEST(Governor, StepsDownOneRungAtATimeUntilTheCostFits) {
  Host host({});
  host.open_cores = 0.2;
  host.shut_cores = 0.01;
  std::size_t before = 0;
  for (int second = 0; second < 60; ++second) {
    host.run(1);
    EXPECT_LE(host.governor.number(), before + 1);
    before = host.governor.number();
  }
  EXPECT_LE(host.cost(), 0.04);
  EXPECT_GE(host.governor.rung().share, 1.0 / 16) << "no further down than needed";
  EXPECT_THAT(host.last_why, testing::HasSubstr("down to rung"));
  EXPECT_EQ(host.counters.get("governor.steps.down.cpu").value(), static_cast<unsigned>(host.steps));
}

TEST(Governor, StaysWhereItFitsInsteadOfSwinging) {
  Host host({});
  host.open_cores = 0.2;
  host.shut_cores = 0.01;
  host.run(60);
  const int steps = host.steps;
  host.run(600);
  EXPECT_EQ(host.steps, steps);
}

TEST(Governor, ComesBackWhenTheLoadIsGone) {
  Host host({});
  host.open_cores = 0.3;
  host.shut_cores = 0.02;
  host.run(60);
  ASSERT_LT(host.governor.rung().share, 1);
  host.open_cores = host.shut_cores = 0.002;
  host.run(300);
  EXPECT_EQ(host.governor.number(), 0U);
  EXPECT_THAT(host.last_why, testing::HasSubstr("up to rung 0"));
}

TEST(Governor, EndsWithCountersOnlyAndSaysIfEvenThatIsTooMuch) {
  Host host({});
  host.open_cores = 5;
  host.shut_cores = 0.5;
  host.run(60);
  EXPECT_EQ(host.governor.rung().share, 0);
  EXPECT_GT(host.counters.get("governor.over_budget_at_last_rung").value(), 0U);
  host.open_cores = host.shut_cores = 0.001;
  host.run(600);
  EXPECT_EQ(host.governor.number(), 0U);
}

TEST(Governor, AFullRingIsEnoughAtOnce) {
  Host host({});
  host.run(5);
  host.lost = 1;
  host.run(1.1);
  EXPECT_EQ(host.governor.number(), 1U);
  EXPECT_EQ(host.counters.get("governor.steps.down.ring").value(), 1U);
}

TEST(Governor, MemoryAndExportHaveBudgetsToo) {
  Host memory({});
  memory.memory = 60'000'000;
  memory.run(30);
  EXPECT_GT(memory.counters.get("governor.steps.down.memory").value(), 0U);

  Host exports({});
  exports.export_rate = 20e6;
  exports.run(120);
  EXPECT_GT(exports.counters.get("governor.steps.down.export").value(), 0U);
  EXPECT_LE(exports.governor.rung().share, 0.25);
}

TEST(Governor, ATryThatFailedIsRepeatedLessAndLessOften) {
  Host host({});
  host.open_cores = 0.2;
  host.shut_cores = 0.001;
  host.run(60);
  const int before = host.steps;
  // Looks as if a rung above fitted while nothing happens in windows; it never does when tried.
  for (int i = 0; i < 60; ++i) {
    host.open_cores = host.steps % 2 == before % 2 ? 0.01 : 0.9;
    host.run(10);
  }
  EXPECT_LT(host.steps - before, 20);
}

TEST(Governor, WakeUpsAreGivenUpOnlyWhereThereAreSome) {
  Counters counters;
  GovernorOptions options;
  const Governor without(options, counters);
  options.wakeups = true;
  const Governor with(options, counters);
  EXPECT_EQ(with.rungs().size(), without.rungs().size() + 1);
}

TEST(Governor, ItIsNoStepToGiveUpWakeUpsOfTasksThatNobodyHas) {
  GovernorOptions options;
  options.wakeups = true;
  for (const bool some : {false, true}) {
    Host host(options);
    host.wakeups = some;
    host.open_cores = 0.1;
    bool without = false;  // on the rung that gives up nothing else
    for (int i = 0; i < 40; ++i) {
      host.run(0.5);
      without = without || (host.governor.rung().share == 1 && !host.governor.rung().wakeups);
    }
    EXPECT_EQ(without, some);
    EXPECT_LT(host.governor.rung().share, 1);
    host.open_cores = 0.001;
    host.run(600);
    EXPECT_EQ(host.governor.number(), 0U);
  }
}

}  // namespace
}  // namespace wirespan
