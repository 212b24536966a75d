// Event loops that see to each thing they read before they read the next: what is sent right after a message was read,
// in the same turn of the loop and before any timer can be due, is sent because of it.
//
// Two rules. "answered": the first thing sent after a call's response is the answer to a request; then the call was
// made for that request. "turn": the first thing sent after a request, or after a response whose call's parent is
// known, is a call for that request. Loops that read a batch first and work it off later (HAProxy, asyncio) break both:
// then two answers follow the same response, which is counted, and the rules are not believed there. The second rule is
// believed only where the first has confirmed it over and over: threads that write what other threads hand them (the
// JDK's HttpClient) keep to it only by accident.
#include <array>
#include <unordered_map>

#include "correlator/evidence/evidence.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;
constexpr std::size_t kMostFresh = 16'384;
constexpr std::size_t kMostGuesses = 32'768;

// How often a rule held in a process, and how often not; old observations fade.
struct Record {
  float held = 0;
  float failed = 0;
  void add(bool right) {
    (right ? held : failed) += 1;
    if (held + failed < 4096) return;
    held /= 2;
    failed /= 2;
  }
  [[nodiscard]] bool trusted() const { return held >= 16 && failed * 100 <= held; }
};

class Turn : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "turn"; }
  [[nodiscard]] int rank() const override { return 33; }

  void event(const Event& event, World& world) override {
    if (const auto* opened = std::get_if<event::Opened>(&event)) return connecting(*opened, world);
    if (const auto* closed = std::get_if<event::Closed>(&event)) {
      fresh_.erase(closed->conn->id);
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    }
  }

  void opened(const NodePtr& node, World& world) override {
    const Message& request = *node->exchange->request;
    if (node->role == SpanRole::kServer) return read(node, MessageKind::kRequest, request.last_byte, world);
    if (State* state = in_turn(request.first_byte.actor)) state->sent = true;
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    const bool server = node->role == SpanRole::kServer;
    if (server == (touched.kind == MessageKind::kRequest)) return read(node, touched.kind, touched.touch, world);
    if (server && touched.first) answer(node, touched.touch.actor);
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    if (node.role != SpanRole::kClient) return std::nullopt;
    NodePtr parent;
    if (const auto it = fresh_.find(node.exchange->conn->id); it != fresh_.end()) {
      parent = world.open.find(it->second);
      fresh_.erase(it);
    } else {
      parent = cause(node.exchange->request->first_byte.actor, node.exchange->conn->id, world);
    }
    if (!parent || parent->answering) return std::nullopt;
    guess(node.number, parent->number);
    if (!processes_[node.pid].calls.trusted()) return std::nullopt;
    return Claim{std::move(parent), std::nullopt, "turn", 0.995};
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
    bool orderly = true;    // in this turn something was sent after each message, before the next was read
    NodePtr call;           // "answered": proven once the next message is read and no other answer was sent before
    NodePtr request;
    bool clash = false;
  };
  struct Process {
    Record answers;
    Record explained;  // answers that follow something read, at once
    Record calls;
  };

  static bool timers_may_run(std::uint32_t loop) { return (loop & 1U) != 0; }

  // The state of a thread that runs a loop and is still in the turn in which it read something. By thread, not by
  // goroutine: those do not run loops.
  State* in_turn(const Actor& actor) {
    const auto it = threads_.find(actor.thread.tid);
    if (it == threads_.end() || actor.loop < 2 || it->second.loop >> 1U != actor.loop >> 1U) return nullptr;
    return &it->second;
  }

  void read(const NodePtr& node, MessageKind kind, const Touch& touch, World& world) {
    if (touch.actor.loop < 2) return;
    if (threads_.size() >= kMostThreads) threads_.clear();
    State& state = threads_[touch.actor.thread.tid];
    if (touch.time < state.at) return;  // told late
    const std::uint64_t message = node->number << 1U | (kind == MessageKind::kResponse ? 1U : 0U);
    const bool same_turn = state.loop >> 1U == touch.actor.loop >> 1U;
    state.at = touch.time;
    if (state.message == message && same_turn) return;
    settle(state, world);
    state.orderly = !same_turn || (state.orderly && state.sent);
    state.loop = touch.actor.loop;
    state.message = message;
    state.node = node;
    state.kind = kind;
    state.sent = state.answered = false;
  }

  void answer(const NodePtr& node, const Actor& actor) {
    State* state = in_turn(actor);
    Record& explained = process_of(node->pid).explained;
    if (state == nullptr || state->node == nullptr || state->node->pid != node->pid) return explained.add(false);
    if (state->call) {
      state->clash = true;
    } else if (state->sent) {
      explained.add(false);
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
    const std::uint64_t guessed = guessed_of(call->number);
    if (clash || !process.answers.trusted() || !process.explained.trusted() || request->opened > call->opened) return;
    if (guessed != 0) process.calls.add(guessed == request->number);
    if (!call->decided) world.found(call, Claim{request, std::nullopt, "answered", 0.995});
  }

  // The request that whatever the thread sends now is sent for.
  NodePtr cause(const Actor& actor, ConnId conn, World& world) {
    const State* state = in_turn(actor);
    if (state == nullptr || state->node == nullptr || !state->orderly || state->answered) return nullptr;
    if (timers_may_run(actor.loop)) return nullptr;
    if (state->node->pid != actor.thread.pid) return nullptr;
    if (state->kind == MessageKind::kRequest) return world.open.find(state->node->number);
    // On the connection the response came by: perhaps a call that had waited for one.
    if (state->node->exchange && state->node->exchange->conn->id == conn) return nullptr;
    const auto& link = state->node->link;
    return world.open.find(link && link->parent ? link->parent->number : guessed_of(state->node->number));
  }

  void guess(std::uint64_t call, std::uint64_t request) {
    if (guesses_.size() >= kMostGuesses) {
      older_guesses_ = std::move(guesses_);
      guesses_.clear();
    }
    guesses_[call] = request;
  }
  [[nodiscard]] std::uint64_t guessed_of(std::uint64_t call) const {
    for (const auto* guesses : {&guesses_, &older_guesses_}) {
      if (const auto it = guesses->find(call); it != guesses->end()) return it->second;
    }
    return 0;
  }

  void connecting(const event::Opened& opened, World& world) {
    if (opened.conn->side != TcpSide::kActive || opened.conn->adopted || opened.actor.thread.tid == 0) return;
    if (const NodePtr parent = cause(opened.actor, opened.conn->id, world)) {
      if (fresh_.size() >= kMostFresh) fresh_.clear();
      fresh_[opened.conn->id] = parent->number;
    }
    if (State* state = in_turn(opened.actor)) state->sent = true;
  }

  Process& process_of(std::uint32_t pid) {
    if (processes_.size() >= kMostThreads) processes_.clear();
    return processes_[pid];
  }

  std::unordered_map<std::uint32_t, State> threads_;
  std::unordered_map<std::uint32_t, Process> processes_;
  std::unordered_map<ConnId, std::uint64_t> fresh_;  // made while working for a request, not used yet
  // By the second rule: call -> request. Not links before the rule is believed.
  std::unordered_map<std::uint64_t, std::uint64_t> guesses_;
  std::unordered_map<std::uint64_t, std::uint64_t> older_guesses_;
};

}  // namespace

std::unique_ptr<Evidence> make_turn() {
  return std::make_unique<Turn>();
}

}  // namespace wirespan
