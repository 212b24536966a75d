// What trace, run and replay share: a source, the pipeline and the exporters, from `ready` to the last span.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/capture/source.h"
#include "agent/pipeline.h"
#include "base/counters.h"
#include "base/result.h"
#include "exporters/console/console.h"
#include "exporters/otlp/options.h"
#include "exporters/queue/export_queue.h"

namespace wirespan {

struct ExportOptions {
  std::string json_file;  // "" none, "-" stdout
  std::optional<OtlpOptions> otlp;
  std::optional<ConsoleOptions> console;
  QueueOptions queue;
  FlushLimits at_end{};
};

// Every exporter asked for, with its files open; threads start when they are given to a queue.
[[nodiscard]] Result<std::vector<std::unique_ptr<Exporter>>> open_exporters(const ExportOptions& options,
                                                                            Counters& counters, const Say& say);

// Signals and deadlines, on a thread of their own: SIGINT and SIGTERM end, SIGUSR1 reports, SIGHUP reloads. Must exist
// before any other thread is started, so that all of them leave these signals to it.
class Supervisor {
 public:
  struct Hooks {
    std::function<void()> report;               // SIGUSR1
    std::function<void()> hurry;                // SIGINT or SIGTERM once more: what still waits is given up
    std::function<void()> reload;               // SIGHUP
    std::chrono::milliseconds report_every{0};  // 0: only when asked
    std::function<void()> round;                // about every 50 ms
  };
  Supervisor();
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Ends shortly after this child has ended. Before start().
  void watch(int child);
  // From now on signals are obeyed; asks to stop after `limit`. For as long as what is returned lives: no hook runs, or
  // is running, once it is gone, so it must go before what they use.
  class Running {
   public:
    explicit Running(Supervisor& supervisor) : supervisor_(supervisor) {}
    ~Running() { supervisor_.end(); }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Supervisor& supervisor_;
  };
  [[nodiscard]] Running start(Hooks hooks, std::optional<std::chrono::milliseconds> limit);
  [[nodiscard]] const std::atomic<bool>& stop() const;
  void request_stop();
  // Exit status of the child as a shell would say it, once it has ended.
  [[nodiscard]] std::optional<int> child_status() const;

 private:
  void end();

  struct State;
  std::unique_ptr<State> state_;
};

// The process's own CPU time and memory, as counters.
void measure_self(Counters& counters);
// Counters and the process's own CPU time and memory, a line each: "name value".
[[nodiscard]] std::string report(Counters& counters);

}  // namespace wirespan
