// Of the tasks that is_context(): a context of Vert.x's, an object of the process which the agent has numbered.
#pragma once

#include <cstdint>

#include "model/event.h"

namespace wirespan {

inline constexpr std::uint64_t kObjectTask = std::uint64_t{1} << 62U;
constexpr bool is_object(std::uint64_t task) {
  return is_context(task) && (task & kObjectTask) != 0;
}

}  // namespace wirespan
