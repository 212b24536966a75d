#include "correlator/span_builder.h"

#include <algorithm>
#include <utility>

namespace wirespan {
namespace {

BootTime end_of(const Exchange& exchange) {
  const BootTime last = exchange.response ? exchange.response->last_byte.time : exchange.ended;
  return std::max({last, exchange.request->first_byte.time});
}

// Moments inside the span, as ns from its start: cheaper to send and to read than span events.
void set_phases(const Exchange& exchange, BootTime start, Attributes& out) {
  const auto set = [&](Literal key, BootTime at) { out.set_new(key, std::max<std::int64_t>(0, at - start)); };
  set("wirespan.request.last_byte_ns", exchange.request->last_byte.time);
  if (exchange.response) set("wirespan.response.first_byte_ns", exchange.response->first_byte.time);
}

void set_status(const Exchange& exchange, SpanRole role, Span& span) {
  const auto failed = [role](const Message& m) { return role == SpanRole::kClient ? m.client_error : m.server_error; };
  const Message* bad = nullptr;
  if (failed(*exchange.request)) bad = exchange.request.get();
  if (exchange.response && failed(*exchange.response)) bad = exchange.response.get();
  if (bad != nullptr) {
    span.status = SpanStatus::kError;
    if (!bad->error_type.empty()) span.attributes.set("error.type", bad->error_type);
  } else if (!exchange.response && exchange.request->expects_response && !exchange.incomplete.empty() &&
             exchange.incomplete != "shutdown" && exchange.incomplete != "lost") {
    // Nothing came back and the connection is gone: for both sides the request failed.
    span.status = SpanStatus::kError;
    span.attributes.set("error.type", exchange.incomplete);
  }
}

std::string_view incompleteness(const Exchange& exchange) {
  if (!exchange.incomplete.empty()) return exchange.incomplete;
  if (!exchange.request->incomplete.empty()) return exchange.request->incomplete;
  return exchange.response ? exchange.response->incomplete : std::string_view();
}

template <class T>
void take(T& from, T& to) {
  from.swap(to);
  from.clear();
}

SpanLink weak_link(const Claim& claim) {
  SpanLink link;
  if (claim.parent) {
    link.trace = claim.parent->trace;
    link.span = claim.parent->id;
  } else {
    link.trace = claim.remote->trace;
    link.span = claim.remote->span;
  }
  link.attributes.set("wirespan.link.method", claim.method);
  link.attributes.set("wirespan.link.confidence", claim.confidence);
  if (claim.follows_from) link.attributes.set("opentracing.ref_type", "follows_from");
  return link;
}

// An empty span of the node's trace; its attributes, which build_span() takes over, are left.
void begin_span(const Node& node, SpanId id, SpanRole role, Span& span) {
  span.events.clear();
  span.links.clear();
  span.status = SpanStatus::kUnset;
  span.status_message.clear();
  span.shared = nullptr;
  span.trace = node.trace;
  span.trace_flags = node.trace_flags;
  span.trace_state = node.trace_state;
  span.id = id;
  span.role = role;
  span.parent = {};
}

// One look at the clock for both: a span lasts as long as it did, also when wall time is set meanwhile.
void set_times(const Exchange& exchange, const Clock& clock, Span& span) {
  const BootTime end = end_of(exchange);
  span.end = clock.to_wall(end);
  span.start = {span.end.ns - static_cast<std::uint64_t>(end - exchange.request->first_byte.time)};
}

}  // namespace

void build_span(Node& node, const Clock& clock, Span& span) {
  const Exchange& exchange = *node.exchange;
  begin_span(node, node.id, node.role, span);
  if (node.link) {
    span.parent = {node.link->parent ? node.link->parent->id : node.link->remote->span, node.link->method,
                   node.link->confidence};
  }
  const BootTime start = exchange.request->first_byte.time;
  set_times(exchange, clock, span);
  take(exchange.request->name, span.name);
  take(exchange.request->attributes, span.attributes);
  if (exchange.response) span.attributes.append_new(exchange.response->attributes);
  set_phases(exchange, start, span.attributes);
  set_status(exchange, node.role, span);
  if (const auto why = incompleteness(exchange); !why.empty()) span.attributes.set("wirespan.incomplete", why);
  if (node.link && node.link->method == "inferred") {
    span.attributes.set("wirespan.link.runner_up_distance", node.runner_up_distance);
    span.attributes.set("wirespan.link.candidates", node.candidates);
  }
  if (!node.link || !node.link->parent) {
    // Where the trace enters this host, or begins: what of it is known here.
    const double seen = 1.0 + node.below.seen;
    const std::uint32_t lost = node.below.lost + (node.synthetic_parent ? 1U : 0U);
    span.attributes.set("wirespan.trace.completeness", seen / (seen + lost));
    if (lost > 0) span.attributes.set("wirespan.trace.lost", lost);
    if (node.below.untraced > 0) span.attributes.set("wirespan.trace.untraced", node.below.untraced);
  }
  if (node.synthetic_parent) span.parent = {span_id_of(exchange.key, SpanRole::kClient), "peer", 1.0};
  if (!node.unlinked_reason.empty()) {
    span.attributes.set("wirespan.link.missing", node.unlinked_reason);
    span.attributes.set("wirespan.link.candidates", node.candidates);
  }
  for (const Claim& claim : node.weak) span.links.push_back(weak_link(claim));
  span.process = node.process;
  span.connection = exchange.conn;
}

void build_synthetic_parent(const Node& server, const ConnectionPtr& caller, ProcessInfoPtr process, const Clock& clock,
                            Span& span) {
  const Exchange& exchange = *server.exchange;
  begin_span(server, span_id_of(exchange.key, SpanRole::kClient), SpanRole::kClient, span);
  span.attributes.clear();
  set_times(exchange, clock, span);
  span.name = exchange.request->name;
  span.attributes.set("wirespan.synthetic", true);
  span.process = std::move(process);
  span.connection = caller;
}

}  // namespace wirespan
