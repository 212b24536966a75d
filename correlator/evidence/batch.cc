// Event loops that read a batch first and work it off in order (HAProxy): in one turn of the loop as many requests are
// read as calls are sent, and the first call is for the first request; as many responses are read as answers are sent,
// and the first answer is to the request that the first response's call was made for.
//
// So a call is told twice whose it is, by what was read when it was sent and by what was answered when its response was
// read. Both must agree, and have done so over and over: where work is put off to later turns, waits for others or
// takes its own order, they do not. A turn in which a connection was begun, or in which the numbers differ, says
// nothing; one of the two is believed alone only where they have hardly ever differed.
#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "correlator/evidence/evidence.h"
#include "correlator/evidence/track_record.h"
#include "model/turn.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;
constexpr std::size_t kMostInTurn = 1024;
constexpr std::size_t kMostGuesses = 32'768;
constexpr std::size_t kMostWaiting = 1024;
// Two that agree by accident are both wrong: rare even where one in twenty disagrees. (While connections are begun, and
// threads take from one another, some do.)
constexpr float kProven = 32;
constexpr float kRare = 20;
// Agreements without a break, from which on one is believed without the other.
constexpr std::uint32_t kProvenAlone = 400;
constexpr double kConfidence = 0.98;

class Batch : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "batch"; }
  [[nodiscard]] int rank() const override { return 34; }
  [[nodiscard]] bool needs_all_requests() const override { return true; }
  void restart() override {
    threads_.clear();
    guesses_.clear();
    older_guesses_.clear();
    for (auto& [pid, process] : processes_) process.waiting.clear();
  }

  void event(const Event& event, World& world) override {
    if (const auto* opened = std::get_if<event::Opened>(&event)) {
      if (opened->conn->side != TcpSide::kActive || opened->conn->adopted) return;
      if (Turn* const turn = turn_of(opened->actor, world)) turn->unsure = true;
    } else if (const auto* missed = std::get_if<event::Missed>(&event)) {
      threads_.erase(missed->thread.tid);
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      processes_.erase(exited->pid);
    }
  }

  void opened(const NodePtr& node, World& world) override {
    const Message& request = *node->exchange->request;
    if (node->role == SpanRole::kServer)
      add(&Turn::requests, node, request.first_byte, world);
    else
      add(&Turn::calls, node, request.first_byte, world);
  }

  void touched(const NodePtr& node, const ExchangeTouched& touched, World& world) override {
    if (touched.kind != MessageKind::kResponse || !touched.first) return;
    add(node->role == SpanRole::kServer ? &Turn::answers : &Turn::responses, node, touched.touch, world);
  }

 private:
  struct Place {
    BootTime time{};
    NodePtr node;
  };
  using Places = std::vector<Place>;
  struct Turn {
    std::uint32_t loop = 0;
    bool unsure = false;
    Places requests;  // read
    Places calls;     // sent
    Places responses;
    Places answers;
  };
  struct Process {
    TrackRecord agrees;
    std::uint32_t unbroken = 0;                        // agreements since the last that was none
    std::vector<std::pair<NodePtr, NodePtr>> waiting;  // call and request, found before that was proven
  };
  using Guesses = std::unordered_map<std::uint64_t, std::uint64_t>;  // request by call, both by number

  // Null: the thread runs no loop, or that turn is over.
  Turn* turn_of(const Actor& actor, World& world) {
    if (actor.loop < 2 || !turn_known(actor) || actor.thread.tid == 0) return nullptr;
    if (threads_.size() >= kMostThreads) threads_.clear();
    Turn& turn = threads_[actor.thread.tid];
    const std::uint32_t loop = actor.loop >> 1U;
    if (turn.loop == loop) return &turn;
    // Counted anew: another thread with the same number.
    const bool late = turn.loop > loop && turn.loop - loop < kMostInTurn;
    if (late) return nullptr;
    settle(turn, world);
    turn.loop = loop;
    return &turn;
  }

  void add(Places Turn::* what, const NodePtr& node, const Touch& touch, World& world) {
    Turn* const turn = turn_of(touch.actor, world);
    if (turn == nullptr) return;
    Places& places = turn->*what;
    if (places.size() >= kMostInTurn)
      turn->unsure = true;
    else
      places.push_back({touch.time, node});
  }

  static void in_order(Places& places) {
    std::ranges::stable_sort(places, {}, [](const Place& place) { return place.time; });
  }

  void settle(Turn& turn, World& world) {
    if (!turn.unsure && turn.requests.size() == turn.calls.size()) {
      in_order(turn.requests);
      in_order(turn.calls);
      for (std::size_t i = 0; i < turn.calls.size(); ++i) sent_for(*turn.calls[i].node, *turn.requests[i].node);
    }
    if (!turn.responses.empty()) {
      const bool even = turn.responses.size() == turn.answers.size();
      in_order(turn.responses);
      in_order(turn.answers);
      for (std::size_t i = 0; i < turn.responses.size(); ++i) {
        responded(turn.responses[i].node, even ? turn.answers[i].node : nullptr, world);
      }
    }
    turn.requests.clear();
    turn.calls.clear();
    turn.responses.clear();
    turn.answers.clear();
    turn.unsure = false;
  }

  void sent_for(const Node& call, const Node& request) {
    if (call.pid != request.pid || call.opened < request.opened) return;
    if (guesses_.size() >= kMostGuesses) {
      older_guesses_ = std::move(guesses_);
      guesses_.clear();
    }
    guesses_[call.number] = request.number;
  }

  [[nodiscard]] std::uint64_t guess_of(std::uint64_t call) const {
    for (const Guesses* guesses : {&guesses_, &older_guesses_}) {
      if (const auto it = guesses->find(call); it != guesses->end()) return it->second;
    }
    return 0;
  }

  // request: answered when the call's response was read; null: the numbers differed.
  void responded(const NodePtr& call, NodePtr request, World& world) {
    const std::uint64_t guess = guess_of(call->number);
    if (guess == 0 && !request) return;
    Process& process = process_of(call->pid);
    bool both = false;
    if (request && (request->pid != call->pid || call->opened < request->opened)) {
      process.unbroken = 0;
      return process.agrees.add(false);
    }
    if (guess != 0 && request) {
      // What is known for certain decides as well.
      const bool other = call->decided && call->link && call->link->parent && call->link->parent != request;
      both = guess == request->number && !other;
      process.agrees.add(both);
      process.unbroken = both ? process.unbroken + 1 : 0;
      if (!both) return;
    } else if (guess != 0) {
      request = world.open.find(guess);
    }
    if (!request || call->decided || call->blind) return;
    if (!both) {
      if (process.unbroken >= kProvenAlone) found(call, request, world);
      return;
    }
    if (process.waiting.size() >= kMostWaiting) process.waiting.clear();
    process.waiting.emplace_back(call, std::move(request));
    if (!process.agrees.trusted(kProven, kRare)) return;
    for (auto& [of, parent] : process.waiting) found(of, parent, world);
    process.waiting.clear();
  }

  static void found(const NodePtr& call, const NodePtr& request, World& world) {
    if (!call->decided) world.found(call, Claim{request, std::nullopt, "batch", kConfidence});
  }

  Process& process_of(std::uint32_t pid) {
    if (processes_.size() >= kMostThreads && !processes_.contains(pid)) processes_.clear();
    return processes_[pid];
  }

  std::unordered_map<std::uint32_t, Turn> threads_;
  std::unordered_map<std::uint32_t, Process> processes_;
  Guesses guesses_;
  Guesses older_guesses_;
};

}  // namespace

std::unique_ptr<Evidence> make_batch() {
  return std::make_unique<Batch>();
}

}  // namespace wirespan
