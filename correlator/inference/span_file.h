// The neutral span form of ../shared/data/inference: one JSON object a line, optionally gzip-compressed. A parser for
// this form only (flat objects of strings, integers and null), because a general one takes longer than the inference.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wirespan::inference {

struct FileSpan {
  std::string_view id;
  std::string_view service;
  std::string_view instance;
  std::string_view op;
  std::string_view peer_service;  // "" when unknown
  std::string_view wire_id;       // "" when not captured
  std::string_view io;            // "" when not a store call
  std::string_view conn;
  std::int64_t start_us = 0;
  std::int64_t end_us = 0;
  std::int64_t tid_start = -1;
  std::int64_t tid_end = -1;
  bool client = false;
};

struct SpanFile {
  std::vector<std::string> blocks;  // what the views point into
  std::vector<FileSpan> spans;
};

// Unknown fields are skipped, and trace_id and true_parent_span_id are never looked at. Errors name the line.
[[nodiscard]] Result<SpanFile> read_span_file(const std::string& path);

}  // namespace wirespan::inference
