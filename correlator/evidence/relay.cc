// Event loops that put off what they send to their next turn, in no order (Envoy): what is sent in a turn are the calls
// of the requests read in the turn before, one each, and the answers of the responses read then.
//
// So a call is of one of the requests it was read with, and of one of those that are answered in the turn after its
// response. Where just one is both, or is left when the others are given away, it is the parent.
// And of the connections that are free each request takes the one that became free last, when it is read: so the order
// in which responses and requests are read says which request a call is for. Where none is free, one is begun, and the
// request waits in a line for whichever is there first.
//
// Each is put to the proof by the answers: a call's request, or one of those it was read with, must be among those that
// are answered in the turn after its response. That is so by accident as often as they are many of all; a proof
// counts for the rest. Where calls are made later, or in the same turn, the proofs fail, and the process is not
// believed.
#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/generations.h"
#include "correlator/evidence/track_record.h"
#include "correlator/loop_evidence.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostThreads = 65'536;
constexpr std::size_t kMostProcesses = 65'536;
constexpr std::size_t kMostGuesses = 2048;  // twice: calls whose response is due
constexpr std::size_t kMostWaiting = 1024;
constexpr std::size_t kMostFree = 1024;  // connections of a thread
constexpr std::uint32_t kTurnsToConnect = 2;
constexpr std::size_t kMostAtOnce = 64;  // answers of a turn whose calls are told apart
constexpr float kProven = 16;            // proofs, each as much as it was no accident
constexpr float kProvenAsWell = 4;
constexpr float kRare = 100;
constexpr float kRemembered = 256;
constexpr double kConfidence = 0.98;

class Relay : public LoopEvidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "relay"; }
  [[nodiscard]] int rank() const override { return 36; }
  void restart() override {
    LoopEvidence::restart();
    before_.clear();
    guesses_.clear();
    for (auto& [pid, process] : processes_) {
      for (Record& record : process) record.waiting.clear();
    }
  }

 private:
  // By number, sorted.
  using Requests = std::shared_ptr<const std::vector<std::uint64_t>>;
  struct Guess {
    Requests mates;             // the request is one of these
    std::uint64_t request = 0;  // that took the call's connection; 0: not known
    bool begun = false;         // for it
  };
  struct Begun {
    ConnId conn{};
    std::uint32_t loop = 0;
  };
  // Which requests took which connections in a turn, to send their calls in the next.
  struct Taken {
    Places requests;  // that waited for no connection
    std::unordered_map<ConnId, std::uint64_t> by;
    Requests waited;           // in line, also those that left it
    std::vector<ConnId> left;  // it for these connections, which became free
  };
  struct Before {
    std::uint32_t loop = 0;
    bool unsure = false;
    std::size_t open = 0;
    Places responses;
    Taken taken;
    std::vector<ConnId> free;         // the last one became free last
    std::vector<std::uint64_t> line;  // requests that wait for a connection
    std::vector<Begun> begun;         // for them, without a call yet
    Places first;                     // calls over those, in this turn
  };
  struct Record {
    TrackRecord proofs;
    std::vector<std::pair<NodePtr, NodePtr>> waiting;  // call and request, found before that was proven
  };
  enum Sort : std::uint8_t { kBySets, kByConnection, kByBegun };
  using Process = std::array<Record, 3>;
  // A call whose response was read, and which of the answers may be for it.
  struct Open {
    NodePtr call;
    std::vector<std::size_t> answers;
  };

  void first_over(const NodePtr& call, World& /*world*/) override {
    const Touch& touch = call->exchange->request->first_byte;
    const auto it = before_.find(touch.actor.thread.tid);
    if (it != before_.end()) it->second.first.push_back({touch.time, call, call->exchange->conn->id, true});
  }
  void exited(std::uint32_t pid) override { processes_.erase(pid); }

  void ended(Turn& turn, World& world) override {
    if (before_.size() >= kMostThreads && !before_.contains(turn.tid)) before_.clear();
    Before& before = before_[turn.tid];
    const bool follows = before.loop + 1 == turn.loop && !before.unsure && !turn.unsure;
    Places calls;  // over connections that were there
    std::ranges::copy_if(turn.calls, std::back_inserter(calls), std::logical_not{}, &Place::begun);
    for (const Place& call : calls) std::erase(before.free, call.conn);
    const Taken earlier = std::move(before.taken);
    before.taken = take(before, turn, calls);
    if (follows && earlier.requests.size() + earlier.left.size() == calls.size()) sent(earlier, calls);
    if (follows && before.responses.size() == turn.answers.size()) answered(before, turn, world);
    before.loop = turn.loop;
    before.unsure = turn.unsure;
    before.open = turn.open;
    before.responses = std::move(turn.responses);
  }

  // What happens to the connections of a turn, in its order. Calls over new ones that nobody waits for any more were
  // put off like others: `calls`.
  Taken take(Before& before, const Turn& turn, Places& calls) {
    Taken out;
    auto waited = std::make_shared<std::vector<std::uint64_t>>(before.line);
    // Begun for those that took another one meanwhile: some time they are there, and which others are free by then
    // nobody knows.
    const auto there = [&](const Begun& begun) { return turn.loop - begun.loop > kTurnsToConnect; };
    if (before.line.empty() && std::erase_if(before.begun, there) != 0) before.free.clear();
    const auto next_in_line = [&before] {
      const std::uint64_t request = before.line.front();
      before.line.erase(before.line.begin());
      return request;
    };
    std::vector<ConnId> free = before.free;
    const auto serve_line = [&] {
      while (!before.line.empty() && !free.empty()) {
        out.by[free.back()] = next_in_line();
        out.left.push_back(free.back());
        free.pop_back();
      }
    };
    const Places order = in_order(turn, std::exchange(before.first, {}));
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Place& place = order[i];
      if (!place.node) continue;
      const ConnId conn = place.conn;
      const bool call = place.node->role == SpanRole::kClient;
      if (place.begun) {
        // There at last: who is next in line sends at once.
        std::erase_if(before.begun, [&](const Begun& begun) { return begun.conn == conn; });
        if (before.line.empty()) {
          calls.push_back(place);
          std::erase(before.free, conn);
        } else {
          guess(*place.node, {waited, next_in_line(), true});
          serve_line();
        }
      } else if (call) {
        std::erase(free, conn);
        std::erase(before.free, conn);
        if (before.free.size() >= kMostFree) before.free.clear();
        before.free.push_back(conn);
        free.push_back(conn);
      } else if (i + 1 < order.size() && !order[i + 1].node) {
        // At once, before anything else is read.
        if (before.line.size() >= kMostFree) before.line.clear();
        if (before.begun.size() >= kMostFree) before.begun.clear();
        before.begun.push_back({order[i + 1].conn, turn.loop});
        before.line.push_back(place.node->number);
        waited->push_back(place.node->number);
      } else {
        out.requests.push_back(place);
        if (free.empty() || before.begun.size() > before.line.size()) continue;
        out.by[free.back()] = place.node->number;
        free.pop_back();
      }
    }
    // Whoever is read takes what is free at once; those in line get what is left when the turn is over.
    if (!turn.freed.empty()) serve_line();
    std::ranges::sort(*waited);
    out.waited = std::move(waited);
    return out;
  }

  // Requests read, connections begun and freed, and calls over connections that are new.
  static Places in_order(const Turn& turn, const Places& first) {
    Places order = turn.requests;
    order.insert(order.end(), turn.freed.begin(), turn.freed.end());
    order.insert(order.end(), first.begin(), first.end());
    for (const Place& call : turn.calls) {
      if (call.begun) order.push_back({call.time, nullptr, call.conn, true});
    }
    std::ranges::stable_sort(order, {}, &Place::time);
    return order;
  }

  static Requests numbers(const Places& requests) {
    auto out = std::make_shared<std::vector<std::uint64_t>>();
    for (const Place& request : requests) out->push_back(request.node->number);
    std::ranges::sort(*out);
    return out;
  }

  void sent(const Taken& taken, const Places& calls) {
    const Requests mates = numbers(taken.requests);
    for (const Place& call : calls) {
      const ConnId conn = call.conn;
      const auto by = taken.by.find(conn);
      const bool waited = std::ranges::find(taken.left, conn) != taken.left.end();
      guess(*call.node, {waited ? taken.waited : mates, by == taken.by.end() ? 0 : by->second});
    }
  }

  void guess(const Node& call, const Guess& guessed) { guesses_.use(call.number, kMostGuesses) = guessed; }

  [[nodiscard]] Guess guess_of(std::uint64_t call) const {
    const Guess* const guess = guesses_.peek(call);
    return guess == nullptr ? Guess() : *guess;
  }
  void answered(const Before& before, const Turn& turn, World& world) {
    const std::size_t count = turn.answers.size();
    if (count == 0) return;
    std::vector<Open> open;
    for (const Place& response : before.responses) {
      const NodePtr& call = response.node;
      const Guess guess = guess_of(call->number);
      Open& one = open.emplace_back(Open{call, {}});
      for (std::size_t i = 0; i < count; ++i) {
        const Node& request = *turn.answers[i].node;
        const bool possible = !guess.mates || std::ranges::binary_search(*guess.mates, request.number);
        if (possible && request.pid == call->pid) one.answers.push_back(i);
      }
      if (guess.mates) prove(one, guess, turn, before.open, world);
    }
    if (count > kMostAtOnce) return;
    tell_apart(open, count);
    for (const Open& one : open) {
      if (one.answers.size() == 1 && guess_of(one.call->number).mates)
        found(kBySets, one.call, turn.answers[one.answers.front()].node, world);
    }
    for (const Open& one : open) guesses_.erase(one.call->number);
  }

  void prove(const Open& one, const Guess& guess, const Turn& turn, std::size_t open, World& world) {
    Process& process = process_of(one.call->pid);
    const auto share = [](std::size_t of, std::size_t all) {
      return all == 0 ? 1.0F : std::min(static_cast<float>(of) / static_cast<float>(all), 1.0F);
    };
    const std::size_t count = turn.answers.size();
    const bool held = !one.answers.empty();
    // Those that were read together are answered at about the same time anyway.
    if (!held || guess.mates->size() == 1)
      process[kBySets].proofs.add(held, held ? 1 - share(count, open) : 1, kRemembered);
    if (guess.request == 0) return;
    const auto answer =
        std::ranges::find_if(one.answers, [&](std::size_t i) { return turn.answers[i].node->number == guess.request; });
    const Sort by = guess.begun ? kByBegun : kByConnection;
    if (answer == one.answers.end()) return process[by].proofs.add(false, 1, kRemembered);
    // Any that is open, or any of those it was read with, could have been among them.
    const float mates = guess.mates->size() < 2 ? 0 : share(one.answers.size() - 1, guess.mates->size() - 1);
    process[by].proofs.add(true, 1 - std::max(share(count, open), mates), kRemembered);
    found(by, one.call, turn.answers[*answer].node, world);
  }

  // What is one call's is no other's, and what no other may have is the one's that may.
  static void tell_apart(std::vector<Open>& open, std::size_t count) {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t answer = 0; answer < count; ++answer) {
        Open* owner = nullptr;
        std::size_t may = 0;
        for (Open& one : open) {
          if (std::ranges::find(one.answers, answer) == one.answers.end()) continue;
          ++may;
          if (owner == nullptr || one.answers.size() == 1) owner = &one;
        }
        if (owner == nullptr || (owner->answers.size() != 1 && may != 1)) continue;
        if (owner->answers.size() != 1) {
          owner->answers = {answer};
          changed = true;
        }
        for (Open& one : open) {
          if (&one != owner && std::erase(one.answers, answer) != 0) changed = true;
        }
      }
    }
  }

  void found(Sort by, const NodePtr& call, const NodePtr& request, World& world) {
    Record& record = process_of(call->pid)[by];
    const auto& link = call->link;
    if (call->decided && link && link->parent) {  // for certain, perhaps
      if (link->parent != request) record.proofs.add(false, 1, kRemembered);
      return;
    }
    if (call->decided || call->blind) return;
    if (record.waiting.size() >= kMostWaiting) record.waiting.clear();
    record.waiting.emplace_back(call, request);
    Process& process = process_of(call->pid);
    const bool proven = process[kByConnection].proofs.trusted(kProven, kRare);
    for (Record& one : process) {
      // Of a loop that is known to go by its connections less needs to be seen.
      if (!one.proofs.trusted(proven ? kProvenAsWell : kProven, kRare)) continue;
      for (auto& [of, parent] : one.waiting) {
        if (!of->decided) world.found(of, Claim{parent, std::nullopt, "relay", kConfidence});
      }
      one.waiting.clear();
    }
  }

  Process& process_of(std::uint32_t pid) {
    if (processes_.size() >= kMostProcesses && !processes_.contains(pid)) processes_.clear();
    return processes_[pid];
  }

  std::unordered_map<std::uint32_t, Before> before_;  // by thread
  std::unordered_map<std::uint32_t, Process> processes_;
  Generations<std::uint64_t, Guess> guesses_;  // by call, until its response
};

}  // namespace

std::unique_ptr<Evidence> make_relay() {
  return std::make_unique<Relay>();
}

}  // namespace wirespan
