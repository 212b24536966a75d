// The stage between the correlator and the exporters: what the connection says, then nothing that is secret. One
// thread.
#pragma once

#include "agent/enrich/redact.h"
#include "base/counters.h"
#include "model/sink.h"
#include "model/span.h"

namespace wirespan {

class EnrichStage : public Sink<Span> {
 public:
  EnrichStage(Sink<Span>& out, RedactionRules rules, Counters& counters);

  void accept(const Span& span) override;
  void take(Span&& span) override;
  void set_rules(RedactionRules rules) { redactor_.set_rules(std::move(rules)); }

 private:
  void finish(Span& span);

  Sink<Span>& out_;
  Redactor redactor_;
  Span copy_;  // reused: its buffers fit after a few spans, and come back from who takes them
};

}  // namespace wirespan
