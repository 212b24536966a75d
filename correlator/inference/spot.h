// Where an event happened, as far as the kernel shows it: thread, turn of its event loop, and what that thread, or
// the one that woke it, had read last. How two spots relate says much about whether one caused the other; how much, is
// learned per callee and not assumed.
//
// Values; not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace wirespan::inference {

struct Spot {
  std::uint32_t thread = 0;  // thread or goroutine; 0: not known, as in files
  std::uint32_t turn = 0;    // model/event.h, Actor::loop
  std::uint32_t read = 0;    // the message the thread had read last by then; for a message read: itself. 0: none
  std::uint32_t woken = 0;   // what whoever woke the thread since had read last; 0: nobody did
  std::uint32_t conn = 0;
  std::uint32_t sent = 0;         // something sent: itself
  std::uint32_t sent_before = 0;  // what the thread had sent last
};

enum class Relation : std::uint8_t {
  kUnknown,        // nothing is known of either
  kContinues,      // the same thread and turn, and nothing was read in between
  kContinuesLate,  // and timers may have run in between
  kReused,         // as kContinues, on the very connection that the event freed
  kSameTurn,       // the same thread and turn, but others were read since
  kWoken,          // by the thread that had read it, just then
  kElsewhere,      // another thread
  kTurns,  // the same thread, one turn later, and so forth: tasks that are put off run a fixed number of turns later
};
constexpr std::uint32_t kMostTurns = 12;  // told apart; more are one
constexpr std::size_t kRelations = static_cast<std::size_t>(Relation::kTurns) + kMostTurns;

[[nodiscard]] inline Relation turns_later(std::uint32_t turns) {
  return static_cast<Relation>(static_cast<std::uint32_t>(Relation::kTurns) + std::min(turns, kMostTurns) - 1);
}

// Of something done at `then` to an event at `event`, before it.
[[nodiscard]] inline Relation relation_of(const Spot& event, const Spot& then) {
  if (event.thread == 0 || then.thread == 0) return Relation::kUnknown;
  if (event.read != 0 && then.woken == event.read) return Relation::kWoken;
  if (event.thread != then.thread) return Relation::kElsewhere;
  const std::uint32_t turns = (then.turn >> 1U) - (event.turn >> 1U);
  if (turns != 0) return turns_later(turns);
  if (event.read != then.read) return Relation::kSameTurn;
  if (event.conn == then.conn) return Relation::kReused;
  return event.turn == then.turn ? Relation::kContinues : Relation::kContinuesLate;
}

// Of something sent at `then` to something sent before it, at `event`: calls made at once follow each other.
[[nodiscard]] inline Relation relation_of_sent(const Spot& event, const Spot& then) {
  if (event.thread == 0 || then.thread == 0) return Relation::kUnknown;
  if (event.thread != then.thread) return Relation::kElsewhere;
  const std::uint32_t turns = (then.turn >> 1U) - (event.turn >> 1U);
  const bool next = event.sent != 0 && event.sent == then.sent_before;
  if (turns != 0) return turns_later(turns);
  if (!next) return Relation::kSameTurn;
  return event.read == then.read ? Relation::kContinues : Relation::kContinuesLate;
}

// Which relation effects have to their causes, found before any cause is known: of all the events that may have caused
// an effect, the true one is always there, in relations that keep returning, the others are there by accident. A
// mixture over relations, by expectation and maximisation.
class RelationMixture {
 public:
  using Counts = std::array<std::uint16_t, kRelations>;
  // Of one effect: how many possible causes stand in each relation to it.
  void observe(const Counts& counts);
  // Solves for what was observed; log_odds() answers from the last call of it.
  void solve();
  [[nodiscard]] bool solved() const { return solved_; }
  // How much likelier a relation is between an effect and its cause than to any other, natural log.
  [[nodiscard]] float log_odds(Relation relation) const { return log_odds_[static_cast<std::size_t>(relation)]; }

 private:
  static constexpr std::size_t kKept = 512;
  static constexpr std::size_t kEnough = 32;
  std::vector<Counts> kept_;
  std::size_t next_ = 0;
  bool fresh_ = false;
  bool solved_ = false;
  std::array<float, kRelations> log_odds_{};
};

// How often each relation held.
class RelationShares {
 public:
  void add(Relation relation, float weight) {
    counts_[static_cast<std::size_t>(relation)] += weight;
    total_ += weight;
  }
  void scale(float factor) {
    for (float& count : counts_) count *= factor;
    total_ *= factor;
  }
  // Recomputes the odds; log_odds() answers from the last call of it. chance: the same over all that might have been
  // meant; prior: what to believe before; null: not known.
  void refresh(const RelationShares* chance, const RelationMixture* prior);
  // How much likelier a relation is to the true event than to any other, natural log.
  [[nodiscard]] float log_odds(Relation relation) const { return log_odds_[static_cast<std::size_t>(relation)]; }
  // The same before anything was learned.
  [[nodiscard]] static float guess(Relation relation);

 private:
  std::array<float, kRelations> counts_{};
  std::array<float, kRelations> log_odds_{};
  float total_ = 0;
};

}  // namespace wirespan::inference
