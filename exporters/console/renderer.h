// One trace as lines: services, the tree of spans, bars on the trace's time axis, durations, status, doubtful links.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "exporters/console/trace_book.h"

namespace wirespan {

struct RenderOptions {
  std::size_t width = 120;  // columns
  bool colour = false;      // ANSI colours
  bool unicode = true;      // else ASCII
  std::size_t rows = 200;   // spans shown of one trace
};

// One thread. Keeps the colour of each service through the run.
class Renderer {
 public:
  // Appends lines, the last one blank.
  void render(const ShownTrace& trace, const RenderOptions& options, std::string& out);

 private:
  [[nodiscard]] std::string_view colour_of(const std::string& service);

  std::unordered_map<std::string, std::size_t> colours_;
};

}  // namespace wirespan
