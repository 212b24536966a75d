// correlator -> enrich -> exporters: OpenTelemetry's span, with the reason for its parent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/attributes.h"
#include "model/event.h"
#include "model/ids.h"
#include "model/process.h"

namespace wirespan {

// wirespan.link.method. Static strings with a home in correlator/evidence: "traceparent", "b3", "peer", "thread", ...
struct Parent {
  SpanId id;                // invalid: a root
  std::string_view method;  // "" for a root
  double confidence = 0;    // 0..1, 1 = certain
};

struct SpanLink {
  TraceId trace;
  SpanId span;
  Attributes attributes;
};

enum class SpanStatus : std::uint8_t { kUnset, kOk, kError };

struct SpanEvent {
  WallTime time;
  std::string_view name;  // static storage
};

struct Span {
  TraceId trace;
  SpanId id;
  Parent parent;
  std::string trace_state;
  std::uint8_t trace_flags = 1;  // W3C: bit 0 sampled
  SpanRole role{};
  std::string name;
  WallTime start;
  WallTime end;
  Attributes attributes;
  // What all spans of a connection have in common (network.*, addresses); no key is in both. May be null.
  std::shared_ptr<const Attributes> shared;
  std::vector<SpanEvent> events;
  std::vector<SpanLink> links;
  SpanStatus status = SpanStatus::kUnset;
  std::string status_message;
  ProcessInfoPtr process;    // its resource
  ConnectionPtr connection;  // where it was seen; enrich makes network.* attributes of it

  [[nodiscard]] std::optional<AttributeValue> find(std::string_view key) const {
    auto found = attributes.find(key);
    return found || shared == nullptr ? found : shared->find(key);
  }
};

// Spans change places with used ones at every stage: std::swap would move each of them three times.
inline void swap(Span& a, Span& b) noexcept {
  // Every field is named, so that a new one does not compile before it has its line below.
  auto& [trace, id, parent, trace_state, trace_flags, role, name, start, end, attributes, shared, events, links, status,
         status_message, process, connection] = a;
  std::swap(trace, b.trace);
  std::swap(id, b.id);
  std::swap(parent, b.parent);
  trace_state.swap(b.trace_state);
  std::swap(trace_flags, b.trace_flags);
  std::swap(role, b.role);
  name.swap(b.name);
  std::swap(start, b.start);
  std::swap(end, b.end);
  attributes.swap(b.attributes);
  shared.swap(b.shared);
  events.swap(b.events);
  links.swap(b.links);
  std::swap(status, b.status);
  status_message.swap(b.status_message);
  process.swap(b.process);
  connection.swap(b.connection);
}

}  // namespace wirespan
