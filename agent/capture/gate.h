// Sampling in the kernel by windows: opens and shuts the gate of bpf/core/gate.h at the right moments, and reads what
// the kernel counted behind it. Windows are aligned to wall time, so that hosts whose clocks agree see the same
// requests; a smaller share's windows lie within a larger one's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "agent/capture/bpf_object.h"
#include "agent/capture/kernel_maps.h"
#include "base/clock.h"
#include "base/counters.h"
#include "model/event.h"
#include "model/sink.h"

namespace wirespan {

// How much of what happens is told.
struct CaptureLimits {
  double share = 1;                          // of time in which windows are open; 0: only counters
  std::int64_t period_ns = 10'000'000'000;   // from window to window
  std::uint32_t capture_bytes = 0xffffffff;  // upper limit of what is copied of a turn
  bool wakeups = true;                       // and Go's channels
  bool operator==(const CaptureLimits&) const = default;
};

// Whether a window is open at this wall time, and for how long that holds (ns).
struct WindowState {
  bool open = true;
  std::int64_t left_ns = 0;
};
[[nodiscard]] WindowState window_at(const CaptureLimits& limits, WallTime now);

// One thread.
class Gate {
 public:
  Gate(BpfObject& object, Counters& counters);

  void set_limits(const CaptureLimits& limits);
  [[nodiscard]] bool open() const { return open_; }
  // True if the gate is not as it should be now: then turn().
  [[nodiscard]] bool due(WallTime now) const;
  // At most so long may pass until turn() is asked for again.
  [[nodiscard]] std::int64_t left_ns(WallTime now) const;
  // The kernel side stops telling at once; what it had begun to tell is in the ring within a moment. Then `drain`, and
  // Window{shut} is told.
  void shut(BootTime now, Sink<Event>& sink, const std::function<void()>& drain);
  // Window{open}, and every request that was read before and is not answered yet.
  void open(BootTime now, Sink<Event>& sink);
  // What was counted since the last time. `gone`: only of this process, which has exited; 0: of all.
  void tell_counted(BootTime now, std::uint32_t gone, Sink<Event>& sink);

 private:
  [[nodiscard]] std::vector<event::Unanswered> unanswered(BootTime now) const;
  bool tell(BootTime now, const ws_turns_key& key, Sink<Event>& sink);

  BpfObject& object_;
  BpfObject::GateMemory memory_;
  KernelMaps& maps_;
  bool one_by_one_;  // a look at many connections at once hides events here (docs/adr/0014)
  CaptureLimits limits_;
  bool open_ = true;
  double open_share_ = 1;  // of the window that is open
  bool counted_ = false;   // the gate has been shut at least once
  std::map<std::pair<std::uint32_t, std::uint32_t>, ws_turns> told_;
  Counter& windows_;
  Counter& open_gauge_;
  Counter& share_ppm_;
  Counter& sampled_out_;
  Counter& calls_sampled_out_;
};

}  // namespace wirespan
