#include "exporters/encode/otlp_proto.h"

#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <variant>

#include "exporters/encode/otlp_fields.h"
#include "exporters/encode/span_attributes.h"
#include "exporters/encode/utf8.h"

namespace wirespan {
namespace {

// Field numbers of opentelemetry/proto/{collector/trace,common,resource,trace}/v1 (exporters/otlp/proto).
namespace request {
constexpr ProtoWriter::Field kResourceSpans = 1;
}
namespace resource_spans {
constexpr ProtoWriter::Field kResource = 1, kScopeSpans = 2;
}
namespace resource {
constexpr ProtoWriter::Field kAttributes = 1;
}
namespace scope_spans {
constexpr ProtoWriter::Field kScope = 1, kSpans = 2;
}
namespace scope {
constexpr ProtoWriter::Field kName = 1, kVersion = 2;
}
namespace span_field {
constexpr ProtoWriter::Field kTraceId = 1, kSpanId = 2, kTraceState = 3, kParentSpanId = 4, kName = 5, kKind = 6,
                             kStart = 7, kEnd = 8, kAttributes = 9, kEvents = 11, kLinks = 13, kStatus = 15,
                             kFlags = 16;
}
namespace event_field {
constexpr ProtoWriter::Field kTime = 1, kName = 2;
}
namespace link_field {
constexpr ProtoWriter::Field kTraceId = 1, kSpanId = 2, kAttributes = 4;
}
namespace status_field {
constexpr ProtoWriter::Field kMessage = 2, kCode = 3;
}
namespace key_value {
constexpr ProtoWriter::Field kKey = 1, kValue = 2;
}
namespace any_value {
constexpr ProtoWriter::Field kString = 1, kBool = 2, kInt = 3, kDouble = 4, kArray = 5;
}
namespace array_value {
constexpr ProtoWriter::Field kValues = 1;
}

template <std::size_t N>
std::string_view raw(const std::array<std::uint8_t, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};  // NOLINT(*-reinterpret-cast)
}

// Writes attributes as they are visited; the values of an array key arrive one by one and make one KeyValue.
class AttributeWriter {
 public:
  AttributeWriter(ProtoWriter& out, ProtoWriter::Field field, std::string& scratch_key, std::string& scratch_text)
      : out_(out), field_(field), scratch_key_(scratch_key), scratch_text_(scratch_text) {}

  void operator()(std::string_view raw_key, const AttributeValue& value, bool in_array) {
    if (array_ && (!in_array || raw_key != array_->key)) end_array();
    if (in_array && array_) return array_text(std::get<std::string_view>(value));
    const std::string_view key = as_utf8(raw_key, scratch_key_);
    if (in_array) {
      begin_array(raw_key, key);
      return array_text(std::get<std::string_view>(value));
    }
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      const std::string_view valid = as_utf8(*text, scratch_text_);
      auto out = begin(key, ProtoWriter::bytes_field_size(valid.size()));
      out.bytes_field(any_value::kString, valid);
      out_.commit(out);
    } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
      const auto bits = static_cast<std::uint64_t>(*number);
      auto out = begin(key, 1 + ProtoWriter::varint_size(bits));
      out.tag(any_value::kInt, 0);
      out.varint(bits);
      out_.commit(out);
    } else if (const auto* real = std::get_if<double>(&value)) {
      auto out = begin(key, 1 + sizeof(double));
      out.tag(any_value::kDouble, 1);
      out.fixed(*real);
      out_.commit(out);
    } else {
      auto out = begin(key, 2);
      out.tag(any_value::kBool, 0);
      out.varint(std::get<bool>(value) ? 1 : 0);
      out_.commit(out);
    }
  }

  // Attributes without arrays.
  void shared(const Attributes& attributes, Repeats& repeats) {
    if (array_) end_array();
    Repeats::Place& place = repeats.place(attributes);
    if (place.what == &attributes) return out_.repeat(place.at, place.size);
    const std::size_t at = out_.written();
    attributes.visit(*this);
    place = {&attributes, at, out_.written() - at};
  }

  void finish() {
    if (array_) end_array();
  }

 private:
  struct Array {
    std::string_view key;
    ProtoWriter::Mark key_value, value, values;
  };

  // Tags and lengths of a KeyValue and its key, with room for the value.
  ProtoWriter::Cursor begin(std::string_view key, std::size_t value_size) {
    const std::size_t size = ProtoWriter::bytes_field_size(key.size()) + ProtoWriter::bytes_field_size(value_size);
    auto out = out_.reserve(2 * ProtoWriter::kHeader + size);
    out.message_header(field_, size);
    out.bytes_field(key_value::kKey, key);
    out.message_header(key_value::kValue, value_size);
    return out;
  }
  void begin_array(std::string_view raw_key, std::string_view key) {
    const auto whole = out_.begin(field_, 1);
    out_.bytes_field(key_value::kKey, key);
    const auto value = out_.begin(key_value::kValue, 1);
    const auto values = out_.begin(any_value::kArray, 1);
    array_ = Array{raw_key, whole, value, values};
  }
  void array_text(std::string_view text) {
    const std::string_view valid = as_utf8(text, scratch_text_);
    const std::size_t size = ProtoWriter::bytes_field_size(valid.size());
    auto out = out_.reserve(2 * ProtoWriter::kHeader + size);
    out.message_header(array_value::kValues, size);
    out.bytes_field(any_value::kString, valid);
    out_.commit(out);
  }
  void end_array() {
    out_.end(array_->values);
    out_.end(array_->value);
    out_.end(array_->key_value);
    array_.reset();
  }

  ProtoWriter& out_;
  ProtoWriter::Field field_;
  std::string& scratch_key_;
  std::string& scratch_text_;
  std::optional<Array> array_;
};

}  // namespace

std::string_view OtlpProtoEncoder::encode(std::span<const Span> batch) {
  out_.clear();
  repeats_.clear();
  grouping_.each(batch, [this](std::span<const Span* const> spans) {
    const auto group = out_.begin(request::kResourceSpans, 3);
    write_resource(*spans.front());
    const auto scope = out_.begin(resource_spans::kScopeSpans, 3);
    write_scope();
    for (const Span* span : spans) write_span(*span);
    out_.end(scope);
    out_.end(group);
  });
  return out_.data();
}

void OtlpProtoEncoder::write_resource(const Span& any_of_it) {
  const auto mark = out_.begin(resource_spans::kResource, 2);
  AttributeWriter attributes(out_, resource::kAttributes, scratch_key_, scratch_text_);
  visit_resource_attributes(any_of_it, attributes);
  attributes.finish();
  out_.end(mark);
}

void OtlpProtoEncoder::write_scope() {
  const auto mark = out_.begin(scope_spans::kScope, 1);
  out_.bytes_field(scope::kName, kScopeName);
  out_.bytes_field(scope::kVersion, scope_version());
  out_.end(mark);
}

void OtlpProtoEncoder::write_span(const Span& span) {
  const auto mark = out_.begin(scope_spans::kSpans, 2);
  out_.bytes_field(span_field::kTraceId, raw(span.trace.bytes));
  out_.bytes_field(span_field::kSpanId, raw(span.id.bytes));
  if (!span.trace_state.empty()) out_.bytes_field(span_field::kTraceState, as_utf8(span.trace_state, scratch_text_));
  if (span.parent.id.valid()) out_.bytes_field(span_field::kParentSpanId, raw(span.parent.id.bytes));
  out_.bytes_field(span_field::kName, as_utf8(span.name, scratch_text_));
  out_.varint_field(span_field::kKind, otlp_kind(span));
  out_.fixed64_field(span_field::kStart, span.start.ns);
  out_.fixed64_field(span_field::kEnd, otlp_end(span).ns);

  AttributeWriter attributes(out_, span_field::kAttributes, scratch_key_, scratch_text_);
  visit_own_attributes(span, attributes);
  if (span.shared != nullptr) attributes.shared(*span.shared, repeats_);
  attributes.finish();

  for (const SpanEvent& event : span.events) {
    const auto event_mark = out_.begin(span_field::kEvents, 1);
    out_.fixed64_field(event_field::kTime, event.time.ns);
    out_.bytes_field(event_field::kName, event.name);
    out_.end(event_mark);
  }
  for (const SpanLink& link : span.links) {
    const auto link_mark = out_.begin(span_field::kLinks, 1);
    out_.bytes_field(link_field::kTraceId, raw(link.trace.bytes));
    out_.bytes_field(link_field::kSpanId, raw(link.span.bytes));
    AttributeWriter link_attributes(out_, link_field::kAttributes, scratch_key_, scratch_text_);
    link.attributes.visit(link_attributes);
    link_attributes.finish();
    out_.end(link_mark);
  }
  if (span.status != SpanStatus::kUnset || !span.status_message.empty()) {
    const auto status_mark = out_.begin(span_field::kStatus, 1);
    if (!span.status_message.empty()) {
      out_.bytes_field(status_field::kMessage, as_utf8(span.status_message, scratch_text_));
    }
    if (span.status != SpanStatus::kUnset) out_.varint_field(status_field::kCode, otlp_status(span));
    out_.end(status_mark);
  }
  out_.fixed32_field(span_field::kFlags, otlp_flags(span));
  out_.end(mark);
}

}  // namespace wirespan
