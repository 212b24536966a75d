// A finished exchange and its link as an OpenTelemetry span.
#pragma once

#include "base/clock.h"
#include "correlator/node.h"
#include "model/span.h"

namespace wirespan {

// Overwrites `span`. What is large goes over from the node's messages in exchange for the span's old buffers, so that
// these serve the next message: the node keeps only what its children need.
void build_span(Node& node, const Clock& clock, Span& span);

}  // namespace wirespan
