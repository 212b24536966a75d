#include "exporters/console/span_line.h"

#include <cstdint>
#include <string_view>
#include <variant>

#include "exporters/encode/json_writer.h"
#include "exporters/encode/otlp_fields.h"
#include "exporters/encode/span_attributes.h"

namespace wirespan {
namespace {

// Attribute keys are not ours (http.request.header.<name>): they go through text(), as a value would.
class ObjectWriter {
 public:
  explicit ObjectWriter(JsonWriter& json) : json_(json) { json_.begin_object(); }

  void operator()(std::string_view key, const AttributeValue& value, bool in_array) {
    if (in_array_ && (!in_array || key != array_key_)) end_array();
    if (in_array && !in_array_) {
      json_.text_key(key);
      json_.begin_array();
      in_array_ = true;
      array_key_ = key;
    }
    if (!in_array) json_.text_key(key);
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      json_.text(*text);
    } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
      json_.number(*number);
    } else if (const auto* real = std::get_if<double>(&value)) {
      json_.number(*real);
    } else {
      json_.boolean(std::get<bool>(value));
    }
  }
  void finish() {
    if (in_array_) end_array();
    json_.end_object();
  }

 private:
  void end_array() {
    json_.end_array();
    in_array_ = false;
  }

  JsonWriter& json_;
  bool in_array_ = false;
  std::string_view array_key_;
};

}  // namespace

void append_span_line(const Span& span, ByteBuffer& out) {
  JsonWriter json(out);
  json.begin_object();
  json.key("trace");
  json.text(span.trace.hex());
  json.key("span");
  json.text(span.id.hex());
  if (span.parent.id.valid()) {
    json.key("parent");
    json.text(span.parent.id.hex());
  }
  json.key("service");
  json.text(service_of(span));
  json.key("kind");
  json.text(span.role == SpanRole::kServer ? "server" : "client");
  json.key("name");
  json.text(span.name);
  json.key("start_ns");
  json.number(span.start.ns);
  json.key("duration_ms");
  json.number(static_cast<double>(otlp_end(span).ns - span.start.ns) / 1e6);
  json.key("error");
  json.boolean(span.status == SpanStatus::kError);
  if (!span.status_message.empty()) {
    json.key("message");
    json.text(span.status_message);
  }
  json.key("attributes");
  ObjectWriter attributes(json);
  visit_span_attributes(span, attributes);
  attributes.finish();
  if (!span.links.empty()) {
    json.key("links");
    json.begin_array();
    for (const SpanLink& link : span.links) {
      json.begin_object();
      json.key("trace");
      json.text(link.trace.hex());
      json.key("span");
      json.text(link.span.hex());
      json.key("attributes");
      ObjectWriter link_attributes(json);
      link.attributes.visit(link_attributes);
      link_attributes.finish();
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
  out.append("\n");
}

}  // namespace wirespan
