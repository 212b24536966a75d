// Event loops that see to each thing they read before they read the next: what is sent right after a message was read,
// in the same turn of the loop, is sent because of it.
//
// Two rules. "answered": the first thing sent after a call's response is the answer to a request; then the call was
// made for that request. "turn": what is sent after a request, or after a response whose call's parent is known, before
// anything else is read or answered, is a call for that request. Loops that read a batch first and work it off later
// (HAProxy) break both: two answers follow the same response. Those that put work off to a later turn, or to timers,
// answer without having read anything. Both are counted, and the rules are not believed there. The second rule is
// believed only where the first has confirmed it over and over: threads that write what other threads hand them (the
// JDK's HttpClient) keep to it only by accident.
//
// Where a response ends with its connection (FastCGI without keep-alive, HTTP/1.0), that end is read last, some turns
// later. The answer that follows must be to the request the second rule says, or both are counted as failed.
#include "model/turn.h"

#include <array>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/generations.h"
#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;
constexpr std::size_t kMostFresh = 16'384;
constexpr std::size_t kMostSingle = 2048;
constexpr float kProvenCalls = 32;
constexpr float kRareCalls = 400;
constexpr std::size_t kMostPutOff = 1024;
constexpr std::size_t kLookedThrough = 64;
constexpr std::size_t kMostGuesses = 4096;  // twice: calls whose response is due

class Turn : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "turn"; }
  [[nodiscard]] int rank() const override { return 33; }
  [[nodiscard]] bool needs_all_requests() const override { return true; }
  void restart() override {
    unproven_ = nullptr;
    threads_.clear();
    fresh_.clear();
    single_.clear();
    guesses_.clear();
    for (auto& [pid, process] : processes_) {
      process.answered.clear();
      for (Pairs& pairs : process.guessed) pairs.clear();
    }
  }

  void event(const Event& event, World& world) override {
    if (const auto* opened = std::get_if<event::Opened>(&event)) return connecting(*opened);
    if (const auto* closed = std::get_if<event::Closed>(&event)) {
      fresh_.erase(closed->conn->id);
      single_.erase(closed->conn->id);
    } else if (const auto* data = std::get_if<event::Data>(&event)) {
      if (data->length == 0 && !single_.empty()) ended(*data, world);
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      threads_.erase(missed->thread.tid);
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    }
  }
  [[nodiscard]] bool watches_ends() const override { return true; }

  void opened(const NodePtr& node, World& world) override {
    // Its claim has just been asked for.
    if (const NodePtr parent = std::exchange(unproven_, nullptr); parent && !node->decided) {
      put_off(process_of(node->pid).guessed[guessed_of(node->number).circumstances], node, parent);
    }
    const Message& request = *node->exchange->request;
    if (node->role == SpanRole::kServer) return read(node, MessageKind::kRequest, request.last_byte, world);
    remember_single(node);
    // A call that goes out on the connection a response just freed may have waited for it: it says nothing of what
    // comes next.
    State* state = in_turn(request.first_byte.actor, node->opened);
    if (state != nullptr && !reuses(*state, node->exchange->conn->id)) state->sent = true;
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    const bool server = node->role == SpanRole::kServer;
    if (server == (touched.kind == MessageKind::kRequest)) return read(node, touched.kind, touched.touch, world);
    if (server && touched.first) answer(node, touched.touch);
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient || world.habits.contexts_are_told(node.pid)) return std::nullopt;
    Guess guess;
    if (const auto it = fresh_.find(node.exchange->conn->id); it != fresh_.end()) {
      guess = it->second;
      fresh_.erase(it);
    } else {
      guess = cause(node.exchange->request->first_byte.actor, node.opened, node.exchange->conn->id);
    }
    NodePtr parent = guess.request != 0 ? world.open.find(guess.request) : nullptr;
    if (!parent || parent->answering) return std::nullopt;
    remember(node.number, guess);
    if (!believed(process_of(node.pid), guess.circumstances)) {
      unproven_ = parent;
      return std::nullopt;
    }
    return Claim{std::move(parent), std::nullopt, "turn", 0.99};
  }

 private:
  struct State {
    std::uint32_t loop = 0;
    BootTime at{};
    std::uint64_t message = 0;
    NodePtr node;  // whose request or response was read last
    MessageKind kind{};
    bool sent = false;      // something was, since
    bool answered = false;  // that was an answer, or one was sent after it
    NodePtr call;           // "answered": proven once the next message is read and no other answer was sent before
    NodePtr request;
    bool clash = false;
    bool end = false;  // what was read last is the end of `node`'s connection
  };
  // The request a call seems to be made for, by the second rule, and under what circumstances: each kind has to prove
  // itself. Where timers may run, or where the call goes out on the connection that the response just freed (perhaps
  // one that had waited for it), the rule holds in some services and not in others.
  enum Circumstance : std::uint8_t { kTimers = 1, kReused = 2 };
  struct Guess {
    std::uint64_t request = 0;  // 0: none
    std::uint8_t circumstances = 0;
  };
  using Pairs = std::vector<std::pair<NodePtr, NodePtr>>;  // call and request
  struct Process {
    TrackRecord answers;
    TrackRecord explained;             // answers that follow something read, at once
    std::array<TrackRecord, 4> calls;  // by circumstances
    // Found before the rules had proven themselves.
    Pairs answered;
    std::array<Pairs, 4> guessed;
  };

  static bool reuses(const State& state, ConnId conn) {
    return state.kind == MessageKind::kResponse && state.node->exchange && state.node->exchange->conn->id == conn;
  }
  static bool timers_may_run(std::uint32_t loop) { return (loop & 1U) != 0; }

  static bool in_loop(const Actor& actor) { return actor.loop >= 2 && turn_known(actor); }

  // The state of a thread that runs a loop and is still in the turn in which it read something. By thread, not by
  // goroutine: those do not run loops.
  // Null for what is told late: it was done before the last thing the thread read.
  State* in_turn(const Actor& actor, BootTime at) {
    const auto it = threads_.find(actor.thread.tid);
    if (it == threads_.end() || at < it->second.at || !in_loop(actor) || it->second.loop >> 1U != actor.loop >> 1U)
      return nullptr;
    return &it->second;
  }

  void read(const NodePtr& node, MessageKind kind, const Touch& touch, World& world) {
    if (!in_loop(touch.actor)) return;
    if (threads_.size() >= kMostThreads) threads_.clear();
    State& state = threads_[touch.actor.thread.tid];
    if (touch.time < state.at) return;  // told late
    const std::uint64_t message = node->number << 1U | (kind == MessageKind::kResponse ? 1U : 0U);
    const bool same_turn = state.loop >> 1U == touch.actor.loop >> 1U;
    state.at = touch.time;
    if (state.message == message && same_turn) return;
    settle(state, world);
    state.loop = touch.actor.loop;
    state.message = message;
    state.node = node;
    state.kind = kind;
    state.sent = state.answered = state.end = false;
  }

  // A connection's end is read as a message is, unless the answer has begun: then nothing waited for it.
  void ended(const event::Data& end, World& world) {
    const auto single = single_.find(end.conn->id);
    if (single == single_.end() || !in_loop(end.actor)) return;
    const NodePtr call = std::move(single->second);
    single_.erase(single);
    const NodePtr request = world.open.find(guessed_of(call->number).request);
    if (!request || request->answering) return;
    read(call, MessageKind::kResponse, {end.time, end.actor}, world);
    State& state = threads_[end.actor.thread.tid];
    state.end = state.at == end.time && state.node == call;
  }

  void answer(const NodePtr& node, const Touch& touch) {
    if (const auto it = threads_.find(touch.actor.thread.tid); it != threads_.end() && touch.time < it->second.at)
      return;
    State* state = in_turn(touch.actor, touch.time);
    TrackRecord& explained = process_of(node->pid).explained;
    if (state == nullptr || state->node == nullptr || state->node->pid != node->pid) return explained.add(false);
    if (state->call) {
      state->clash = true;
    } else if (state->sent) {
      explained.add(false);
    } else if (const Guess guess = guessed_of(state->node->number); state->end && guess.request != node->number) {
      explained.add(false);
      process_of(node->pid).calls[guess.circumstances].add(false);
    } else if (state->kind == MessageKind::kResponse) {
      state->call = state->node;
      state->request = node;
      explained.add(true);
    }
    state->sent = state->answered = true;
  }

  void settle(State& state, World& world) {
    if (!state.call) return;
    const NodePtr call = std::move(state.call);
    const NodePtr request = std::move(state.request);
    state.call = state.request = nullptr;
    const bool clash = std::exchange(state.clash, false);
    Process& process = process_of(call->pid);
    process.answers.add(!clash);
    const Guess guessed = guessed_of(call->number);
    if (clash || request->opened > call->opened) return;
    if (!process.answers.trusted() || !process.explained.trusted()) return put_off(process.answered, call, request);
    decide_all(process.answered, "answered", world);
    if (guessed.request != 0) process.calls[guessed.circumstances].add(guessed.request == request->number);
    for (std::size_t i = 0; i < process.calls.size(); ++i) {
      if (!process.guessed[i].empty() && believed(process, static_cast<std::uint8_t>(i)))
        decide_all(process.guessed[i], "turn", world);
    }
    if (!call->decided) world.found(call, Claim{request, std::nullopt, "answered", 0.995});
  }

  // What whatever the thread sends now is sent for.
  Guess cause(const Actor& actor, BootTime at, ConnId conn) {
    const State* state = in_turn(actor, at);
    if (state == nullptr || state->node == nullptr || state->answered) return {};
    if (state->node->pid != actor.thread.pid) return {};
    const std::uint8_t timers = timers_may_run(actor.loop) ? kTimers : 0;
    if (state->kind == MessageKind::kRequest) return {state->node->number, timers};
    const auto circumstances = static_cast<std::uint8_t>(timers | (reuses(*state, conn) ? kReused : 0));
    const auto& link = state->node->link;
    if (link && link->parent) return {link->parent->number, circumstances};
    return {guessed_of(state->node->number).request, circumstances};
  }

  static bool believed(const Process& process, std::uint8_t circumstances) {
    // A pool of connections runs dry only under load: its calls must have gone right for longer.
    const float proven = (circumstances & kReused) != 0 ? 10 * kProvenCalls : kProvenCalls;
    return process.calls[circumstances].trusted(proven, kRareCalls);
  }

  static void put_off(Pairs& pairs, const NodePtr& call, const NodePtr& request) {
    // Where a rule is never believed, inference has long decided most of them.
    if (!pairs.empty() && pairs.size() % kLookedThrough == 0) {
      std::erase_if(pairs, [](const auto& pair) { return pair.first->decided; });
    }
    if (pairs.size() >= kMostPutOff) pairs.erase(pairs.begin(), pairs.begin() + kMostPutOff / 2);
    pairs.emplace_back(call, request);
  }

  static void decide_all(Pairs& pairs, std::string_view method, World& world) {
    for (auto& [call, request] : pairs) {
      if (!call->decided) world.found(call, Claim{request, std::nullopt, method, 0.99});
    }
    pairs.clear();
  }

  // The first call of a connection, as long as it is the only one.
  void remember_single(const NodePtr& call) {
    const Exchange& exchange = *call->exchange;
    if (exchange.request->position != 0) {
      if (!single_.empty()) single_.erase(exchange.conn->id);
      return;
    }
    if (exchange.conn->adopted || guessed_of(call->number).request == 0) return;
    if (single_.size() >= kMostSingle) single_.clear();
    single_[exchange.conn->id] = call;
  }

  void remember(std::uint64_t call, Guess guess) { guesses_.use(call, kMostGuesses) = guess; }
  [[nodiscard]] Guess guessed_of(std::uint64_t call) const {
    const Guess* const guess = guesses_.peek(call);
    return guess == nullptr ? Guess() : *guess;
  }
  void connecting(const event::Opened& opened) {
    if (opened.conn->side != TcpSide::kActive || opened.conn->adopted || opened.actor.thread.tid == 0) return;
    if (const Guess guess = cause(opened.actor, opened.conn->opened, opened.conn->id); guess.request != 0) {
      if (fresh_.size() >= kMostFresh) fresh_.clear();
      fresh_[opened.conn->id] = guess;
    }
    if (State* state = in_turn(opened.actor, opened.conn->opened)) state->sent = true;
  }

  Process& process_of(std::uint32_t pid) {
    if (processes_.size() >= kMostThreads) processes_.clear();
    return processes_[pid];
  }

  NodePtr unproven_;  // the parent of the call being opened, by a rule that is not believed yet
  std::unordered_map<std::uint32_t, State> threads_;
  std::unordered_map<std::uint32_t, Process> processes_;
  std::unordered_map<ConnId, Guess> fresh_;     // made while working for a request, not used yet
  std::unordered_map<ConnId, NodePtr> single_;  // the only call of a connection so far
  // By call. Not links before the rule is believed.
  Generations<std::uint64_t, Guess> guesses_;
};

}  // namespace

std::unique_ptr<Evidence> make_turn() {
  return std::make_unique<Turn>();
}

}  // namespace wirespan
