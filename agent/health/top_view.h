// What `wirespan top` shows: the difference of two snapshots, as lines of text.
#pragma once

#include <string>

#include "agent/health/snapshot.h"

namespace wirespan {

struct TopOptions {
  std::size_t width = 120;
  std::size_t rows = 40;
  bool colour = false;
};

// `before` may be empty: then everything since the start.
[[nodiscard]] std::string top_view(const HealthSnapshot& before, const HealthSnapshot& now, const TopOptions& options);

}  // namespace wirespan
