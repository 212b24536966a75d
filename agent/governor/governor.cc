#include "agent/governor/governor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace wirespan {
namespace {

constexpr double kLookEvery = 1;      // seconds
constexpr int kLooksOver = 2;         // in a row, before a step down
constexpr double kSettle = 2;         // after a step, before the next
constexpr double kMemorySettle = 10;  // memory is given back slowly
// Export and its encoding lag behind the window they come from.
constexpr double kAfterWindow = 0.3;
constexpr double kHalfLife = 3;
// Room there must be on the rung above, and how long, before it is tried. Twice as long after each try that failed.
constexpr double kRoom = 0.75;
constexpr double kHold = 10;
constexpr double kLongestHold = 320;
constexpr double kFailedWithin = 30;
// Of the steps that do not sample it is not known beforehand what they save.
constexpr double kGuessedGain = 0.6;
constexpr std::uint64_t kRingHigh = 500;
constexpr double kMemoryRoom = 0.9;

constexpr std::array<const char*, 5> kReasons{"none", "cpu", "memory", "export", "ring"};

}  // namespace

void Governor::Rate::add(double more_cost, double more_seconds, double half_life) {
  const double keep = std::exp2(-more_seconds / half_life);
  cost = cost * keep + more_cost;
  seconds = seconds * keep + more_seconds;
}

Governor::Governor(const GovernorOptions& options, Counters& counters)
    : options_(options),
      hold_(kHold),
      up_(counters.get("governor.steps.up")),
      rung_(counters.get("governor.rung")),
      cpu_millicores_(counters.get("governor.cpu_millicores")),
      cannot_(counters.get("governor.over_budget_at_last_rung")) {
  rungs_.push_back({"everything"});
  rungs_.push_back({"less payload", 1, 256});
  if (options.wakeups) {
    wakeups_at_ = rungs_.size();
    rungs_.push_back({"no wake-ups", 1, 256, false});
  }
  rungs_.push_back({"one half sampled", 1.0 / 2, 256, false});
  rungs_.push_back({"one quarter sampled", 1.0 / 4, 256, false});
  rungs_.push_back({"one eighth sampled", 1.0 / 8, 256, false});
  rungs_.push_back({"one 16th sampled", 1.0 / 16, 256, false});
  rungs_.push_back({"one 64th sampled", 1.0 / 64, 256, false});
  rungs_.push_back({"only counters", 0, 256, false});
  for (const char* reason : kReasons) {
    down_.push_back(reason == kReasons[0] ? nullptr : &counters.get(std::string("governor.steps.down.") + reason));
  }
}

void Governor::measure(const Usage& usage) {
  now_ += usage.seconds;
  since_open_ = usage.window_open ? 0 : since_open_ + usage.seconds;
  if (usage.window_open) {
    // At most a window: what an earlier one cost is long ago.
    open_.add(usage.cpu_seconds, usage.seconds,
              std::clamp(rungs_[at_].share * options_.period_seconds, 0.1, kHalfLife));
  } else if (since_open_ <= kAfterWindow) {
    open_.cost += usage.cpu_seconds;
  } else {
    shut_.add(usage.cpu_seconds, usage.seconds, kHalfLife);
  }
  export_.add(static_cast<double>(usage.exported), usage.seconds, options_.period_seconds);
  memory_ = usage.memory;
  wakeups_ = usage.wakeups;
  ring_permille_ = std::max(ring_permille_, usage.ring_permille);
  lost_ += usage.lost;
}

double Governor::cpu_at(std::size_t rung) const {
  const double share = rungs_[rung].share;
  const double open = open_.value();
  const double shut = shut_.known() ? shut_.value() : open / 4;
  // The rungs that do not sample show what they cost only while they hold.
  double factor = 1;
  for (std::size_t i = rung; i < at_; ++i) {
    if (rungs_[i + 1].share == 1 && (i + 1 != wakeups_at_ || wakeups_)) factor /= kGuessedGain;
  }
  return (share * open + (1 - share) * shut) * factor;
}

std::size_t Governor::below() const {
  return at_ + 1 == wakeups_at_ && !wakeups_ ? at_ + 2 : at_ + 1;
}

std::size_t Governor::above() const {
  return at_ == wakeups_at_ + 1 && wakeups_at_ != 0 && !wakeups_ ? at_ - 2 : at_ - 1;
}

Governor::Reason Governor::over() const {
  if (ring_permille_ >= kRingHigh || lost_ > 0) return Reason::kRing;
  if (cpu_at(at_) > options_.budgets.cpu_cores) return Reason::kCpu;
  if (export_.value() > options_.budgets.export_bytes_per_second) return Reason::kExport;
  if (memory_ > options_.budgets.memory) return Reason::kMemory;
  return Reason::kNone;
}

bool Governor::room_above() const {
  if (at_ == 0) return false;
  const double growth = rungs_[at_].share > 0 ? rungs_[above()].share / rungs_[at_].share : 1;
  // From counters alone nothing is known of what capturing would cost now: it is tried now and then.
  const bool blind = rungs_[at_].share == 0;
  return (blind || cpu_at(above()) < kRoom * options_.budgets.cpu_cores) &&
         export_.value() * growth < kRoom * options_.budgets.export_bytes_per_second &&
         static_cast<double>(memory_) <
             (down_for_ == Reason::kMemory ? kMemoryRoom : 1) * static_cast<double>(options_.budgets.memory);
}

bool Governor::judge(const Usage& usage) {
  measure(usage);
  if (now_ < next_look_) return false;
  next_look_ = now_ + kLookEvery;
  cpu_millicores_.set(static_cast<std::uint64_t>(cpu_at(at_) * 1000));
  const Reason reason = over();
  ring_permille_ = lost_ = 0;
  over_looks_ = reason == Reason::kNone ? 0 : over_looks_ + 1;
  if (reason != Reason::kNone) {
    under_since_ = -1;
    // What has been lost is lost: the ring does not wait for a second look.
    if (now_ < not_before_ || (over_looks_ < kLooksOver && reason != Reason::kRing)) return false;
    if (at_ + 1 == rungs_.size()) {
      cannot_.add();
      return false;
    }
    if (now_ - stepped_up_ < kFailedWithin) hold_ = std::min(hold_ * 2, kLongestHold);
    step(below(), reason);
    return true;
  }
  if (!room_above()) {
    under_since_ = -1;
    return false;
  }
  if (under_since_ < 0) under_since_ = now_;
  const double hold = rungs_[at_].share == 0 ? std::max(hold_, 3 * kHold) : hold_;
  if (now_ - under_since_ < hold || now_ < not_before_) return false;
  if (now_ - stepped_up_ > 2 * kLongestHold) hold_ = kHold;
  step(above(), Reason::kNone);
  stepped_up_ = now_;
  return true;
}

void Governor::step(std::size_t to, Reason reason) {
  std::array<char, 200> line{};
  const auto mb = [](double bytes) { return bytes / 1e6; };
  std::snprintf(line.data(), line.size(),
                "cpu %.3f of %.3f cores, memory %.1f of %.1f MB, export %.2f of %.2f MB/s%s: %s to rung %zu of %zu, ",
                cpu_at(at_), options_.budgets.cpu_cores, mb(static_cast<double>(memory_)),
                mb(static_cast<double>(options_.budgets.memory)), mb(export_.value()),
                mb(options_.budgets.export_bytes_per_second), reason == Reason::kRing ? ", the ring buffer fills" : "",
                to > at_ ? "down" : "up", to, rungs_.size() - 1);
  why_ = std::string(line.data()) + std::string(rungs_[to].name);
  if (reason != Reason::kNone) down_for_ = reason;
  (reason == Reason::kNone ? up_ : *down_[static_cast<std::size_t>(reason)]).add();
  // Rungs that change what a captured second costs begin a new measurement, and so does the first window after a time
  // of counters only; sampling more or less does not change it.
  if (rungs_[to].share == 1 || rungs_[at_].share == 0) open_ = {};
  at_ = to;
  rung_.set(at_);
  over_looks_ = 0;
  under_since_ = -1;
  not_before_ = now_ + (reason == Reason::kMemory ? kMemorySettle : kSettle);
  // A window has to come before it is known what one costs now.
  if (reason == Reason::kNone && rungs_[at_].share < 1) not_before_ = now_ + options_.period_seconds + kSettle;
}

}  // namespace wirespan
