// Exchanges in, spans with parents out. The only place where a link is decided; the reasons live in
// correlator/evidence.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "correlator/evidence/evidence.h"
#include "correlator/link_report.h"
#include "correlator/live_inference.h"
#include "correlator/sampling.h"
#include "correlator/traced_ends.h"
#include "correlator/unseen_requests.h"
#include "model/exchange.h"
#include "model/process.h"
#include "model/sink.h"
#include "model/span.h"

namespace wirespan {

struct CorrelatorOptions {
  double threshold = 0.8;  // below: a span link on a trace of its own, not a parent
  std::int64_t linger_ns =
      100'000'000;  // how long an incoming request waits for the other end of its connection to be seen
  // How long a call waits for its parent to show how it is answered.
  std::int64_t provisional_ns = 30'000'000'000;
  std::uint64_t host_seed = 0;             // mixed into the ids of traces that begin here; differs between hosts
  std::int64_t window_ns = 2'000'000'000;  // how long an inferred link may take
  std::size_t most_open = 100'000;         // exchanges open at once; past it they become spans without links, counted
  // Links by timing and structure (correlator/inference). Off: calls that no evidence can place when they are made or
  // answered begin a trace of their own at once, instead of after the window.
  bool infer = true;
  std::set<std::string, std::less<>> disabled = {};  // names of evidences not to use
};

// One thread. Takes events as well as exchanges: connections, wake-ups and forks are evidence.
class Correlator : public Sink<ExchangeItem> {
 public:
  Correlator(Sink<Span>& out, ProcessDirectory& processes, const Clock& clock, Counters& counters,
             CorrelatorOptions options);

  void accept(const ExchangeItem& item) override;
  // In ring-buffer order with the exchanges that came of the same events; before them for connections, after them for
  // the rest.
  void on_event(const Event& event);
  // What is to be told instead of the event: data that a thread moved for a task that gave it the work says so. Valid
  // until the next call.
  [[nodiscard]] const Event& on_behalf(const Event& event);
  const Event& on_behalf(Event&&) = delete;
  // A sampling window ended: what is finished goes out as it is, what is open is forgotten.
  void restart();
  // Of the window that begins: said on every span, and, where a trace begins here, in its tracestate.
  void set_share(double share);
  void set_threshold(double threshold) { options_.threshold = threshold; }
  // Everything still waiting goes out now, as it is.
  void flush();

 private:
  void begin_inference();
  void opened(const ExchangePtr& exchange);
  void touched(const ExchangeTouched& item);
  void finished(const ExchangePtr& exchange);
  void look_for_late_work(Node& call);
  void decide(const NodePtr& node, bool last_chance);
  void link(const NodePtr& node, Claim claim);
  void found(const NodePtr& call, Claim claim);
  void refuted(const NodePtr& call);
  // A call that a header has just linked: what would have been said of it without?
  void check(const NodePtr& call);
  void judge(const NodePtr& call, const Claim& claim);
  // The request that calls were provisionally linked to has ended: they are, or they are not.
  void confirm_children(Node& parent);
  // `against`: wirespan.link.missing, empty where it is proven.
  void settle_provisional(const NodePtr& node, std::string_view against);
  // While events are lost a request may be over, and the next one read, unseen: until it is answered nothing is
  // certain.
  [[nodiscard]] bool losses_touch(const Claim& claim) const;
  void wait_for_parent(const NodePtr& node);
  void begin_trace(const NodePtr& node);
  // True when everything the node's span says about other spans is final.
  static bool ready(const NodePtr& node);
  static bool resolve_trace(const NodePtr& node);
  [[nodiscard]] NodePtr make_node(const ExchangePtr& exchange);
  Counter& links_by(std::string_view method);
  void answered(const NodePtr& call, std::vector<Claim> claims, double runner_up_distance, std::string_view unlinked);
  // Whether a server's other end has had the time to show up.
  [[nodiscard]] bool overdue(const Node& server) const;
  void settle(BootTime now, bool all);
  void emit(const NodePtr& node);
  // What is known to be missing around a span, told upwards to the span that enters this host.
  void take_stock(Node& node);
  void emit_synthetic_parent(const Node& node);
  // Forgets what only links to come need.
  void release(Node& node);

  Sink<Span>& out_;
  ProcessDirectory& processes_;
  const Clock& clock_;
  Counters& counters_;
  CorrelatorOptions options_;
  OpenTable open_;
  Activations activations_;
  ThreadHabits habits_;
  Errands errands_;
  World world_{open_,
               activations_,
               habits_,
               errands_,
               [this](const NodePtr& call, Claim claim) { found(call, std::move(claim)); },
               [this](const NodePtr& call) { refuted(call); }};
  std::vector<std::unique_ptr<Evidence>> evidence_;
  std::vector<Evidence*> data_watchers_;
  std::vector<Evidence*> end_watchers_;
  std::unique_ptr<LiveInference> inference_;  // null when switched off
  TracedEnds traced_ends_;
  UnseenRequests unseen_;
  Sampling sampling_;
  std::vector<NodePtr> provisional_;  // calls that wait for their parent's end
  std::vector<NodePtr> undecided_;    // servers whose other end may still show up
  std::vector<NodePtr> waiting_;      // finished, not out yet
  std::deque<NodePtr> keyed_;         // clients that finished before their server was seen, in order
  BootTime now_{};
  Event instead_;  // reused
  Span span_;      // reused: its buffers come back from who takes it
  std::vector<std::pair<std::string_view, Counter*>> link_counters_;
  Counter& spans_;
  Counter& roots_;
  Counter& overflow_;
  Counter& blind_;
  Counter& synthetic_;
  Counter& late_;
  LinkReport report_;
};

}  // namespace wirespan
