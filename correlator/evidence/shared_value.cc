// A call carries a value that of all open requests only one came with: an id in the path or query, a request id, a key.
//
// Equal values may be an accident, or name a tenant that many requests share. How likely that is, is counted: a sketch
// tells how many of the process's last requests came with a value, which gives the chance that one of those now open
// has it by accident; and how much more often than by such chance the calls' values are found tells whether this
// process hands values on at all. Where other evidence decided, the two are compared, and a process in which they
// differ is not believed.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "correlator/evidence/evidence.h"
#include "model/recycle.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 256;  // 32 KiB each
constexpr std::size_t kMostHolders = 4;      // open requests kept per value: with more it is not rare
constexpr std::size_t kMostGuesses = 16'384;
constexpr std::size_t kMostPutOff = 512;
constexpr float kProvenCalls = 16;
constexpr double kMargin = 4.6;  // the best must be 100 times as unlikely an accident as the next
constexpr double kHighest = 0.99;
constexpr double kLeast = 0.95;  // below it says nothing; inference may

// How many of the last 4096 to 8192 requests came with a value: never too few, but for hundreds and more.
class Rarity {
 public:
  void next_request() {
    if (++requests_[0] < kGeneration) return;
    requests_[1] = std::exchange(requests_[0], 0);
    counts_[1] = counts_[0];
    counts_[0].fill(0);
  }
  void add(std::uint64_t value) {
    std::uint8_t& count = counts_[0][value % kSlots];
    if (count < std::numeric_limits<std::uint8_t>::max()) ++count;
  }
  [[nodiscard]] std::uint32_t count(std::uint64_t value) const {
    const std::uint32_t newer = counts_[0][value % kSlots];
    const std::uint32_t older = counts_[1][value % kSlots];
    // A full counter says only "many".
    return newer == kFull || older == kFull ? requests() : newer + older;
  }
  [[nodiscard]] std::uint32_t requests() const { return requests_[0] + requests_[1]; }

 private:
  static constexpr std::uint32_t kGeneration = 4096;
  static constexpr std::size_t kSlots = 16'384;
  static constexpr std::uint32_t kFull = std::numeric_limits<std::uint8_t>::max();
  std::array<std::uint32_t, 2> requests_{};
  std::array<std::array<std::uint8_t, kSlots>, 2> counts_{};
};

struct Process {
  std::uint64_t since = 0;  // number of its first call; requests before that were not looked at
  Rarity rarity;
  // Of calls that carried values, fading: how many, how many had one of an open request, how many would have by chance.
  float calls = 0;
  float hits = 0;
  float chance = 0;
  // Against what other evidence decided.
  float agreed = 0;
  float differed = 0;
  // Before values were proven to be handed on.
  struct PutOff {
    NodePtr call;
    NodePtr request;
    double accident;
  };
  std::vector<PutOff> put_off;
};

class SharedValue : public Evidence {
 public:
  [[nodiscard]] std::string_view name() const override { return "shared_value"; }
  [[nodiscard]] int rank() const override { return 38; }
  [[nodiscard]] bool told_by_messages() const override { return true; }
  // One that was not seen may have come with the same value.
  [[nodiscard]] bool needs_all_requests() const override { return true; }
  void restart() override {
    holders_.clear();
    guesses_.clear();
    now_ = {};
    for (auto& [pid, process] : processes_) process->put_off.clear();
  }

  void event(const Event& event, World& /*world*/) override {
    if (const auto* exited = std::get_if<event::ProcessExited>(&event)) processes_.erase(exited->pid);
  }

  void opened(const NodePtr& node, World& world) override {
    if (node->role == SpanRole::kServer) return hold(node);
    const Guess guess = std::exchange(now_, {});
    if (guess.request == 0 || guess.call != node->number) return;
    if (guesses_.size() >= kMostGuesses) guesses_.clear();
    guesses_[node->number] = guess.request;
    if (node->decided || guess.believed) return;
    Process& process = *processes_.find(node->pid)->second;
    if (process.put_off.size() >= kMostPutOff) process.put_off.clear();
    if (NodePtr request = world.open.find(guess.request))
      process.put_off.push_back({node, std::move(request), guess.accident});
  }

  void finished(const NodePtr& node, World& world) override {
    if (node->role == SpanRole::kServer) return let_go(*node);
    const auto guess = guesses_.find(node->number);
    if (guess == guesses_.end()) return;
    const std::uint64_t request = guess->second;
    guesses_.erase(guess);
    if (const auto it = processes_.find(node->pid); it != processes_.end()) compare(*it->second, *node, request, world);
  }

  [[nodiscard]] std::optional<Claim> claim(const Node& node, World& world) override {
    const auto& values = node.exchange->request->rare_values;
    if (node.role != SpanRole::kClient || values.empty()) return std::nullopt;
    const auto it = processes_.find(node.pid);
    if (it == processes_.end()) {
      // From now on its requests' values are remembered; of processes that call nobody they are not.
      if (processes_.size() >= kMostProcesses) return std::nullopt;
      auto process = std::make_unique<Process>();
      process->since = node.number;
      processes_.emplace(node.pid, std::move(process));
      return std::nullopt;
    }
    Process& process = *it->second;
    const Best best = look_up(node.pid, values, process, world);
    // What several requests share, or all, tells nothing about accidents either.
    if (best.tells) count(process, best.found, best.chance);
    if (best.request == 0) return std::nullopt;
    NodePtr request = world.open.find(best.request);
    if (!request || request->answering) return std::nullopt;
    const double confidence = std::min(kHighest, 1 - accident(process, best.accident));
    const bool believed = trusted(process) && confidence >= kLeast;
    now_ = {node.number, best.request, best.accident, believed};
    if (!believed) return std::nullopt;
    return Claim{std::move(request), std::nullopt, "shared_value", confidence};
  }

 private:
  struct Guess {
    std::uint64_t call = 0;
    std::uint64_t request = 0;  // 0: none
    double accident = 1;
    bool believed = false;
  };
  struct Best {
    std::uint64_t request = 0;  // 0: none, or several
    double accident = 1;        // chance that an open request has what this one shares with the call
    bool found = false;         // any of the values, in any open request
    bool tells = false;         // any of the values is rare
    double chance = 0;          // that `found` were true by accident
  };
  // Open requests that came with a value; only the first few by name.
  struct Holders {
    std::array<std::uint64_t, kMostHolders> requests{};
    std::uint32_t named = 0;
    std::uint32_t all = 0;
    void add(std::uint64_t request) {
      if (named < kMostHolders) requests[named++] = request;
      ++all;
    }
    // True when none is left.
    bool remove(std::uint64_t request) {
      auto* const end = requests.begin() + named;
      named = static_cast<std::uint32_t>(std::remove(requests.begin(), end, request) - requests.begin());
      return --all == 0;
    }
  };
  struct Score {
    std::uint64_t request = 0;
    double nats = 0;
  };

  static std::uint64_t key(std::uint32_t pid, std::uint64_t value) { return combine64(mix64(pid), value); }

  void hold(const NodePtr& node) {
    const auto it = processes_.find(node->pid);
    if (it == processes_.end()) return;
    it->second->rarity.next_request();
    for (const std::uint64_t value : node->exchange->request->rare_values) {
      it->second->rarity.add(value);
      holders_[key(node->pid, value)].add(node->number);
    }
  }

  void let_go(const Node& node) {
    const auto process = processes_.find(node.pid);
    if (process != processes_.end() && node.number < process->second->since) return;
    for (const std::uint64_t value : node.exchange->request->rare_values) {
      const auto it = holders_.find(key(node.pid, value));
      if (it == holders_.end()) continue;
      if (it->second.remove(node.number)) holders_.erase(it);
    }
  }

  Best look_up(std::uint32_t pid, const std::vector<std::uint64_t>& values, const Process& process, World& world) {
    scores_.clear();
    Best best;
    const double open = static_cast<double>(world.open.serving(pid).size());
    double none = 1;  // chance that no open request has any of the values by accident
    for (const std::uint64_t value : values) {
      const auto holders = holders_.find(key(pid, value));
      const std::size_t held = holders == holders_.end() ? 0 : holders->second.all;
      // The holders themselves are no accident, if they are why the call has the value.
      const double others = std::max(0.0, static_cast<double>(process.rarity.count(value)) - static_cast<double>(held));
      const double chance = std::min(1.0, open * (others + 0.5) / (process.rarity.requests() + 1.0));
      if (held > 0 && holders->second.named < held) continue;  // any of those not named may be it
      if (chance > 0.5) continue;
      best.tells = true;
      none *= 1 - chance;
      for (std::size_t i = 0; i < held; ++i) add_score(holders->second.requests[i], -std::log(chance));
    }
    best.chance = 1 - none;
    best.found = !scores_.empty();
    std::sort(scores_.begin(), scores_.end(), [](const Score& a, const Score& b) { return a.nats > b.nats; });
    if (scores_.empty() || (scores_.size() > 1 && scores_[0].nats - scores_[1].nats < kMargin)) return best;
    best.request = scores_[0].request;
    best.accident = std::exp(-scores_[0].nats);
    return best;
  }

  void add_score(std::uint64_t request, double nats) {
    for (Score& score : scores_) {
      if (score.request != request) continue;
      score.nats += nats;
      return;
    }
    scores_.push_back({request, nats});
  }

  void count(Process& process, bool found, double chance) {
    process.calls += 1;
    process.hits += found ? 1.0F : 0.0F;
    process.chance += static_cast<float>(chance);
    if (process.calls < 4096) return;
    process.calls /= 2;
    process.hits /= 2;
    process.chance /= 2;
  }

  // The probability that a match is an accident: of the calls, some carry a value of their request, and are always
  // found; the others are found by chance. What is found beyond chance tells how many are the former.
  static double accident(const Process& process, double chance) {
    const double hits = (process.hits + 0.5) / (process.calls + 1);
    const double by_chance = (process.chance + 0.5) / (process.calls + 1);
    const double handed_on = std::clamp((hits - by_chance) / std::max(1e-9, 1 - by_chance), 0.0, 1.0);
    const double accidents = (1 - handed_on) * chance;
    return accidents / std::max(1e-12, handed_on + accidents);
  }

  static bool trusted(const Process& process) {
    return process.calls >= kProvenCalls && process.differed * 100 <= process.agreed + process.calls;
  }

  void compare(Process& process, const Node& call, std::uint64_t guessed, World& world) {
    if (call.decided && call.link && call.link->parent && call.link->method != name() &&
        call.link->method != "inferred" && call.link->method != "only_open") {
      (call.link->parent->number == guessed ? process.agreed : process.differed) += 1;
    }
    if (!trusted(process)) return;
    for (const auto& [before, request, by_chance] : process.put_off) {
      const double confidence = std::min(kHighest, 1 - accident(process, by_chance));
      if (!before->decided && confidence >= kLeast)
        world.found(before, Claim{request, std::nullopt, "shared_value", confidence});
    }
    process.put_off.clear();
  }

  std::unordered_map<std::uint32_t, std::unique_ptr<Process>> processes_;
  // By process and value. Entries come and go with every request: their memory is kept.
  std::unordered_map<std::uint64_t, Holders, std::hash<std::uint64_t>, std::equal_to<>,
                     recycle_detail::Allocator<std::pair<const std::uint64_t, Holders>>>
      holders_;
  std::unordered_map<std::uint64_t, std::uint64_t> guesses_;  // by call: the request, to be compared
  std::vector<Score> scores_;                                 // reused
  Guess now_;                                                 // of the call being opened
};

}  // namespace

std::unique_ptr<Evidence> make_shared_value() {
  return std::make_unique<SharedValue>();
}

}  // namespace wirespan
