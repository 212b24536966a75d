#include "agent/commands/governed.h"

#include <unistd.h>

#include <memory>

#include "agent/commands/settings.h"
#include "agent/governor/governor.h"
#include "agent/governor/usage.h"

namespace wirespan {
namespace {

GovernorOptions governor_options(const Config& config) {
  GovernorOptions options;
  options.budgets.cpu_cores = config.governor.cpu * static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  options.budgets.memory = static_cast<std::uint64_t>(config.governor.memory);
  options.budgets.export_bytes_per_second = static_cast<double>(config.governor.network);
  options.period_seconds = std::chrono::duration<double>(config.governor.period).count();
  const Following follow = kernel_options(config).follow;
  options.wakeups = follow.tokio || follow.continuations || follow.wakeups;
  return options;
}

}  // namespace

std::function<void()> govern(const Config& config, bool daemon, KernelSource& source, Counters& counters,
                             const std::function<void(const std::string&)>& say) {
  if (config.governor.mode == "off" || (config.governor.mode == "auto" && !daemon)) return {};
  struct State {
    UsageMeter meter;
    Governor governor;
  };
  auto state = std::make_shared<State>(State{UsageMeter(counters), Governor(governor_options(config), counters)});
  const auto period = std::chrono::nanoseconds(config.governor.period).count();
  return [state, &source, say, period] {
    if (!state->governor.judge(state->meter.sample())) return;
    const Rung& rung = state->governor.rung();
    source.set_limits({rung.share, period, rung.capture_bytes, rung.wakeups});
    say("wirespan: governor: " + state->governor.why());
  };
}

}  // namespace wirespan
