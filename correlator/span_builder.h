// A finished exchange and its link as an OpenTelemetry span.
#pragma once

#include "base/clock.h"
#include "correlator/node.h"
#include "model/span.h"

namespace wirespan {

// Overwrites `span`. What is large goes over from the node's messages in exchange for the span's old buffers, so that
// these serve the next message: the node keeps only what its children need.
void build_span(Node& node, const Clock& clock, Span& span);

// The span of a caller that is traced but whose request was not seen: made up of what the other end saw, and marked so
// (wirespan.synthetic). Before build_span() of `server`, which takes its name.
void build_synthetic_parent(const Node& server, const ConnectionPtr& caller, ProcessInfoPtr process, const Clock& clock,
                            Span& span);

}  // namespace wirespan
