#include "agent/enrich/stage.h"

#include <utility>

#include "agent/enrich/network.h"
#include "base/hash.h"

namespace wirespan {

EnrichStage::EnrichStage(Sink<Span>& out, RedactionRules rules, Counters& counters)
    : out_(out), redactor_(std::move(rules), counters) {}

void EnrichStage::accept(const Span& span) {
  copy_ = span;
  finish(copy_);
  out_.take(std::move(copy_));
}

void EnrichStage::take(Span&& span) {
  finish(span);
  out_.take(std::move(span));
}

void EnrichStage::finish(Span& span) {
  span.shared = nullptr;
  if (span.connection) {
    const std::string_view far_end = span.role == SpanRole::kServer ? "client.address" : "server.address";
    span.shared = shared_of(*span.connection, span.role, span.attributes.find(far_end).has_value());
  }
  redactor_.apply(span);
}

std::shared_ptr<const Attributes> EnrichStage::shared_of(const Connection& connection, SpanRole role,
                                                         bool far_end_named) {
  const std::uint64_t variant = 2 * static_cast<std::uint64_t>(role) + (far_end_named ? 1 : 0);
  Shared& kept = shared_[combine64(static_cast<std::uint64_t>(connection.id), variant) % shared_.size()];
  if (kept.attributes == nullptr || kept.conn != connection.id || kept.role != role ||
      kept.far_end_named != far_end_named) {
    auto attributes = std::make_shared<Attributes>();
    set_network_attributes(connection, role, far_end_named, *attributes);
    redactor_.apply(*attributes);
    kept = {connection.id, role, far_end_named, std::move(attributes)};
  }
  return kept.attributes;
}

}  // namespace wirespan
