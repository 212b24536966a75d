#include "agent/pipeline.h"

namespace wirespan {

Pipeline::Pipeline(const PipelineOptions& options, Sink<Span>& exporters, VerdictSink* verdicts, const Clock& clock,
                   Counters& counters)
    : enrich_(exporters, options.redaction, counters),
      processes_(options.host, options.processes, counters),
      correlator_(enrich_, processes_, clock, counters, options.links),
      pairer_(correlator_, counters),
      detector_(protocols::all(options.protocols), pairer_, verdicts, counters),
      streams_(detector_, counters),
      cut_requests_(counters.get("governor.cut.requests")),
      cut_calls_(counters.get("governor.cut.calls")),
      cut_half_read_(counters.get("governor.cut.half_read")) {}

void Pipeline::accept(const Event& told) {
  const Event& event = correlator_.on_behalf(told);
  if (const auto* window = std::get_if<event::Window>(&event)) turn_window(*window);
  processes_.accept(event);
  // A connection or a wake-up is known before the bytes that come of it; time passes last.
  const bool tick = std::holds_alternative<event::Tick>(event);
  if (!tick) correlator_.on_event(event);
  streams_.accept(event);
  if (streams_.late()) {
    // What its thread does next is told before it.
    const auto& data = std::get<event::Data>(event);
    correlator_.on_event(event::Missed{data.time, data.actor.thread});
  }
  if (tick) correlator_.on_event(event);
}

// Outside windows nothing is seen: what goes on across an edge is not told, rather than told wrong.
void Pipeline::turn_window(const event::Window& window) {
  if (window.open) {
    streams_.restart(window.time);
    correlator_.set_share(window.share);
    return;
  }
  cut_half_read_.add(detector_.forget());
  const Pairer::Forgotten cut = pairer_.forget();
  cut_requests_.add(cut.requests);
  cut_calls_.add(cut.calls);
  correlator_.restart();
}

void Pipeline::finish(BootTime now) {
  pairer_.finish(now);
  correlator_.flush();
}

void Pipeline::reload(const PipelineOptions& options) {
  enrich_.set_rules(options.redaction);
  processes_.set_options(options.processes.resource);
  correlator_.set_threshold(options.links.threshold);
}

}  // namespace wirespan
