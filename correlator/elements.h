// What elements under way through Go's channels were first sent for. Who only passes them on need not be known to work
// for anybody: dispatchers, which have another in hand by then, and whom they begin for each.
#pragma once

#include <cstdint>

#include "base/generations.h"
#include "correlator/evidence/evidence.h"

namespace wirespan {

// One process.
class Elements {
 public:
  // What it is sent for; `work` is what its sender works for as far as is known, 0: nothing. `own`: and not by way of a
  // channel.
  [[nodiscard]] std::uint64_t sent(std::uint64_t element, std::uint64_t work, bool own, const World& world);
  void clear() { firsts_.clear(); }

 private:
  struct First {
    std::uint64_t work = 0;
    bool own = false;
    bool shared = false;
  };
  Generations<std::uint64_t, First> firsts_;  // by what tells elements apart (event::Handover)
};

}  // namespace wirespan
