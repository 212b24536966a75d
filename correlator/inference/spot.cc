#include "correlator/inference/spot.h"

#include <algorithm>
#include <cmath>

namespace wirespan::inference {
namespace {

// What one expects of a program nothing is known of, by Relation: that what happens after something was read is
// because of it.
constexpr std::array<float, kRelations> kGuess = {0, 5, 3, 3, 0.5F, 4, -0.5F, 1};
constexpr float kPrior = 8;  // weight of the guess, in calls
constexpr float kMost = 7;   // log odds: nothing the kernel shows is certain

}  // namespace

float RelationShares::guess(Relation relation) {
  return kGuess[static_cast<std::size_t>(relation)];
}

void RelationShares::refresh(const RelationShares* chance) {
  float guessed = 0;
  for (const float g : kGuess) guessed += std::exp(g);
  for (std::size_t i = 1; i < kRelations; ++i) {
    const float by_chance =
        chance != nullptr && chance->total_ > 0
            ? (chance->counts_[i] + 1.0F / static_cast<float>(kRelations)) / (chance->total_ + 1.0F)
            : 1.0F / static_cast<float>(kRelations);
    const float prior = std::min(by_chance * std::exp(kGuess[i]), 0.9F);
    const float share = (counts_[i] + kPrior * prior) / (total_ + kPrior);
    log_odds_[i] = std::clamp(std::log(share / by_chance), -kMost, kMost);
  }
}

}  // namespace wirespan::inference
