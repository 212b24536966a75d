// Events of live processes, from the BPF programs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/capture/bpf_object.h"
#include "agent/capture/gate.h"
#include "agent/capture/plan.h"
#include "agent/capture/selectors.h"
#include "agent/capture/source.h"
#include "base/counters.h"
#include "base/result.h"
#include "model/verdict.h"

namespace wirespan {

struct KernelOptions {
  Selectors selectors;
  std::uint32_t capture_bytes = 1024;    // first bytes of each turn
  std::uint32_t ring_bytes = 4U << 20U;  // rounded up to a power of two
  std::uint32_t max_connections = 131'072;
  std::optional<Plan> plan;  // nullopt: the first that works
  // Programs whose name ends so are tried first, "raw_tp": to compare ways to attach. "": best first.
  std::string prefer;
  Following follow{.by_perf = programs_are_preempted(),
                   .wakeups = true,
                   .goroutines = true,
                   .contexts = true,
                   .async_ids = true,
                   .errands = true,
                   .continuations = true,
                   .futures = true,
                   .tokio = true};
};

// open() attaches everything: from its return on nothing is missed, though it is delivered by run() only. Destruction
// detaches and frees all the kernel holds. run() and set() on one thread.
class KernelSource : public Source, public VerdictSink {
 public:
  [[nodiscard]] static Result<std::unique_ptr<KernelSource>> open(const KernelOptions& options, Counters& counters);

  // How much is told from now on. Any thread; obeyed within 50 ms.
  virtual void set_limits(const CaptureLimits& limits) = 0;

  // Name of the program attached for each hook, "receive: receive__raw_tp".
  [[nodiscard]] virtual std::vector<std::string> plan() const = 0;
  // What is known of each Go executable that runs, and of each Python, Java, Node and tokio process, or why nothing is.
  [[nodiscard]] virtual std::vector<std::string> runtimes() const = 0;
  // Processes traced now.
  [[nodiscard]] virtual std::size_t targets() const = 0;
  // Runs and time per program since start (time needs kernel.bpf_stats_enabled=1), and kernel memory of the maps.
  [[nodiscard]] virtual std::vector<BpfObject::ProgramCost> costs() const = 0;
  [[nodiscard]] virtual std::uint64_t map_bytes() const = 0;
};

}  // namespace wirespan
