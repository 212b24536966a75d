// Event loops that read a batch first and work it off in order (HAProxy): in one turn of the loop as many requests are
// read as calls are sent, and the first call is for the first request.
//
// That is put to the proof when the call's response is read: a proxy answers in the same turn. So the request must be
// among those answered then; by accident it is as often as they are many of all that are open, or of those it was read
// with, which is what a proof counts for. (The order of answers is not that of responses: they wait for one another.)
// Where work is put off to later turns, waits for others or takes its own order, the proofs fail, and the process is
// not believed. A turn in which the numbers differ says nothing.
//
// A connection that is begun in a turn counts as the call that is sent over it first, turns later. That is proven by
// itself: loops that begin connections for a pool send something else there.
#include <algorithm>
#include <array>
#include <memory>
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
constexpr float kProven = 16;  // proofs, each as much as it was no accident
constexpr float kProvenAsWell = 4;
constexpr float kRare = 100;
constexpr float kRemembered = 1024;
// Proofs without a failure, from which on a call is believed whose own proof is missing.
constexpr std::uint32_t kProvenAlone = 400;
constexpr double kConfidence = 0.98;

class Batch : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "batch"; }
  [[nodiscard]] int rank() const override { return 34; }
  [[nodiscard]] bool needs_all_requests() const override { return true; }
  void restart() override {
    threads_.clear();
    begun_.clear();
    guesses_.clear();
    older_guesses_.clear();
    for (auto& [pid, process] : processes_) {
      for (Record& record : process) record.waiting.clear();
    }
  }

  void event(const Event& event, World& world) override {
    if (const auto* opened = std::get_if<event::Opened>(&event)) {
      if (opened->conn->side != TcpSide::kActive || opened->conn->adopted) return;
      if (Turn* const turn = turn_of(opened->actor, world))
        add(*turn, turn->calls, {opened->conn->opened, nullptr, opened->conn->id});
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
    else if (!over_begun(node, world))
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
    ConnId begun{};  // a connection, no call yet
  };
  using Places = std::vector<Place>;
  struct Turn {
    std::uint32_t loop = 0;
    bool unsure = false;
    std::size_t open = 0;  // requests, when the first response was read
    Places requests;       // read
    Places calls;          // sent, and connections begun
    Places responses;
    Places answers;
  };
  struct Record {
    TrackRecord proofs;
    std::uint32_t unbroken = 0;                        // proofs since the last failure
    std::vector<std::pair<NodePtr, NodePtr>> waiting;  // call and request, found before that was proven
  };
  // What is proven by itself: calls over connections that were there, over connections begun for them, and where a turn
  // has both.
  enum Sort : std::uint8_t { kSent, kBegun, kBoth };
  using Process = std::array<Record, 3>;
  // The requests of a turn, by number, in order: with which of them a call may have been mistaken.
  using Mates = std::shared_ptr<const std::vector<std::uint64_t>>;
  struct Guess {
    std::uint64_t request = 0;  // 0: none
    Mates mates;
    Sort sort = kSent;
  };
  using Guesses = std::unordered_map<std::uint64_t, Guess>;  // by call

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
    if (what == &Turn::responses && turn->responses.empty()) turn->open = world.open.serving(node->pid).size();
    add(*turn, turn->*what, {touch.time, node, {}});
  }

  static void add(Turn& turn, Places& places, Place place) {
    if (places.size() >= kMostInTurn)
      turn.unsure = true;
    else
      places.push_back(std::move(place));
  }

  // Whether it is the first over a connection that was begun in a turn.
  bool over_begun(const NodePtr& call, World& world) {
    const ConnId conn = call->exchange->conn->id;
    Turn* const turn = turn_of(call->exchange->request->first_byte.actor, world);  // ends the turn before
    if (const auto it = begun_.find(conn); it != begun_.end()) {
      if (it->second.request != 0) guess(*call, it->second);
      begun_.erase(it);
      return true;
    }
    if (turn == nullptr) return false;
    const auto place = std::ranges::find(turn->calls, conn, &Place::begun);
    if (place == turn->calls.end() || place->node) return false;
    place->node = call;
    return true;
  }

  static void in_order(Places& places) {
    // They come all but in order.
    for (auto it = places.begin(); it != places.end(); ++it)
      std::rotate(std::ranges::upper_bound(places.begin(), it, it->time, {}, &Place::time), it, it + 1);
  }

  void settle(Turn& turn, World& world) {
    if (!turn.unsure && !turn.calls.empty() && turn.requests.size() == turn.calls.size()) {
      const auto begun = static_cast<std::size_t>(
          std::ranges::count_if(turn.calls, [](const Place& call) { return call.begun != ConnId{}; }));
      // A connection is begun when a request is looked at, but a call may be sent after all of them were.
      const Sort sort = begun == 0 ? kSent : begun == turn.calls.size() ? kBegun : kBoth;
      in_order(turn.requests);
      in_order(turn.calls);
      auto mates = std::make_shared<std::vector<std::uint64_t>>();
      for (const Place& request : turn.requests) mates->push_back(request.node->number);
      for (std::size_t i = 0; i < turn.calls.size(); ++i) sent_for(turn.calls[i], turn.requests[i], {0, mates, sort});
    } else {
      for (const Place& call : turn.calls) {
        if (!call.node) begin(call.begun, {});
      }
    }
    for (const Place& response : turn.responses) responded(response.node, turn, world);
    turn.requests.clear();
    turn.calls.clear();
    turn.responses.clear();
    turn.answers.clear();
    turn.unsure = false;
  }

  void sent_for(const Place& call, const Place& request, Guess guessed) {
    if (call.time >= request.time) guessed.request = request.node->number;
    if (!call.node) return begin(call.begun, std::move(guessed));
    if (guessed.request != 0 && call.node->pid == request.node->pid) guess(*call.node, guessed);
  }

  void begin(ConnId conn, Guess guessed) {
    if (begun_.size() >= kMostGuesses) begun_.clear();
    begun_[conn] = std::move(guessed);
  }

  void guess(const Node& call, const Guess& guessed) {
    if (guesses_.size() >= kMostGuesses) {
      older_guesses_ = std::move(guesses_);
      guesses_.clear();
    }
    guesses_[call.number] = guessed;
  }

  [[nodiscard]] Guess guess_of(std::uint64_t call) const {
    for (const Guesses* guesses : {&guesses_, &older_guesses_}) {
      if (const auto it = guesses->find(call); it != guesses->end()) return it->second;
    }
    return {};
  }

  // How likely a request is among those answered that was not the call's: any that is open, or any it was read with.
  static float by_accident(const Guess& guess, const Turn& turn) {
    const auto answered = [&](std::uint64_t number) {
      return std::ranges::any_of(turn.answers, [&](const Place& place) { return place.node->number == number; });
    };
    const auto all = static_cast<float>(turn.answers.size()) / static_cast<float>(std::max<std::size_t>(turn.open, 1));
    if (guess.mates->size() < 2) return std::min(all, 1.0F);
    const auto mates = static_cast<float>(std::ranges::count_if(*guess.mates, answered) - 1);
    return std::clamp(std::max(all, mates / static_cast<float>(guess.mates->size() - 1)), 0.0F, 1.0F);
  }

  void responded(const NodePtr& call, const Turn& turn, World& world) {
    const Guess guess = guess_of(call->number);
    if (guess.request == 0) return;
    Process& process = process_of(call->pid);
    Record& record = process[guess.sort];
    const auto answer =
        std::ranges::find_if(turn.answers, [&](const Place& place) { return place.node->number == guess.request; });
    // What is known for certain decides as well.
    const auto& link = call->link;
    const bool other = call->decided && link && link->parent && link->parent->number != guess.request;
    const bool even = turn.responses.size() == turn.answers.size();  // else some are still to come
    if (other || (answer == turn.answers.end() && even)) {
      record.unbroken = 0;
      return record.proofs.add(false, 1, kRemembered);
    }
    if (answer == turn.answers.end()) {
      const NodePtr request = record.unbroken >= kProvenAlone ? world.open.find(guess.request) : nullptr;
      if (request) found(call, request, world);
      return;
    }
    ++record.unbroken;
    record.proofs.add(true, 1 - by_accident(guess, turn), kRemembered);
    if (call->decided || call->blind) return;
    if (record.waiting.size() >= kMostWaiting) record.waiting.clear();
    record.waiting.emplace_back(call, answer->node);
    const bool proven = process[kSent].proofs.trusted(kProven, kRare);
    for (Record& one : process) {
      // Of a loop that is known to work things off in order less needs to be seen.
      if (!one.proofs.trusted(proven ? kProvenAsWell : kProven, kRare)) continue;
      for (auto& [of, parent] : one.waiting) found(of, parent, world);
      one.waiting.clear();
    }
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
  std::unordered_map<ConnId, Guess> begun_;  // connections in turns that are over, without a call yet
  Guesses guesses_;
  Guesses older_guesses_;
};

}  // namespace

std::unique_ptr<Evidence> make_batch() {
  return std::make_unique<Batch>();
}

}  // namespace wirespan
