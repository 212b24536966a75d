// Whether Actor::loop says anything.
#pragma once

#include <cstdint>

#include "model/event.h"

namespace wirespan {

// Actor::loop where nobody counted: proves nothing, not even two of the same.
constexpr std::uint32_t kTurnUnknown = ~std::uint32_t{0};

[[nodiscard]] constexpr bool turn_known(const Actor& actor) {
  return actor.loop != kTurnUnknown;
}

}  // namespace wirespan
