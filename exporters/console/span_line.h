// A span as one line of JSON that reads well in jq: flat names, a duration, attributes as an object.
#pragma once

#include <string>

#include "model/span.h"

namespace wirespan {

// Appends the line with its newline.
void append_span_line(const Span& span, std::string& out);

}  // namespace wirespan
