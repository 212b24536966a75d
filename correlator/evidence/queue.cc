// Event loops that make one call for each request and let requests wait in a line while all connections are in use
// (proxies with a limit: Envoy's max_connections, HAProxy's maxconn): first come, first served, so the calls are sent
// in the order in which the requests were read. By how many the one runs behind the other is learned, and learned anew
// when a request was answered without a call.
//
// The line is the whole process's or each thread's own; each is tried. It is put to the proof by every answer: the call
// whose turn it was must be among those whose responses were read in the same turn of the loop or in the one before. By
// accident it is as often as those are many of all that are open, which is what a proof counts for. Where a request
// makes several calls or none, the proofs fail, and the process is not believed.
//
// A newcomer may find a connection that has just become free and pass those in line (Envoy). There a call is believed
// only where of those in the line's neighbourhood no other's response was read then: one of them it must be.
//
// Calls that go out in the turn in which their request was read, or in the next, waited for nothing: they are others'
// to tell (`batch`, `relay`).
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"
#include "model/turn.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostLines = 4096;
constexpr std::size_t kMostInLine = 4096;
constexpr std::size_t kMostThreads = 65'536;
constexpr std::size_t kMostInTurns = 512;
constexpr std::size_t kMostWaiting = 1024;
constexpr std::size_t kMostLags = 64;
constexpr std::size_t kMostToSpeak = 16;  // of more calls than that none is likely enough
constexpr std::int64_t kNear = 16;        // in the line: who may have been passed over, or have passed others
constexpr float kAhead = 3;               // as many more answers speak for another lag
constexpr float kProven = 16;             // proofs, each as much as it was no accident
constexpr float kRare = 100;
constexpr float kPassed = 8;  // one in so many may have been passed over
constexpr float kRemembered = 512;
constexpr double kConfidence = 0.98;

std::uint32_t turn_of(const Actor& actor) {
  return actor.loop >= 2 && turn_known(actor) && actor.task == 0 ? actor.loop >> 1U : 0;
}

struct Place {
  std::uint64_t position = 0;
  std::uint32_t tid = 0;
  std::uint32_t turn = 0;
};

// Requests in the order in which they were read, calls in that in which they were sent.
class Line {
 public:
  void read(std::uint64_t request, const Actor& actor) {
    if (calls_sent_ == 0 && requests_read_ >= kMostInLine) return;  // it makes none
    if (requests_.size() >= kMostInLine) requests_.clear();
    requests_[request] = {requests_read_++, actor.thread.tid, turn_of(actor)};
  }
  void sent(std::uint64_t call, const Actor& actor) {
    if (calls_.size() >= kMostInLine) calls_.clear();
    calls_[call] = {calls_sent_++, actor.thread.tid, turn_of(actor)};
  }
  void gone(std::uint64_t request) { requests_.erase(request); }
  void over(std::uint64_t call) { calls_.erase(call); }

  // `now`: calls whose responses have just been read; of `open` requests, one is answered.
  void answered(const NodePtr& request, std::span<const NodePtr> now, std::size_t open, World& world) {
    const auto it = requests_.find(request->number);
    if (it == requests_.end()) return;
    const Place place = it->second;
    requests_.erase(it);
    if (now.size() <= kMostToSpeak) learn(place, now);
    const NodePtr* expected = nullptr;
    std::size_t near = 0;
    bool waited = false;
    bool newcomer = false;
    for (const NodePtr& call : now) {
      const auto found = calls_.find(call->number);
      if (found == calls_.end()) continue;
      const auto lag = static_cast<std::int64_t>(place.position - found->second.position);
      const bool at_once = found->second.tid == place.tid && found->second.turn <= place.turn + 1;
      if (std::abs(lag - lag_) <= kNear) ++near;
      if (lag != lag_) {
        newcomer = newcomer || at_once;
        continue;
      }
      expected = &call;
      waited = !at_once;
    }
    if (!known_) return;
    if (expected == nullptr) {
      if (near <= 1 && !newcomer) fail(loosely_);
      return fail(strictly_);
    }
    if (!waited) return;
    const float accident = static_cast<float>(now.size()) / static_cast<float>(std::max<std::size_t>(open, 1));
    const float weight = 1 - std::min(accident, 1.0F);
    prove(strictly_, weight, kRare, *expected, request, world);
    if (near == 1) prove(loosely_, weight, kPassed, *expected, request, world);
  }

  // What is under way was not seen.
  void restart() {
    requests_.clear();
    calls_.clear();
    lags_.clear();
    strictly_.waiting.clear();
    loosely_.waiting.clear();
    known_ = false;
  }

 private:
  struct Record {
    TrackRecord proofs;
    std::vector<std::pair<NodePtr, NodePtr>> waiting;  // call and request, found before that was proven
  };

  // What waits goes on to: where one is passed over the next is not, and nothing is said of it but by its own answer.
  static void fail(Record& record) { record.proofs.add(false, 1, kRemembered); }

  static void prove(Record& record, float weight, float rare, const NodePtr& call, const NodePtr& request,
                    World& world) {
    record.proofs.add(true, weight, kRemembered);
    if (call->decided || call->blind) return;
    if (record.waiting.size() >= kMostWaiting) record.waiting.clear();
    record.waiting.emplace_back(call, request);
    if (!record.proofs.trusted(kProven, rare)) return;
    for (auto& [made, parent] : record.waiting) {
      if (!made->decided) world.found(made, Claim{parent, std::nullopt, "queue", kConfidence});
    }
    record.waiting.clear();
  }

  void learn(const Place& request, std::span<const NodePtr> now) {
    for (const NodePtr& call : now) {
      const auto sent = calls_.find(call->number);
      if (sent == calls_.end()) continue;
      speaks_for(static_cast<std::int64_t>(request.position - sent->second.position),
                 1.0F / static_cast<float>(now.size()));
    }
  }

  void speaks_for(std::int64_t lag, float weight) {
    if (lags_.size() >= kMostLags) lags_.clear();
    const float votes = lags_[lag] += weight;
    if (known_ && lag == lag_) {
      if (votes > kAhead) lags_ = {{lag, kAhead}};
      return;
    }
    const auto mine = known_ ? lags_.find(lag_) : lags_.end();
    if (votes < kAhead + (mine == lags_.end() ? 0 : mine->second)) return;
    lag_ = lag;
    known_ = true;
    lags_ = {{lag, kAhead}};
    // What was held against the one before says nothing of this one.
    strictly_ = loosely_ = {};
  }

  std::unordered_map<std::uint64_t, Place> requests_;
  std::unordered_map<std::uint64_t, Place> calls_;
  std::uint64_t requests_read_ = 0;
  std::uint64_t calls_sent_ = 0;
  // How many more requests than calls there have been when a call is sent for one.
  std::int64_t lag_ = 0;
  bool known_ = false;
  std::unordered_map<std::int64_t, float> lags_;  // how many answers speak for each, lately
  Record strictly_;
  Record loosely_;
};

class Queue : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "queue"; }
  [[nodiscard]] int rank() const override { return 38; }
  [[nodiscard]] bool needs_all_requests() const override { return true; }

  void restart() override {
    for (Lines* const lines : {&of_processes_, &of_threads_}) {
      for (auto& [id, line] : *lines) line.restart();
    }
    responses_.clear();
  }

  void event(const Event& event, World& /*world*/) override {
    if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      of_processes_.erase(exited->pid);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      responses_.erase(missed->thread.tid);
    }
  }

  void opened(const NodePtr& node, World& world) override {
    const Actor& actor = node->exchange->request->first_byte.actor;
    if (turn_of(actor) == 0 || world.habits.contexts_are_told(node->pid)) return;
    for (const auto& [lines, id] : {std::pair{&of_processes_, node->pid}, {&of_threads_, actor.thread.tid}}) {
      Line& line = get(*lines, id);
      node->role == SpanRole::kServer ? line.read(node->number, actor) : line.sent(node->number, actor);
    }
  }

  void finished(const NodePtr& node, World& /*world*/) override {
    const bool request = node->role == SpanRole::kServer;
    if (!request && node->exchange->response) return;  // it may still be asked for
    const std::uint32_t tid = request ? node->home_tid : node->exchange->request->first_byte.actor.thread.tid;
    for (const auto& [lines, id] : {std::pair{&of_processes_, node->pid}, {&of_threads_, tid}}) {
      const auto line = lines->find(id);
      if (line == lines->end()) continue;
      request ? line->second.gone(node->number) : line->second.over(node->number);
    }
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    const Actor& actor = touched.touch.actor;
    const std::uint32_t turn = turn_of(actor);
    if (touched.kind != MessageKind::kResponse || !touched.first || turn == 0) return;
    if (responses_.size() >= kMostThreads) responses_.clear();
    Responses& responses = responses_[actor.thread.tid];
    if (turn != responses.turn) {
      const bool next = turn == responses.turn + 1;
      const auto old = responses.read.begin() + (next ? responses.before : std::ssize(responses.read));
      std::for_each(responses.read.begin(), old, [&](const NodePtr& call) { over(*call, actor.thread.tid); });
      responses.read.erase(responses.read.begin(), old);
      responses.before = std::ssize(responses.read);
      responses.turn = turn;
    }
    if (node->role == SpanRole::kClient) {
      if (responses.read.size() < kMostInTurns) responses.read.push_back(node);
      return;
    }
    if (responses.read.empty()) return;
    const std::size_t open = world.open.serving(node->pid).size();
    for (const auto& [lines, id] : {std::pair{&of_processes_, node->pid}, {&of_threads_, actor.thread.tid}}) {
      const auto line = lines->find(id);
      if (line != lines->end()) line->second.answered(node, responses.read, open, world);
    }
  }

 private:
  using Lines = std::unordered_map<std::uint32_t, Line>;
  // Calls whose responses a thread has read in a turn and in the one before, those first.
  struct Responses {
    std::uint32_t turn = 0;
    std::vector<NodePtr> read;
    std::ptrdiff_t before = 0;
  };

  // No answer can be its request's any more.
  void over(const Node& call, std::uint32_t tid) {
    for (const auto& [lines, id] : {std::pair{&of_processes_, call.pid}, {&of_threads_, tid}}) {
      const auto line = lines->find(id);
      if (line != lines->end()) line->second.over(call.number);
    }
  }

  static Line& get(Lines& lines, std::uint32_t id) {
    if (lines.size() >= kMostLines && !lines.contains(id)) lines.clear();
    return lines[id];
  }

  Lines of_processes_;
  Lines of_threads_;
  std::unordered_map<std::uint32_t, Responses> responses_;  // by thread
};

}  // namespace

std::unique_ptr<Evidence> make_queue() {
  return std::make_unique<Queue>();
}

}  // namespace wirespan
