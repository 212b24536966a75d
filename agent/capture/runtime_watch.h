// What follows one sort of runtime in the processes that are traced: Go, Python, Java, Node.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/event.h"

namespace wirespan {

// One thread.
class RuntimeWatch {
 public:
  virtual ~RuntimeWatch() = default;

  // A traced process, at first sight and after each exec.
  virtual void found(std::uint32_t pid, BootTime now) = 0;
  virtual void exited(std::uint32_t pid) = 0;
  // About ten times a second: most of what is looked for is there some time after a process began.
  virtual void sweep(BootTime now) = 0;

  // One line for each process or executable of this sort: what is known of it, or why nothing is.
  [[nodiscard]] virtual std::vector<std::string> describe() const = 0;
};

}  // namespace wirespan
