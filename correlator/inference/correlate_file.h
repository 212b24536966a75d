// Offline inference over a file of spans, through the code the agent runs.
#pragma once

#include <string>

#include "base/counters.h"
#include "base/result.h"
#include "correlator/inference/inference.h"
#include "correlator/inference/span_file.h"

namespace wirespan::inference {

// Everything the spans did, in order of time, to its end. A span's id is its index in the file, plus one.
void play(const SpanFile& file, Inference& inference);

// Reads IN (see span_file.h), writes one line per client span: span_id, parent_span_id, confidence, candidates.
[[nodiscard]] Status correlate_file(const std::string& in, const std::string& out, const Options& options,
                                    Counters& counters);

}  // namespace wirespan::inference
