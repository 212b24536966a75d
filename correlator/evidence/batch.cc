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

#include "base/generations.h"
#include "correlator/evidence/track_record.h"
#include "correlator/loop_evidence.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 65'536;
constexpr std::size_t kMostGuesses = 2048;  // twice: calls whose response is due
constexpr std::size_t kMostWaiting = 1024;
constexpr float kProven = 16;  // proofs, each as much as it was no accident
constexpr float kProvenAsWell = 4;
constexpr float kRare = 100;
constexpr float kRemembered = 1024;
// Proofs without a failure, from which on a call is believed whose own proof is missing.
constexpr std::uint32_t kProvenAlone = 400;
constexpr double kConfidence = 0.98;

class Batch : public LoopEvidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "batch"; }
  [[nodiscard]] int rank() const override { return 34; }
  void restart() override {
    LoopEvidence::restart();
    begun_.clear();
    guesses_.clear();
    for (auto& [pid, process] : processes_) {
      for (Record& record : process) record.waiting.clear();
    }
  }

 private:
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

  void first_over(const NodePtr& call, World& /*world*/) override {
    const auto it = begun_.find(call->exchange->conn->id);
    if (it == begun_.end()) return;
    guess(*call, it->second);
    begun_.erase(it);
  }
  void exited(std::uint32_t pid) override { processes_.erase(pid); }

  static void in_order(Places& places) {
    // They come all but in order.
    for (auto it = places.begin(); it != places.end(); ++it)
      std::rotate(std::ranges::upper_bound(places.begin(), it, it->time, {}, &Place::time), it, it + 1);
  }

  void ended(Turn& turn, World& world) override {
    if (!turn.unsure && !turn.calls.empty() && turn.requests.size() == turn.calls.size()) {
      const auto begun = static_cast<std::size_t>(std::ranges::count(turn.calls, true, &Place::begun));
      // A connection is begun when a request is looked at, but a call may be sent after all of them were.
      const Sort sort = begun == 0 ? kSent : begun == turn.calls.size() ? kBegun : kBoth;
      in_order(turn.requests);
      in_order(turn.calls);
      auto mates = std::make_shared<std::vector<std::uint64_t>>();
      for (const Place& request : turn.requests) mates->push_back(request.node->number);
      for (std::size_t i = 0; i < turn.calls.size(); ++i) sent_for(turn.calls[i], turn.requests[i], {0, mates, sort});
    }
    for (const Place& response : turn.responses) responded(response.node, turn, world);
  }

  void sent_for(const Place& call, const Place& request, Guess guessed) {
    if (call.time < request.time) return;
    guessed.request = request.node->number;
    if (!call.node) {
      if (begun_.size() >= kMostGuesses) begun_.clear();
      begun_[call.conn] = std::move(guessed);
    } else if (call.node->pid == request.node->pid) {
      guess(*call.node, guessed);
    }
  }

  void guess(const Node& call, const Guess& guessed) { guesses_.use(call.number, kMostGuesses) = guessed; }

  [[nodiscard]] Guess guess_of(std::uint64_t call) const {
    const Guess* const guess = guesses_.peek(call);
    return guess == nullptr ? Guess() : *guess;
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
    guesses_.erase(call->number);
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
    if (processes_.size() >= kMostProcesses && !processes_.contains(pid)) processes_.clear();
    return processes_[pid];
  }

  std::unordered_map<std::uint32_t, Process> processes_;
  std::unordered_map<ConnId, Guess> begun_;    // connections without a call yet
  Generations<std::uint64_t, Guess> guesses_;  // by call, until its response
};

}  // namespace

std::unique_ptr<Evidence> make_batch() {
  return std::make_unique<Batch>();
}

}  // namespace wirespan
