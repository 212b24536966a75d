#include "exporters/encode/otlp_json.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>

#include "exporters/encode/json_writer.h"
#include "exporters/encode/otlp_fields.h"
#include "exporters/encode/span_attributes.h"

namespace wirespan {
namespace {

template <std::size_t N>
std::string_view raw(const std::array<std::uint8_t, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};  // NOLINT(*-reinterpret-cast)
}

class AttributeWriter {
 public:
  explicit AttributeWriter(JsonWriter& json) : json_(json) { json_.begin_array(); }

  void operator()(std::string_view key, const AttributeValue& value, bool in_array, bool literal_key = false,
                  bool literal_value = false) {
    if (in_array_ && (!in_array || key != array_key_)) end_array();
    // Literals are written in the source, plainly.
    if (!in_array && (literal_key || JsonWriter::plain(key)) && plain(key, value, literal_value)) return;
    if (in_array) {
      if (!in_array_) begin_array(key);
      json_.opening(R"({"stringValue":)");
      json_.text(std::get<std::string_view>(value));
      return json_.end_object();
    }
    begin(key);
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      json_.more(R"(,"value":{"stringValue":)");
      json_.text(*text);
    } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
      json_.more(R"(,"value":{"intValue":)");
      json_.quoted(*number);
    } else if (const auto* real = std::get_if<double>(&value)) {
      json_.more(R"(,"value":{"doubleValue":)");
      json_.number(*real);
    } else {
      json_.more(R"(,"value":{"boolValue":)");
      json_.boolean(std::get<bool>(value));
    }
    end();
  }

  // Attributes without arrays.
  void shared(const Attributes& attributes, Repeats& repeats) {
    if (in_array_) end_array();
    Repeats::Place& place = repeats.place(attributes);
    if (place.what == &attributes) return json_.repeat(place.at, place.size);
    if (attributes.empty()) return;
    const std::size_t at = json_.begin_part();
    attributes.visit(*this);
    place = {&attributes, at, json_.written() - at};
  }

  void finish() {
    if (in_array_) end_array();
    json_.end_array();
  }

 private:
  // What most attributes are: text without anything to escape, and integers. False: it is something else.
  bool plain(std::string_view key, const AttributeValue& value, bool literal_value) {
    constexpr std::string_view kKey = R"({"key":")";
    constexpr std::string_view kText = R"(","value":{"stringValue":")";
    constexpr std::string_view kInteger = R"(","value":{"intValue":")";
    constexpr std::string_view kEnd = R"("}})";
    constexpr std::size_t kFrame = kKey.size() + kText.size() + kEnd.size();
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      if (!literal_value && !JsonWriter::plain(*text)) return false;
      char* at = json_.start_value(kFrame + key.size() + text->size());
      at = JsonWriter::put(JsonWriter::put(at, kKey), key);
      at = JsonWriter::put(JsonWriter::put(at, kText), *text);
      json_.finish_value(JsonWriter::put(at, kEnd));
      return true;
    }
    const auto* number = std::get_if<std::int64_t>(&value);
    if (number == nullptr) return false;
    char* at = json_.start_value(kFrame + key.size() + JsonWriter::kLongestNumber);
    at = JsonWriter::put(JsonWriter::put(at, kKey), key);
    at = JsonWriter::put_number(JsonWriter::put(at, kInteger), *number);
    json_.finish_value(JsonWriter::put(at, kEnd));
    return true;
  }

  void begin(std::string_view key) {
    json_.opening(R"({"key":)");
    json_.text(key);
  }
  void end() { json_.closing("}}"); }
  void begin_array(std::string_view key) {
    begin(key);
    json_.more(R"(,"value":{"arrayValue":{"values":[)");
    in_array_ = true;
    array_key_ = key;
  }
  void end_array() {
    json_.closing("]}");
    end();
    in_array_ = false;
  }

  JsonWriter& json_;
  bool in_array_ = false;
  std::string_view array_key_;
};

}  // namespace

void OtlpJsonEncoder::encode(std::span<const Span> batch, ByteBuffer& out) {
  JsonWriter json(out);
  repeats_.clear();
  json.begin_object();
  json.key("resourceSpans");
  json.begin_array();
  grouping_.each(batch, [&](std::span<const Span* const> spans) {
    json.begin_object();
    json.key("resource");
    json.begin_object();
    json.key("attributes");
    AttributeWriter resource(json);
    visit_resource_attributes(*spans.front(), resource);
    resource.finish();
    json.end_object();
    json.key("scopeSpans");
    json.begin_array();
    json.begin_object();
    json.key("scope");
    json.begin_object();
    json.key("name");
    json.text(kScopeName);
    json.key("version");
    json.text(scope_version());
    json.end_object();
    json.key("spans");
    json.begin_array();
    for (const Span* span : spans) write_span(json, *span);
    json.end_array();
    json.end_object();
    json.end_array();
    json.end_object();
  });
  json.end_array();
  json.end_object();
}

void OtlpJsonEncoder::write_span(JsonWriter& json, const Span& span) {
  json.begin_object();
  char* at = json.start_value(96);
  at = JsonWriter::put_hex(JsonWriter::put(at, R"("traceId":")"), raw(span.trace.bytes));
  at = JsonWriter::put_hex(JsonWriter::put(at, R"(","spanId":")"), raw(span.id.bytes));
  json.finish_value(JsonWriter::put(at, "\""));
  if (!span.trace_state.empty()) {
    json.key("traceState");
    json.text(span.trace_state);
  }
  if (span.parent.id.valid()) {
    json.key("parentSpanId");
    json.hex(raw(span.parent.id.bytes));
  }
  json.key("flags");
  json.number(std::uint64_t{otlp_flags(span)});
  json.key("name");
  json.text(span.name);
  at = json.start_value(80 + 3 * JsonWriter::kLongestNumber);
  at = JsonWriter::put_number(JsonWriter::put(at, R"("kind":)"), std::uint64_t{otlp_kind(span)});
  at = JsonWriter::put_number(JsonWriter::put(at, R"(,"startTimeUnixNano":")"), span.start.ns);
  at = JsonWriter::put_number(JsonWriter::put(at, R"(","endTimeUnixNano":")"), otlp_end(span).ns);
  json.finish_value(JsonWriter::put(at, "\""));
  json.key("attributes");
  AttributeWriter attributes(json);
  visit_own_attributes(span, attributes);
  if (span.shared != nullptr) attributes.shared(*span.shared, repeats_);
  attributes.finish();
  if (!span.events.empty()) {
    json.key("events");
    json.begin_array();
    for (const SpanEvent& event : span.events) {
      json.begin_object();
      json.key("timeUnixNano");
      json.quoted(event.time.ns);
      json.key("name");
      json.text(event.name);
      json.end_object();
    }
    json.end_array();
  }
  if (!span.links.empty()) {
    json.key("links");
    json.begin_array();
    for (const SpanLink& link : span.links) {
      json.begin_object();
      json.key("traceId");
      json.hex(raw(link.trace.bytes));
      json.key("spanId");
      json.hex(raw(link.span.bytes));
      json.key("attributes");
      AttributeWriter link_attributes(json);
      link.attributes.visit(link_attributes);
      link_attributes.finish();
      json.end_object();
    }
    json.end_array();
  }
  json.key("status");
  json.begin_object();
  if (!span.status_message.empty()) {
    json.key("message");
    json.text(span.status_message);
  }
  if (span.status != SpanStatus::kUnset) {
    json.key("code");
    json.number(std::uint64_t{otlp_status(span)});
  }
  json.end_object();
  json.end_object();
}

}  // namespace wirespan
