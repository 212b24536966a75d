#include "agent/enrich/stage.h"

#include <utility>

#include "agent/enrich/network.h"

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
  if (span.connection) add_network_attributes(*span.connection, span.role, span.attributes);
  redactor_.apply(span);
}

}  // namespace wirespan
