// A span as one line of JSON that reads well in jq: flat names, a duration, attributes as an object.
#pragma once

#include "exporters/encode/byte_buffer.h"
#include "model/span.h"

namespace wirespan {

// Appends the line with its newline.
void append_span_line(const Span& span, ByteBuffer& out);

}  // namespace wirespan
