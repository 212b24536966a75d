// The stage between the correlator and the exporters: what the connection says, then nothing that is secret. One
// thread.
#pragma once

#include <array>
#include <memory>

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
  void set_rules(RedactionRules rules) {
    redactor_.set_rules(std::move(rules));
    shared_.fill({});
  }

 private:
  // What the spans of a connection share, as long as no other connection takes its place here.
  struct Shared {
    ConnId conn{};
    SpanRole role{};
    bool far_end_named = false;
    std::shared_ptr<const Attributes> attributes;
  };

  void finish(Span& span);
  std::shared_ptr<const Attributes> shared_of(const Connection& connection, SpanRole role, bool far_end_named);

  Sink<Span>& out_;
  Redactor redactor_;
  std::array<Shared, 2048> shared_;
  Span copy_;  // reused: its buffers fit after a few spans, and come back from who takes them
};

}  // namespace wirespan
