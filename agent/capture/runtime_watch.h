// What follows one sort of runtime in the processes that are traced: Go, Python, Java, Node, tokio.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/capture/proc_maps.h"
#include "base/clock.h"
#include "model/event.h"

namespace wirespan {

// One thread.
class RuntimeWatch {
 public:
  // Probing one process costs the kernel a look at all that run the same file. So this many of a runtime are probed as
  // soon as they are found, and more only when they are used.
  static constexpr std::size_t kProbedUnused = 64;

  virtual ~RuntimeWatch() = default;

  // A traced process, at first sight and after each exec.
  virtual void found(std::uint32_t pid, BootTime now, LazyMaps& maps) = 0;
  virtual void exited(std::uint32_t pid) = 0;
  // It has a connection it did not have before.
  virtual void used(std::uint32_t /*pid*/) {}
  // About ten times a second: most of what is looked for is there some time after a process began.
  virtual void sweep(BootTime now) = 0;
  // What it waits for is there: it is to be swept at once.
  [[nodiscard]] virtual bool in_a_hurry(BootTime /*now*/) const { return false; }

  // One line for each process or executable of this sort: what is known of it, or why nothing is.
  [[nodiscard]] virtual std::vector<std::string> describe() const = 0;
};

}  // namespace wirespan
