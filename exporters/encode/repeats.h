// Where in the batch being written a connection's shared attributes stand already, so that the next span on it copies
// bytes instead of encoding again. A small table that forgets: what it does not know is written once more.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/hash.h"
#include "model/attributes.h"

namespace wirespan {

class Repeats {
 public:
  struct Place {
    const Attributes* what = nullptr;
    std::size_t at = 0;
    std::size_t size = 0;
  };

  void clear() { places_.fill({}); }
  // The place kept for `what`; its own when `what` is set there.
  [[nodiscard]] Place& place(const Attributes& what) {
    // NOLINTNEXTLINE(*-reinterpret-cast): an address as a key
    return places_[mix64(reinterpret_cast<std::uintptr_t>(&what)) % places_.size()];
  }

 private:
  std::array<Place, 512> places_{};
};

}  // namespace wirespan
