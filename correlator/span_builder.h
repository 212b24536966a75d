// A finished exchange and its link as an OpenTelemetry span.
#pragma once

#include "base/clock.h"
#include "correlator/node.h"
#include "model/span.h"

namespace wirespan {

// Takes the node's messages: the node keeps only what its children need.
[[nodiscard]] Span build_span(Node& node, const Clock& clock);

}  // namespace wirespan
