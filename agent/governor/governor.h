// Keeps the agent within its budgets: steps down one rung at a time when over, up again with hysteresis. Decides only;
// measuring is UsageMeter's, obeying capture's. No clock: time is the usage's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/governor/usage.h"
#include "base/counters.h"

namespace wirespan {

struct Budgets {
  double cpu_cores = 0.04;
  std::uint64_t memory = 50'000'000;  // bytes, resident, and maps that are not
  double export_bytes_per_second = 5'000'000;
};

// What is given up on a rung, and on all below it.
struct Rung {
  std::string_view name;
  double share = 1;                          // of time in which requests are captured; 0: only counted
  std::uint32_t capture_bytes = 0xffffffff;  // of a turn
  bool wakeups = true;
};

struct GovernorOptions {
  Budgets budgets;
  double period_seconds = 10;  // of sampling windows
  bool wakeups = false;        // of threads, tasks and channels: they may be told, where there are such (Usage)
};

// One thread.
class Governor {
 public:
  Governor(const GovernorOptions& options, Counters& counters);

  // About every 50 ms. True: the rung has changed, and why() says why.
  bool judge(const Usage& usage);
  [[nodiscard]] const Rung& rung() const { return rungs_[at_]; }
  [[nodiscard]] std::size_t number() const { return at_; }
  [[nodiscard]] const std::vector<Rung>& rungs() const { return rungs_; }
  // "cpu 0.091 of 0.040 cores: down to rung 3, half: ..."
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  enum class Reason : std::uint8_t { kNone, kCpu, kMemory, kExport, kRing };
  // What a second costs with the windows open, and shut. Old samples fade.
  struct Rate {
    double cost = 0;
    double seconds = 0;
    void add(double more_cost, double more_seconds, double half_life);
    [[nodiscard]] bool known() const { return seconds > 0.05; }
    [[nodiscard]] double value() const { return known() ? cost / seconds : 0; }
  };

  void measure(const Usage& usage);
  [[nodiscard]] double cpu_at(std::size_t rung) const;
  [[nodiscard]] Reason over() const;
  [[nodiscard]] bool room_above() const;
  // The next rung on which something is given up that there is.
  [[nodiscard]] std::size_t below() const;
  [[nodiscard]] std::size_t above() const;
  void step(std::size_t to, Reason reason);

  GovernorOptions options_;
  std::vector<Rung> rungs_;
  std::size_t at_ = 0;
  std::string why_;
  Rate open_;
  Rate shut_;
  std::size_t wakeups_at_ = 0;  // the rung that gives up nothing else; 0: none
  bool wakeups_ = false;        // there are such
  double since_open_ = 0;       // seconds
  double now_ = 0;              // seconds of all usage so far
  double next_look_ = 0;
  double not_before_ = 0;  // of the next step
  double under_since_ = -1;
  double stepped_up_ = -1e9;
  double hold_;
  Reason down_for_ = Reason::kNone;  // the last step down
  int over_looks_ = 0;
  Rate export_;
  std::uint64_t memory_ = 0;
  std::uint64_t ring_permille_ = 0;  // since the last look
  std::uint64_t lost_ = 0;
  std::vector<Counter*> down_;
  Counter& up_;
  Counter& rung_;
  Counter& cpu_millicores_;
  Counter& cannot_;
};

}  // namespace wirespan
