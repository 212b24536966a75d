#include "exporters/console/trace_book.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <variant>

#include "exporters/console/text.h"
#include "exporters/encode/otlp_fields.h"
#include "exporters/encode/span_attributes.h"

namespace wirespan {
namespace {

std::string as_text(const AttributeValue& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return terminal_safe(*text);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&value)) return std::to_string(*real);
  return std::get<bool>(value) ? "true" : "false";
}

template <class Holder>  // Span, Attributes
std::string attribute(const Holder& holder, std::string_view key) {
  const auto value = holder.find(key);
  return value ? as_text(*value) : std::string();
}

// "several_open" as a person writes it.
std::string words(std::string text) {
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

// Rounded down: 99.6 % is not certain and must not read as if it were.
std::string percent(double confidence) {
  return std::to_string(static_cast<int>(std::floor(std::clamp(confidence, 0.0, 1.0) * 100 + 1e-9))) + "%";
}

std::string status_of(const Span& span) {
  std::string status;
  for (const std::string_view key : {"http.response.status_code", "rpc.grpc.status_code", "db.response.status_code"}) {
    if (status = attribute(span, key); !status.empty()) break;
  }
  if (span.status != SpanStatus::kError) return status;
  const std::string type = attribute(span, "error.type");
  if (!type.empty() && type != status) status += (status.empty() ? "" : " ") + type;
  return status.empty() ? "error" : status;
}

std::string peer_of(const Span& span) {
  std::string host = attribute(span, "server.address");
  std::string port = attribute(span, "server.port");
  if (host.empty()) {
    host = attribute(span, "network.peer.address");
    port = attribute(span, "network.peer.port");
  }
  if (host.empty() || port.empty()) return host;
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

std::string link_note(const Span& span, const SpanLink& link) {
  const std::string target =
      (link.trace != span.trace ? "trace " + link.trace.hex() + " " : "") + "span " + link.span.hex();
  const std::string method = attribute(link.attributes, kLinkMethod);
  const auto confidence = link.attributes.find(kLinkConfidence);
  const double* value = confidence ? std::get_if<double>(&*confidence) : nullptr;
  if (value == nullptr) return "linked to " + target + (method.empty() ? "" : " (" + method + ")");
  return "may belong to " + target + " (" + method + (method.empty() ? "" : " ") + percent(*value) + ")";
}

ShownSpan shown(const Span& span) {
  ShownSpan out{.id = span.id,
                .parent = span.parent.id,
                .client = span.role == SpanRole::kClient,
                .error = span.status == SpanStatus::kError,
                .start_ns = span.start.ns,
                .end_ns = otlp_end(span).ns,
                .service = terminal_safe(service_of(span)),
                .name = terminal_safe(span.name),
                .peer = {},
                .status = status_of(span),
                .link = {},
                .parent_method = std::string(span.parent.method),
                .notes = {}};
  if (out.client) out.peer = peer_of(span);
  if (span.parent.id.valid() && span.parent.confidence < 1) {
    out.link = words(out.parent_method) + (out.parent_method.empty() ? "" : " ") + percent(span.parent.confidence);
  }
  constexpr std::size_t kMostNotes = 3;
  for (const SpanLink& link : span.links) {
    if (out.notes.size() == kMostNotes) {
      out.notes.push_back("and " + count_text(span.links.size() - kMostNotes) + " more links");
      break;
    }
    out.notes.push_back(link_note(span, link));
  }
  if (!span.status_message.empty()) out.notes.push_back(terminal_safe(span.status_message));
  // Said by the correlator (correlator/explain.h has the words at length).
  if (const auto why = attribute(span, "wirespan.incomplete"); !why.empty()) {
    out.notes.push_back("incomplete: " + words(why));
  }
  if (!attribute(span, "wirespan.synthetic").empty()) {
    out.notes.push_back("made up: the callee was seen, this end was not");
  }
  if (const auto lost = attribute(span, "wirespan.trace.lost"); !lost.empty()) {
    out.notes.push_back("of this trace " + lost + " spans are known to be missing");
  }
  if (const auto why = attribute(span, "wirespan.link.missing"); !why.empty()) {
    const auto candidates = attribute(span, "wirespan.link.candidates");
    out.notes.push_back("no parent: " + words(why) + (candidates.empty() ? "" : ", " + candidates + " candidates"));
  }
  return out;
}

}  // namespace

void TraceBook::add(const Span& span, Time now) {
  const auto found = places_.find(span.trace);
  Place place;
  if (found != places_.end()) {
    place = found->second;
    pending_.splice(pending_.end(), pending_, place);
  } else {
    place = pending_.emplace(pending_.end());
    place->trace.id = span.trace;
    place->trace.continued = shown_.contains(span.trace);
    places_.emplace(span.trace, place);
  }
  Pending& pending = *place;
  pending.last = now;
  pending.trace.spans.push_back(shown(span));
  pending.ids.insert(span.id);
  pending.missing.erase(span.id);
  if (!span.parent.id.valid()) {
    pending.root = true;
  } else if (!pending.ids.contains(span.parent.id)) {
    pending.missing.insert(span.parent.id);
  }
  ++waiting_spans_;
  if (pending.trace.spans.size() >= limits_.spans_of_trace) show(place, true);
  while (waiting_spans_ > limits_.spans) show(pending_.begin(), true);
}

TraceBook::Time TraceBook::due(const Pending& pending) const {
  return pending.last + (pending.root && pending.missing.empty() ? limits_.quiet : limits_.quiet_incomplete);
}

void TraceBook::show(Place place, bool cut_short) {
  waiting_spans_ -= place->trace.spans.size();
  place->trace.cut_short = cut_short;
  if (shown_.insert(place->trace.id).second) {
    shown_order_.push_back(place->trace.id);
    if (shown_order_.size() > limits_.remembered) {
      shown_.erase(shown_order_.front());
      shown_order_.pop_front();
    }
  }
  places_.erase(place->trace.id);
  ready_.push_back(std::move(place->trace));
  pending_.erase(place);
}

std::vector<ShownTrace> TraceBook::take_due(Time now) {
  for (auto it = pending_.begin(); it != pending_.end() && it->last + limits_.quiet <= now;) {
    const auto place = it++;
    if (due(*place) <= now) show(place, false);
  }
  return std::exchange(ready_, {});
}

std::vector<ShownTrace> TraceBook::take_all() {
  while (!pending_.empty()) show(pending_.begin(), false);
  return std::exchange(ready_, {});
}

TraceBook::Time TraceBook::next_due() const {
  if (!ready_.empty()) return Time::min();
  Time next = Time::max();
  // Nothing behind a trace that is quiet later than `next` can be due sooner.
  for (const Pending& pending : pending_) {
    if (pending.last + limits_.quiet >= next) break;
    next = std::min(next, due(pending));
  }
  return next;
}

}  // namespace wirespan
