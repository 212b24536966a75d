#include "correlator/live_inference.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/hash.h"
#include "model/turn.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 65'536;
constexpr std::size_t kMostThreads = 65'536;
// A second: at most some fifth of a core, where each call has five candidates.
constexpr std::uint32_t kMostWork = 20'000;
constexpr std::size_t kMostConnecting = 65'536;
constexpr std::size_t kMostCandidates = 4;
constexpr float kLeastProbability = 0.05F;

// Threads by number, goroutines by process and number.
std::uint32_t id_of(const Actor& actor) {
  if (actor.task == 0) return actor.thread.tid;
  return static_cast<std::uint32_t>(combine64(mix64(actor.thread.pid), actor.task)) | 0x80000000U;
}

std::uint32_t conn_of(const Connection& conn) {
  return static_cast<std::uint32_t>(mix64(static_cast<std::uint64_t>(conn.id)));
}

// 0, "not known", where its turn is not: two spots of a thread would seem to be of the same one.
std::uint32_t place_of(const Actor& actor) {
  return turn_known(actor) ? id_of(actor) : 0;
}

// Who is called, as well as a connection's end can tell.
std::string peer_of(const Connection& conn) {
  const Address& remote = conn.remote;
  if (remote.family == Address::Family::kUnix) return remote.path;
  return remote.ip_text() + ":" + std::to_string(remote.port);
}

}  // namespace

LiveInference::LiveInference(std::int64_t window_ns, Counters& counters, Answer answer)
    : window_ns_(window_ns),
      answer_(std::move(answer)),
      engine_({.window_ns = window_ns, .max_work_per_second = kMostWork}, counters,
              [this](const inference::Decision& d) { decided(d); }) {}

std::int64_t LiveInference::in_order(BootTime time) {
  return last_ns_ = std::max(last_ns_, static_cast<std::int64_t>(time.ns));
}

inference::Spot LiveInference::reads(const Node& node, MessageKind kind, const Touch& touch) {
  const std::uint32_t id = id_of(touch.actor);
  const std::uint32_t message = message_of(node, kind);
  if (threads_.size() >= kMostThreads) threads_.clear();
  // What was copied of a message no longer is told late.
  if (Thread& thread = threads_[id]; thread.at <= touch.time) {
    thread.read = message;
    thread.at = touch.time;
    thread.woken = 0;
  }
  return {place_of(touch.actor), touch.actor.loop, message, 0, conn_of(*node.exchange->conn), 0, 0};
}

inference::Spot LiveInference::sends(std::uint32_t what, std::uint32_t conn, const Actor& actor) {
  const std::uint32_t id = id_of(actor);
  if (threads_.size() >= kMostThreads) threads_.clear();
  Thread& thread = threads_[id];
  return {place_of(actor), actor.loop, thread.read, thread.woken, conn, what, std::exchange(thread.sent, what)};
}

void LiveInference::opened(const event::Opened& opened) {
  const Connection& conn = *opened.conn;
  if (conn.side != TcpSide::kActive || opened.actor.thread.tid == 0 || conn.adopted) return;
  if (connecting_.size() >= kMostConnecting) connecting_.clear();
  const std::uint32_t id = conn_of(conn);
  connecting_[conn.id] = sends(id | 1U, id, opened.actor);
}

void LiveInference::woke(const event::Wake& wake) {
  const auto waker = threads_.find(id_of(wake.waker));
  if (waker == threads_.end()) return;
  // Who was woken itself and has read nothing since hands on what it was given.
  const std::uint32_t hands_on = waker->second.woken != 0 ? waker->second.woken : waker->second.read;
  if (threads_.size() >= kMostThreads) return;
  threads_[wake.wakee.tid].woken = hands_on;
}

void LiveInference::touched(const Node& node, MessageKind kind, const Touch& touch) {
  const bool request = kind == MessageKind::kRequest;
  if (request == (node.role == SpanRole::kClient)) {
    if (!request && requests_.contains(node.number) && !node.answering)
      engine_.request_answered(node.number, sends(message_of(node, kind), conn_of(*node.exchange->conn), touch.actor));
    return;
  }
  const inference::Spot spot = reads(node, kind, touch);
  if (request && requests_.contains(node.number)) engine_.request_read(node.number, spot);
}

void LiveInference::known(const Node& call, const Node& parent, bool drawn) {
  if (call.role != SpanRole::kClient) return;
  calls_.erase(call.number);
  engine_.call_known(call.number, parent.number, drawn);
}

void LiveInference::opened(const NodePtr& node) {
  const Message& request = *node->exchange->request;
  inference::Spot read;
  if (node->role == SpanRole::kServer) read = reads(*node, MessageKind::kRequest, request.last_byte);
  if (node->role == SpanRole::kServer && !calling_.contains(node->pid)) return;
  const std::uint32_t process = engine_.process(node->process->service, std::to_string(node->pid));
  const std::int64_t at = in_order(node->opened);
  const std::string& op = request.name;
  if (node->role == SpanRole::kServer) {
    requests_.emplace(node->number, node);
    engine_.request_started(process, node->number, op, at, read);
    return;
  }
  if (calling_.size() < kMostProcesses) calling_.insert(node->pid);
  if (!node->decided) calls_.emplace(node->number, node);
  // On a connection opened for it, a call began with that.
  inference::Spot began =
      sends(message_of(*node, MessageKind::kRequest), conn_of(*node->exchange->conn), request.first_byte.actor);
  if (const auto it = connecting_.find(node->exchange->conn->id); it != connecting_.end()) {
    began = it->second;
    connecting_.erase(it);
  }
  if (!engine_.call_started(process, node->number, peer_of(*node->exchange->conn), op, at, began)) {
    if (!node->decided) refused_.emplace_back(at, node->number);
    return;
  }
  if (node->link && node->link->parent) known(*node, *node->link->parent);
}

void LiveInference::finished(const Node& node) {
  const std::int64_t at = in_order(node.exchange->ended);
  if (node.role == SpanRole::kClient) {
    inference::Spot ended;
    if (const auto& response = node.exchange->response) {
      const Actor& actor = response->last_byte.actor;
      ended = {place_of(actor),
               actor.loop,
               message_of(node, MessageKind::kResponse),
               0,
               conn_of(*node.exchange->conn),
               0,
               0};
    }
    return engine_.call_ended(node.number, at, ended);
  }
  if (!requests_.contains(node.number)) return;
  engine_.request_ended(node.number, at);
  over_.emplace_back(at, node.number);
}

void LiveInference::advance(BootTime now) {
  const std::int64_t at = in_order(now);
  engine_.advance(at);
  // Other evidence had as much time as with the others.
  while (!refused_.empty() && at - refused_.front().first > window_ns_) give_up_refused();
  while (over_from_ < over_.size() && at - over_[over_from_].first > 2 * window_ns_) {
    requests_.erase(over_[over_from_++].second);
  }
  if (over_from_ > 4096 && over_from_ * 2 > over_.size()) {
    over_.erase(over_.begin(), over_.begin() + static_cast<std::ptrdiff_t>(over_from_));
    over_from_ = 0;
  }
}

void LiveInference::give_up_refused() {
  inference::Decision nothing;
  nothing.call = refused_.front().second;
  nothing.given_up = true;
  refused_.pop_front();
  decided(nothing);
}

void LiveInference::finish() {
  engine_.finish();
  while (!refused_.empty()) give_up_refused();
  calls_.clear();
}

void LiveInference::decided(const inference::Decision& decision) {
  const auto it = calls_.find(decision.call);
  if (it == calls_.end()) return;  // it was certain
  const NodePtr call = std::move(it->second);
  calls_.erase(it);
  std::vector<Claim> claims;
  const auto claim = [&](std::uint64_t request, double probability) {
    const auto found = requests_.find(request);
    if (found != requests_.end()) claims.push_back({found->second, std::nullopt, "inferred", probability});
  };
  if (decision.parent != 0) claim(decision.parent, static_cast<double>(decision.confidence));
  for (const inference::Candidate& candidate : decision.candidates) {
    if (claims.size() >= kMostCandidates || candidate.probability < kLeastProbability) break;
    if (candidate.request != decision.parent) claim(candidate.request, static_cast<double>(candidate.probability));
  }
  const bool nothing = claims.empty();
  answer_(call, std::move(claims), static_cast<double>(decision.runner_up_distance),
          decision.given_up ? "over_budget"
          : nothing         ? "none_fits"
                            : "ambiguous");
}

}  // namespace wirespan
