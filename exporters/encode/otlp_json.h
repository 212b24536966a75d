// An ExportTraceServiceRequest in OTLP's JSON: one line, as the Collector's file exporter writes and OTLP/HTTP takes
// it. Differs from proto3's JSON mapping in hexadecimal ids and enums as integers (OTLP specification, "JSON Protobuf
// Encoding").
#pragma once

#include <span>

#include "exporters/encode/byte_buffer.h"
#include "exporters/encode/grouping.h"
#include "exporters/encode/repeats.h"
#include "model/span.h"

namespace wirespan {

class JsonWriter;

// One thread.
class OtlpJsonEncoder {
 public:
  // Appends, without a newline.
  void encode(std::span<const Span> batch, ByteBuffer& out);

 private:
  void write_span(JsonWriter& json, const Span& span);

  Grouping grouping_;
  Repeats repeats_;
};

}  // namespace wirespan
