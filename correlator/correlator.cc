#include "correlator/correlator.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/hash.h"
#include "correlator/span_builder.h"
#include "model/recycle.h"
#include "model/turn.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostWeakLinks = 3;
constexpr int kDeepestCycleCheck = 256;
constexpr std::int64_t kLossLasts = 10'000'000'000;   // requests that were not seen may be open for so long
constexpr std::int64_t kLongestWait = 2'000'000'000;  // of a request that is not answered, for its caller
constexpr double kDoubtful = 0.75;                    // a span link at best
constexpr std::size_t kMostChecked = 1024;            // open requests of a process among which one is looked for
constexpr std::string_view kHeader = "header";
// wirespan.link.missing
constexpr std::string_view kThreadMoved = "thread_moved";
constexpr std::string_view kAnswerLost = "answer_lost";
constexpr std::string_view kUnproven = "unproven";
// Evidences from this rank on know threads, turns of loops and which requests are open, but not whose task a call is.
constexpr int kThreads = 30;

// Of what is counted as lost, this hides nobody's requests.
bool hides_requests(std::string_view lost) {
  constexpr std::array<std::string_view, 5> kHarmless = {"compat_call", "go_not_g", "turns_map_full",
                                                         "context_map_full", "async_fault"};
  return std::find(kHarmless.begin(), kHarmless.end(), lost) == kHarmless.end();
}

bool is_ancestor(const Node& candidate, const NodePtr& of) {
  NodePtr at = of;
  for (int depth = 0; at && depth < kDeepestCycleCheck; ++depth) {
    if (at.get() == &candidate) return true;
    at = at->link ? at->link->parent : nullptr;
  }
  return at != nullptr;  // too deep to say: refuse
}

// A call that is told late, as where records were lost, meets threads and tasks that have gone on since: what they work
// for now came after it.
bool comes_too_late(const Node& call, const Claim& claim) {
  return call.role == SpanRole::kClient && claim.parent && claim.parent->role == SpanRole::kServer &&
         claim.parent->opened > call.opened;
}

// Who worked for a request whose answer was lost goes on with the next, which may be lost as well.
bool is_of_who_may_have_gone_on(const Node& call, const Claim& claim) {
  return call.role == SpanRole::kClient && claim.parent && claim.parent->role == SpanRole::kServer &&
         claim.parent->answer_lost;
}

}  // namespace

Correlator::Correlator(Sink<Span>& out, ProcessDirectory& processes, const Clock& clock, Counters& counters,
                       CorrelatorOptions options)
    : out_(out),
      processes_(processes),
      clock_(clock),
      counters_(counters),
      options_(std::move(options)),
      open_(options_.most_open),
      activations_(options_.most_open),
      evidence_(all_evidence()),
      unseen_(options_.most_open, options_.provisional_ns),
      spans_(counters.get("correlator.spans")),
      roots_(counters.get("correlator.links.none")),
      overflow_(counters.get("correlator.lost.open_table_full")),
      blind_(counters.get("correlator.calls.blind")),
      synthetic_(counters.get("correlator.synthetic_parents")),
      late_(counters.get("correlator.late_spans")),
      report_(counters) {
  std::erase_if(evidence_, [this](const auto& e) { return options_.disabled.contains(e->name()); });
  begin_inference();
  std::sort(evidence_.begin(), evidence_.end(), [](const auto& a, const auto& b) { return a->rank() < b->rank(); });
  for (const auto& evidence : evidence_) {
    if (evidence->watches_data()) data_watchers_.push_back(evidence.get());
    if (evidence->watches_ends()) end_watchers_.push_back(evidence.get());
  }
}

void Correlator::begin_inference() {
  if (!options_.infer) return;
  inference_ = std::make_unique<LiveInference>(
      options_.window_ns, counters_,
      [this](const NodePtr& call, std::vector<Claim> claims, double distance, std::string_view unlinked) {
        answered(call, std::move(claims), distance, unlinked);
      });
}

void Correlator::restart() {
  // What inference would have to decide without the rest of the story stays undecided.
  inference_.reset();
  settle(now_, true);
  for (const auto& evidence : evidence_) evidence->restart();
  open_.clear();
  activations_.clear();
  errands_.clear();
  unseen_.clear();
  begin_inference();
}

void Correlator::set_share(double share) {
  sampling_ = Sampling(share);
}

void Correlator::accept(const ExchangeItem& item) {
  if (const auto* touch = std::get_if<ExchangeTouched>(&item)) return touched(*touch);
  if (const auto* open = std::get_if<ExchangeOpened>(&item)) return opened(open->exchange);
  finished(std::get<ExchangeFinished>(item).exchange);
}

const Event& Correlator::on_behalf(const Event& event) {
  const auto* const data = std::get_if<event::Data>(&event);
  if (data == nullptr || !errands_.any()) return event;
  const Errand* const errand = errands_.of_task(*data);
  if (errand == nullptr) return event;
  // It may be for one that it has read itself.
  if (data->actor.task == 0 && open_.serving_by_thread(data->actor.thread.tid) > 0) return event;
  instead_ = event;
  Actor& actor = std::get<event::Data>(instead_).actor;
  actor.task = errand->task;
  actor.parent_task = errand->parent_task;
  return instead_;
}

void Correlator::on_event(const Event& event) {
  if (const auto* data = std::get_if<event::Data>(&event)) {
    unseen_.moved(*data);
    for (Evidence* evidence : data->length == 0 ? end_watchers_ : data_watchers_) evidence->event(event, world_);
    return;
  }
  if (const auto* opened = std::get_if<event::Opened>(&event)) {
    traced_ends_.opened(opened->conn);
    if (inference_) inference_->opened(*opened);
  } else if (const auto* closed = std::get_if<event::Closed>(&event)) {
    traced_ends_.closed(*closed->conn);
    unseen_.closed(closed->conn->id);
    if (inference_) inference_->closed(closed->conn->id);
  } else if (const auto* wake = std::get_if<event::Wake>(&event)) {
    if (inference_) inference_->woke(*wake);
  } else if (const auto* lost = std::get_if<event::Lost>(&event)) {
    if (hides_requests(lost->reason)) world_.lossy_until = lost->time + kLossLasts;
  } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
    activations_.forget_thread(missed->thread.tid);
    if (inference_) inference_->exited(missed->thread.tid);
  } else if (const auto* tick = std::get_if<event::Tick>(&event)) {
    settle(tick->time, false);
  } else if (const auto* request = std::get_if<event::Unanswered>(&event)) {
    unseen_.add(*request);
  }
  for (const auto& evidence : evidence_) evidence->event(event, world_);
}

NodePtr Correlator::make_node(const ExchangePtr& exchange) {
  auto node = make_recycled<Node>();
  node->exchange = exchange;
  node->number = exchange->number;
  node->role = exchange->role;
  node->pid = exchange->pid();
  node->process = processes_.find(node->pid);
  node->opened = exchange->request->first_byte.time;
  node->id = exchange->key.valid()
                 ? span_id_of(exchange->key, node->role)
                 : SpanId::from_u64(combine64(combine64(options_.host_seed, node->opened.ns), node->number) | 1U);
  return node;
}

Counter& Correlator::links_by(std::string_view method) {
  for (const auto& [name, counter] : link_counters_) {
    if (name == method) return *counter;
  }
  Counter& counter = counters_.get("correlator.links." + std::string(method));
  link_counters_.emplace_back(method, &counter);
  return counter;
}

void Correlator::opened(const ExchangePtr& exchange) {
  const NodePtr node = make_node(exchange);
  if (!exchange->request->carried.empty()) node->carried = extract(exchange->request->carried);
  now_ = std::max(now_, node->opened);

  // Inference would take what is not known of a thread for what nobody does there.
  const bool in_turn = turn_known(exchange->request->first_byte.actor);
  if (node->role == SpanRole::kClient && (unseen_.any_of(node->pid) || !in_turn)) {
    node->blind = true;
    blind_.add();
  }
  const bool known = open_.insert(node);
  if (!known) overflow_.add();
  if (node->role == SpanRole::kClient) {
    decide(node, true);
    // The callee's read can be seen before the caller's write: its span is waiting for this one.
    const NodePtr peer = known && exchange->key.valid() ? open_.peer_of(*node) : nullptr;
    if (peer) node->peer_seen = peer->peer_seen = true;
    if (peer && !peer->decided && !is_ancestor(*peer, node)) link(peer, Claim{node, std::nullopt, "peer", 1.0});
    if (peer && peer->synthetic_parent && !peer->emitted) {
      // Too late to be the parent, as spans of that trace are out; still no secret.
      peer->synthetic_parent = false;
      peer->weak.push_back(Claim{node, std::nullopt, "peer", 1.0});
    }
  } else {
    // The caller's end of a connection may be told after the callee has read from it: with the first request of a new
    // one, or with the first that is seen of one older than the agent.
    const bool first =
        exchange->conn->adopted ? traced_ends_.is_first_request(*exchange->conn) : exchange->request->position == 0;
    const bool fresh = exchange->key.valid() && first;
    decide(node, !fresh && !traced_ends_.other_end_of(*exchange->conn));
    if (!node->decided) undecided_.push_back(node);
  }
  for (const auto& evidence : evidence_) evidence->opened(node, world_);
  if (!inference_ || !known || node->blind) return;
  // Where threads stay with their requests there is nothing to infer, but for calls of threads that read none.
  const bool stays = habits_.of(node->pid) == ThreadHabits::Verdict::kStays;
  if (stays && !habits_.hands_over(node->pid)) {
    if (node->role == SpanRole::kServer || node->decided || node->provisional) return;
    habits_.hands_calls_over(node->pid);
  }
  inference_->opened(node);
  if (node->true_request == 0) return;
  // Traffic that carries headers teaches inference, and tells what its confidence is worth.
  if (const NodePtr truth = open_.find(node->true_request)) inference_->known(*node, *truth, true);
}

void Correlator::answered(const NodePtr& call, std::vector<Claim> claims, double runner_up_distance,
                          std::string_view unlinked) {
  if (call->decided) return;
  call->runner_up_distance = runner_up_distance;
  if (now_ < world_.lossy_until || call->queued) {
    // The request it was made for may be one that was not seen: no count of what fits accounts for that. And what is
    // certain of calls that are made at once teaches nothing of one that had to wait.
    for (Claim& claim : claims) claim.confidence = std::min(claim.confidence, kDoubtful);
  }
  const bool sure = !claims.empty() && claims.front().confidence >= options_.threshold;
  if (call->provisional) {
    if (sure && !call->fallback) call->fallback = std::move(claims.front());
    return;
  }
  if (sure) return link(call, std::move(claims.front()));
  call->weak = std::move(claims);
  if (call->weak.size() > kMostWeakLinks) call->weak.resize(kMostWeakLinks);
  begin_trace(call);
  call->unlinked_reason = unlinked;
}

// The work it was part of is over: which requests are open says nothing of it.
void Correlator::look_for_late_work(Node& call) {
  for (const auto& evidence : evidence_) {
    if (call.after = evidence->late(call, world_); call.after) return;
  }
}

void Correlator::decide(const NodePtr& node, bool last_chance) {
  bool looked = node->role != SpanRole::kClient;
  for (const auto& evidence : evidence_) {
    if (evidence->rank() >= kThreads && !node->provisional) {
      if (!std::exchange(looked, true)) look_for_late_work(*node);
      if (node->after) continue;
    }
    auto claim = evidence->claim(*node, world_);
    if (!claim || (node->blind && evidence->needs_all_requests()) || comes_too_late(*node, *claim)) continue;
    if (claim->parent && claim->parent->exchange && node->exchange->key.valid() &&
        claim->parent->exchange->key == node->exchange->key && node->role == SpanRole::kClient) {
      continue;  // a service calling itself: its own server end is not its parent
    }
    if (!evidence->told_by_messages() && is_of_who_may_have_gone_on(*node, *claim)) continue;
    const bool nearest = claim->method == "peer";
    if (node->role == SpanRole::kServer && !nearest && !last_chance) return;  // the client's end may still show up
    if (claim->confidence >= options_.threshold) {
      claim->lossy = !evidence->told_by_messages() && losses_touch(*claim);
      if (claim->waits() && !node->provisional) {
        node->provisional = std::move(*claim);
      } else if (!claim->waits() && node->provisional) {
        node->fallback = std::move(*claim);
        break;
      } else if (!claim->waits()) {
        const bool from_header = evidence->name() == kHeader && node->role == SpanRole::kClient;
        link(node, std::move(*claim));
        if (from_header) check(node);
        return;
      }
      continue;
    }
    if (node->weak.size() < kMostWeakLinks) node->weak.push_back(std::move(*claim));
  }
  if (node->role == SpanRole::kClient) {
    node->candidates = static_cast<std::uint32_t>(open_.serving(node->pid).size());
  }
  if (node->provisional) {
    wait_for_parent(node);
  } else if (last_chance && !(inference_ && node->candidates > 0 && !node->blind && !node->after)) {
    begin_trace(node);
  }
}

void Correlator::check(const NodePtr& call) {
  NodePtr truth;
  if (call->blind || open_.serving(call->pid).size() > kMostChecked) return;
  for (const NodePtr& serving : open_.serving(call->pid)) {
    if (!serving->carried || !(serving->carried->trace == call->carried->trace)) continue;
    if (truth) return;  // a context used again and again gives nothing away
    truth = serving;
  }
  if (!truth || truth->opened > call->opened) return;
  call->true_request = truth->number;
  report_.checked(*call);
  for (const auto& evidence : evidence_) {
    if (evidence->name() == kHeader) continue;
    const auto claim = evidence->claim(*call, world_);
    if (!claim || !claim->parent || claim->provisional || claim->unproven || claim->confidence < options_.threshold)
      continue;
    judge(call, *claim);
    break;
  }
}

void Correlator::judge(const NodePtr& call, const Claim& claim) {
  if (call->judged || call->true_request == 0 || !claim.parent) return;
  call->judged = true;
  report_.judged(*call, claim.parent->number);
}

void Correlator::confirm_children(Node& parent) {
  for (const std::weak_ptr<Node>& child : parent.provisional_children) {
    const NodePtr node = child.lock();
    if (!node || node->decided || !node->provisional) continue;
    const bool moved = parent.answered_elsewhere || habits_.of(parent.pid) == ThreadHabits::Verdict::kMoves;
    const Claim& claim = *node->provisional;
    const bool over = parent.exchange->incomplete == "lost" || (claim.lossy && node->opened > parent.exchange->ended);
    if (claim.unproven && !over) continue;  // its evidence goes on watching
    settle_provisional(node, over ? kAnswerLost : claim.provisional && moved ? kThreadMoved : "");
  }
  parent.provisional_children.clear();
}

void Correlator::settle_provisional(const NodePtr& node, std::string_view against) {
  std::optional<Claim> claim = against.empty() ? std::move(node->provisional) : std::move(node->fallback);
  node->provisional.reset();
  node->fallback.reset();
  if (claim) return link(node, std::move(*claim));
  if (inference_ && inference_->waits(*node)) return;
  begin_trace(node);
  node->unlinked_reason = against;
}

bool Correlator::losses_touch(const Claim& claim) const {
  return now_ < world_.lossy_until && claim.parent && claim.parent->role == SpanRole::kServer &&
         !claim.parent->finished;
}

void Correlator::wait_for_parent(const NodePtr& node) {
  node->provisional->parent->provisional_children.push_back(node);
  provisional_.push_back(node);
}

void Correlator::link(const NodePtr& node, Claim claim) {
  links_by(claim.method).add();
  node->weak.clear();
  if (node->role == SpanRole::kServer && claim.parent) node->peer_seen = claim.parent->peer_seen = true;
  if (claim.remote) {
    node->trace = claim.remote->trace;
    node->trace_flags = claim.remote->flags;
    node->trace_state = claim.remote->trace_state;
  }
  node->link = std::move(claim);
  node->decided = true;
  if (inference_ && node->link->parent) inference_->known(*node, *node->link->parent);
  take_stock(*node);
  resolve_trace(node);
}

void Correlator::found(const NodePtr& call, Claim claim) {
  if (claim.confidence >= options_.threshold) judge(call, claim);
  if (call->decided || call->blind || claim.confidence < options_.threshold || is_ancestor(*call, claim.parent)) return;
  if (comes_too_late(*call, claim)) return;
  call->provisional.reset();
  call->fallback.reset();
  claim.lossy = losses_touch(claim);
  if (!claim.lossy) return link(call, std::move(claim));
  call->provisional = std::move(claim);
  wait_for_parent(call);
}

void Correlator::begin_trace(const NodePtr& node) {
  roots_.add();
  node->decided = true;
  if (node->role == SpanRole::kClient) {
    const auto& serving = open_.serving(node->pid);
    node->candidates = static_cast<std::uint32_t>(serving.size());
    if (!serving.empty()) {
      node->unlinked_reason =
          "several_open";  // requests were open; nothing the kernel showed tied this call to one of them
    }
  }
  if (node->role == SpanRole::kServer && node->exchange->key.valid() && !node->peer_seen) {
    node->synthetic_parent = traced_ends_.other_end_of(*node->exchange->conn);
  }
  // Only this host names its traces, so the time and the host may go in: 128 bits that do not repeat.
  const std::uint64_t high = combine64(options_.host_seed, node->opened.ns);
  node->trace = TraceId::from_u64(high, combine64(high, node->id.to_u64()));
  if (sampling_.sampled()) node->trace_state = sampling_.trace_state(node->trace);
  if (node->blind) node->unlinked_reason = "window_began";
  if (!node->after) return;
  node->weak = {std::move(*node->after)};
  node->after.reset();
  node->unlinked_reason = "after_answer";
}

void Correlator::refuted(const NodePtr& call) {
  if (!call->decided && call->provisional && call->provisional->unproven) settle_provisional(call, kUnproven);
}

void Correlator::touched(const ExchangeTouched& item) {
  const NodePtr node = open_.find(item.exchange->number);
  if (!node) return;
  if (inference_) inference_->touched(*node, item.kind, item.touch);
  if (item.kind == MessageKind::kResponse) node->answering = true;
  for (const auto& evidence : evidence_) evidence->touched(node, item, world_);
}

void Correlator::finished(const ExchangePtr& exchange) {
  now_ = std::max(now_, exchange->ended);
  const NodePtr node = open_.find(exchange->number);
  if (!node) {
    // The table was full when it opened: still a span, but alone.
    const NodePtr lone = make_node(exchange);
    begin_trace(lone);
    lone->unlinked_reason = "table_full";
    emit(lone);
    return;
  }
  node->finished = true;
  node->answer_lost = node->exchange->incomplete == "lost";
  if (inference_) inference_->finished(*node);
  for (const auto& evidence : evidence_) evidence->finished(node, world_);
  open_.erase(*node);
  if (!node->provisional_children.empty()) confirm_children(*node);
  take_stock(*node);
  if (!ready(node)) {
    waiting_.push_back(node);
    return;
  }
  emit(node);
  if (node->role == SpanRole::kClient && traced_ends_.other_end_of(*exchange->conn) && !open_.peer_of(*node)) {
    keyed_.push_back(node);  // the callee's span may still ask for it
  } else {
    release(*node);
  }
}

void Correlator::release(Node& node) {
  open_.forget_key(node);
  node.exchange.reset();
}

bool Correlator::ready(const NodePtr& node) {
  if (!resolve_trace(node)) return false;
  return std::all_of(node->weak.begin(), node->weak.end(),
                     [](const Claim& claim) { return !claim.parent || resolve_trace(claim.parent); });
}

bool Correlator::resolve_trace(const NodePtr& node) {
  if (node->trace.valid()) return node->decided;
  // Up to the nearest ancestor whose trace is known, then down again, so that a long chain is walked once.
  std::vector<Node*> path;
  Node* at = node.get();
  while (!at->trace.valid()) {
    if (!at->decided || !at->link || !at->link->parent) return false;
    path.push_back(at);
    at = at->link->parent.get();
  }
  if (!at->decided) return false;
  for (auto it = path.rbegin(); it != path.rend(); ++it) {
    (*it)->trace = at->trace;
    (*it)->trace_flags = at->trace_flags;
    (*it)->trace_state = at->trace_state;
  }
  return true;
}

// Where more threads want to run than there are CPUs, a sender may be put aside between what it sends and what tells of
// that, for longer than its callee needs to answer.
bool Correlator::overdue(const Node& server) const {
  const BootTime since = server.finished ? server.exchange->ended : server.opened;
  return now_ - since >= (server.finished ? options_.linger_ns : std::max(options_.linger_ns, kLongestWait));
}

void Correlator::settle(BootTime now, bool all) {
  now_ = std::max(now_, now);
  unseen_.advance(now_);
  if (all) {
    for (const auto& evidence : evidence_) evidence->closing(world_);
  }
  if (inference_) all ? inference_->finish() : inference_->advance(now_);
  std::erase_if(undecided_, [&](const NodePtr& node) {
    if (!node->decided && (all || overdue(*node))) decide(node, true);
    return node->decided;
  });
  std::erase_if(provisional_, [&](const NodePtr& node) {
    // A request that is not answered for so long (a stream, a long poll) proves nothing in time.
    if (!node->decided && node->provisional && (all || now_ - node->opened >= options_.provisional_ns)) {
      const Claim& claim = *node->provisional;
      settle_provisional(node, claim.provisional ? kThreadMoved : claim.unproven ? kUnproven : kAnswerLost);
    }
    return node->decided || !node->provisional;
  });
  std::erase_if(waiting_, [&](const NodePtr& node) {
    if (!ready(node)) {
      if (!all) return false;
      if (!resolve_trace(node)) begin_trace(node);
      node->weak.clear();
    }
    emit(node);
    release(*node);
    return true;
  });
  while (!keyed_.empty() && (all || now_ - keyed_.front()->exchange->ended >= options_.linger_ns)) {
    release(*keyed_.front());
    keyed_.pop_front();
  }
}

void Correlator::flush() {
  settle(now_, true);
}

void Correlator::take_stock(Node& node) {
  if (node.told || !node.finished || !node.link || !node.link->parent) return;
  node.told = true;
  Node::Below add = node.below;
  ++add.seen;
  if (node.role == SpanRole::kClient && !node.peer_seen) {
    ++(traced_ends_.other_end_of(*node.exchange->conn) ? add.lost : add.untraced);
  }
  if (node.link->parent->emitted) late_.add();
  // Who has not been told of yet takes it along when it is.
  const Node* at = &node;
  for (int depth = 0; depth < kDeepestCycleCheck && at->told && at->link->parent; ++depth) {
    Node& parent = *at->link->parent;
    parent.below.seen += add.seen;
    parent.below.lost += add.lost;
    parent.below.untraced += add.untraced;
    at = &parent;
  }
}

void Correlator::emit_synthetic_parent(const Node& node) {
  const ConnectionPtr caller = traced_ends_.caller_of(*node.exchange->conn);
  if (!caller) return;
  synthetic_.add();
  build_synthetic_parent(node, caller, processes_.find(caller->pid), clock_, span_);
  out_.take(std::move(span_));
}

void Correlator::emit(const NodePtr& node) {
  spans_.add();
  node->emitted = true;
  if (node->synthetic_parent) emit_synthetic_parent(*node);
  report_.emitted(*node);
  build_span(*node, clock_, span_);
  if (sampling_.sampled()) span_.attributes.set("wirespan.sampling.ratio", sampling_.share());
  out_.take(std::move(span_));
}

}  // namespace wirespan
