#include "correlator/inference/spot.h"

#include <algorithm>
#include <cmath>

namespace wirespan::inference {
namespace {

// What one expects of a program nothing is known of, by Relation, turns later all alike: that what happens after
// something was read is because of it.
constexpr std::array<float, 8> kGuess = {0, 5, 3, 3, 0.5F, 4, -0.5F, 1};
constexpr float kPrior = 8;  // weight of the guess, in calls
constexpr float kKnownPrior = 60;
constexpr float kLeastMean = 0.002F;
constexpr int kRounds = 40;
constexpr float kMost = 7;  // log odds: nothing the kernel shows is certain

}  // namespace

float RelationShares::guess(Relation relation) {
  return kGuess[std::min(static_cast<std::size_t>(relation), kGuess.size() - 1)];
}

void RelationMixture::observe(const Counts& counts) {
  fresh_ = true;
  if (kept_.size() < kKept) {
    kept_.push_back(counts);
  } else {
    kept_[next_++ % kKept] = counts;
  }
}

void RelationMixture::solve() {
  if (!fresh_ || kept_.size() < kEnough) return;
  fresh_ = false;
  const auto effects = static_cast<float>(kept_.size());
  std::array<float, kRelations> mean{};
  for (const Counts& counts : kept_) {
    for (std::size_t i = 1; i < kRelations; ++i) mean[i] += static_cast<float>(counts[i]) / effects;
  }
  std::array<float, kRelations> share{};
  std::array<float, kRelations> accident{};
  for (std::size_t i = 1; i < kRelations; ++i) {
    share[i] = 1.0F / static_cast<float>(kRelations - 1);
    accident[i] = std::max(mean[i], kLeastMean);
  }
  for (int round = 0; round < kRounds; ++round) {
    std::array<float, kRelations> next{};
    for (const Counts& counts : kept_) {
      std::array<float, kRelations> odds{};
      float sum = 0;
      for (std::size_t i = 1; i < kRelations; ++i) {
        odds[i] = share[i] * static_cast<float>(counts[i]) / accident[i];
        sum += odds[i];
      }
      if (sum <= 0) continue;
      for (std::size_t i = 1; i < kRelations; ++i) next[i] += odds[i] / sum / effects;
    }
    for (std::size_t i = 1; i < kRelations; ++i) {
      share[i] = next[i];
      accident[i] = std::max(mean[i] - next[i], kLeastMean);
    }
  }
  float accidents = 0;
  for (std::size_t i = 1; i < kRelations; ++i) accidents += accident[i];
  for (std::size_t i = 1; i < kRelations; ++i) {
    const float smoothed = (share[i] * effects + 0.1F) / (effects + 0.1F * static_cast<float>(kRelations));
    log_odds_[i] = std::clamp(std::log(smoothed * accidents / accident[i]), -kMost, kMost);
  }
  solved_ = true;
}

void RelationShares::refresh(const RelationShares* chance, const RelationMixture* prior) {
  for (std::size_t i = 1; i < kRelations; ++i) {
    const float by_chance = chance != nullptr && chance->total_ > 0
                                ? (chance->counts_[i] + 1.0F / static_cast<float>(kRelations)) / (chance->total_ + 1.0F)
                                : 1.0F / static_cast<float>(kRelations);
    const bool known = prior != nullptr && prior->solved();
    const float odds = known ? prior->log_odds(static_cast<Relation>(i)) : kGuess[std::min(i, kGuess.size() - 1)];
    const float expected = std::min(by_chance * std::exp(odds), 0.95F);
    const float weight = known ? kKnownPrior : kPrior;
    const float share = (counts_[i] + weight * expected) / (total_ + weight);
    log_odds_[i] = std::clamp(std::log(share / by_chance), -kMost, kMost);
  }
}

}  // namespace wirespan::inference
