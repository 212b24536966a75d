#include "agent/enrich/stage.h"

#include <utility>

#include "agent/enrich/network.h"

namespace wirespan {

EnrichStage::EnrichStage(Sink<Span>& out, RedactionRules rules, Counters& counters)
    : out_(out), redactor_(std::move(rules), counters) {}

void EnrichStage::accept(const Span& span) {
  copy_ = span;
  if (copy_.connection) add_network_attributes(*copy_.connection, copy_.role, copy_.attributes);
  redactor_.apply(copy_);
  out_.accept(copy_);
}

}  // namespace wirespan
