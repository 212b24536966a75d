// An ExportTraceServiceRequest in protobuf (opentelemetry-proto 1.7.0), from a batch, in one pass.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "exporters/encode/grouping.h"
#include "exporters/encode/proto_writer.h"
#include "exporters/encode/repeats.h"
#include "model/span.h"

namespace wirespan {

// One thread. What encode() returns is valid until the next call.
class OtlpProtoEncoder {
 public:
  [[nodiscard]] std::string_view encode(std::span<const Span> batch);

 private:
  void write_span(const Span& span);
  void write_resource(const Span& any_of_it);
  void write_scope();

  Grouping grouping_;
  Repeats repeats_;
  ProtoWriter out_;
  std::string scratch_key_;
  std::string scratch_text_;
};

}  // namespace wirespan
