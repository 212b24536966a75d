// Offline inference over a file of spans, through the code the agent runs.
#pragma once

#include <string>

#include "base/counters.h"
#include "base/result.h"
#include "correlator/inference/inference.h"

namespace wirespan::inference {

// Reads IN (see span_file.h), writes one line per client span: span_id, parent_span_id, confidence, candidates.
[[nodiscard]] Status correlate_file(const std::string& in, const std::string& out, const Options& options,
                                    Counters& counters);

}  // namespace wirespan::inference
