// What every exporter shows of a span beyond its own fields. One place, so that all of them say the same.
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include "model/span.h"

namespace wirespan {

inline constexpr std::string_view kLinkMethod = "wirespan.link.method";
inline constexpr std::string_view kLinkConfidence = "wirespan.link.confidence";
inline constexpr std::string_view kScopeName = "wirespan";
inline constexpr std::string_view kUnknownService = "unknown_service";

// service.name as every exporter must have it (OpenTelemetry resource conventions: never absent).
inline std::string_view service_of(const Span& span) {
  if (span.process == nullptr) return kUnknownService;
  const std::string_view name = span.process->resource.text("service.name");
  if (!name.empty()) return name;
  return span.process->service.empty() ? kUnknownService : std::string_view(span.process->service);
}

// visitor(key, value, in_array) as Attributes::visit, or with literal_key and literal_value as visit_marked: the span's
// own attributes, then how its parent is known. A key is never empty and, in_array aside, comes once, also with those
// of `span.shared`, which this leaves out.
template <class Visitor>
void visit_own_attributes(const Span& span, Visitor&& visitor) {
  const bool linked = !span.parent.method.empty();
  const auto hidden = [linked](std::string_view key) {
    return key.empty() || (linked && (key == kLinkMethod || key == kLinkConfidence));
  };
  if constexpr (std::is_invocable_v<Visitor, std::string_view, const AttributeValue&, bool, bool, bool>) {
    span.attributes.visit_marked(
        [&](std::string_view key, const AttributeValue& value, bool in_array, bool literal_key, bool literal_value) {
          if (!hidden(key)) visitor(key, value, in_array, literal_key, literal_value);
        });
  } else {
    span.attributes.visit([&](std::string_view key, const AttributeValue& value, bool in_array) {
      if (!hidden(key)) visitor(key, value, in_array);
    });
  }
  if (!linked) return;
  visitor(kLinkMethod, AttributeValue(span.parent.method), false);
  visitor(kLinkConfidence, AttributeValue(span.parent.confidence), false);
}

template <class Visitor>
void visit_span_attributes(const Span& span, Visitor&& visitor) {
  visit_own_attributes(span, visitor);
  if (span.shared != nullptr) span.shared->visit(visitor);
}

// The same for its resource, service.name first when the process did not say it. `span.process` may be null.
template <class Visitor>
void visit_resource_attributes(const Span& span, Visitor&& visitor) {
  const bool named = span.process != nullptr && !span.process->resource.text("service.name").empty();
  if (!named) visitor(std::string_view("service.name"), AttributeValue(service_of(span)), false);
  if (span.process == nullptr) return;
  span.process->resource.visit([&](std::string_view key, const AttributeValue& value, bool in_array) {
    if (key.empty() || (!named && key == "service.name")) return;
    visitor(key, value, in_array);
  });
}

}  // namespace wirespan
