// Puts the spans of a trace in the order a tree is drawn in. Parents may be missing, doubled or in a circle.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/console/trace_book.h"

namespace wirespan {

struct TreeGlyphs {
  std::string_view tee;     // "├ "
  std::string_view corner;  // "└ "
  std::string_view pipe;    // "│ "
  std::string_view blank;   // "  "
  std::string_view deep;    // in place of the levels that do not fit
};

struct TreeRow {
  const ShownSpan* span = nullptr;
  std::string prefix;  // branches before its name
  std::string below;   // the same for a line below it
  bool parent_missing = false;
  bool leaf = true;
};

// Every span once; siblings by start. Iterative: a chain of thousands of spans is somebody's real trace.
[[nodiscard]] std::vector<TreeRow> tree_rows(const ShownTrace& trace, const TreeGlyphs& glyphs, std::size_t max_depth);

}  // namespace wirespan
