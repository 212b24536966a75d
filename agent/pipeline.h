// All stages between an event and a span, joined. One thread.
#pragma once

#include "agent/enrich/process_table.h"
#include "agent/enrich/stage.h"
#include "agent/pairing/pairer.h"
#include "agent/protocols/detector.h"
#include "agent/protocols/registry.h"
#include "agent/streams/streams.h"
#include "base/clock.h"
#include "base/counters.h"
#include "correlator/correlator.h"
#include "model/event.h"
#include "model/host.h"
#include "model/sink.h"
#include "model/span.h"
#include "model/verdict.h"

namespace wirespan {

struct PipelineOptions {
  HostFacts host;
  ProcessTableOptions processes;
  RedactionRules redaction;
  protocols::Options protocols;
  CorrelatorOptions links;
};

class Pipeline : public Sink<Event> {
 public:
  // `verdicts` may be null (replay).
  Pipeline(const PipelineOptions& options, Sink<Span>& exporters, VerdictSink* verdicts, const Clock& clock,
           Counters& counters);

  void accept(const Event& told) override;
  // The end: whatever is open becomes a span that says so.
  void finish(BootTime now);
  // What may change while running: redaction, resources, the threshold of links.
  void reload(const PipelineOptions& options);

  [[nodiscard]] ProcessDirectory& processes() { return processes_; }

 private:
  void turn_window(const event::Window& window);

  // From the last stage to the first: each knows only the next.
  EnrichStage enrich_;
  ProcessTable processes_;
  Correlator correlator_;
  Pairer pairer_;
  protocols::Detector detector_;
  Streams streams_;
  Counter& cut_requests_;
  Counter& cut_calls_;
  Counter& cut_half_read_;
};

}  // namespace wirespan
