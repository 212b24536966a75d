#include "correlator/inference/calibration.h"

#include <algorithm>

namespace wirespan::inference {
namespace {

// Upper edges of the shares' cells; the last holds those that never left the parent.
constexpr std::array<float, 9> kEdges = {0.2F, 0.35F, 0.5F, 0.65F, 0.8F, 0.9F, 0.96F, 0.995F, 2.0F};
// Belief before any observation, in observations, and how far shares are trusted then.
constexpr float kPrior = 30.0F;
constexpr float kTrust[4] = {1.0F, 0.96F, 0.88F, 0.78F};
constexpr float kForgetAt = 20000.0F;
// "0.95 or more" promises at most 1 % wrong: a cell that cannot keep it is shown below.
constexpr float kPromise = 0.95F;
constexpr float kPromised = 0.99F;

std::size_t cell_of(float share) {
  std::size_t i = 0;
  while (share > kEdges[i]) ++i;
  return i;
}

}  // namespace

std::size_t Calibration::crowd_of(std::size_t candidates) {
  return candidates <= 1 ? 0 : candidates <= 3 ? 1 : candidates <= 8 ? 2 : 3;
}

Calibration::Calibration() {
  refresh();
}

void Calibration::observe(float share, std::size_t candidates, bool right, float weight) {
  Cell& cell = cells_[crowd_of(candidates)][cell_of(share)];
  cell.seen += weight;
  cell.share += weight * share;
  if (right) cell.right += weight;
  observed_ += weight;
  if (observed_ < kForgetAt) return;
  observed_ /= 2;
  for (auto& row : cells_) {
    for (Cell& c : row) {
      c.seen /= 2;
      c.right /= 2;
      c.share /= 2;
    }
  }
}

void Calibration::refresh() {
  for (std::size_t crowd = 0; crowd < kCrowds; ++crowd) {
    auto& row = cells_[crowd];
    float low = 0;
    for (std::size_t i = 0; i < kShares; ++i) {
      Cell& c = row[i];
      const float middle = i + 1 == kShares ? 1.0F : (low + kEdges[i]) / 2;
      low = kEdges[i];
      const float prior = middle * kTrust[crowd];
      c.at = (c.share + kPrior * middle) / (c.seen + kPrior);
      c.value = (c.right + kPrior * prior) / (c.seen + kPrior);
    }
    // Pool adjacent violators: more samples for a parent never mean less probability.
    std::array<float, kShares> value{};
    std::array<float, kShares> weight{};
    std::array<std::size_t, kShares> size{};
    std::size_t blocks = 0;
    for (const Cell& c : row) {
      value[blocks] = c.value;
      weight[blocks] = c.seen + kPrior;
      size[blocks] = 1;
      ++blocks;
      while (blocks > 1 && value[blocks - 2] > value[blocks - 1]) {
        const float w = weight[blocks - 2] + weight[blocks - 1];
        value[blocks - 2] = (value[blocks - 2] * weight[blocks - 2] + value[blocks - 1] * weight[blocks - 1]) / w;
        weight[blocks - 2] = w;
        size[blocks - 2] += size[blocks - 1];
        --blocks;
      }
    }
    std::size_t i = 0;
    for (std::size_t b = 0; b < blocks; ++b) {
      for (std::size_t k = 0; k < size[b]; ++k) row[i++].value = value[b];
    }
  }
}

float Calibration::probability(float share, std::size_t candidates) const {
  const auto& row = cells_[crowd_of(candidates)];
  const std::size_t i = cell_of(share);
  float p = row[i].value;
  // Between the cells' means, in a straight line.
  if (i + 1 < kShares) {
    const std::size_t a = share < row[i].at && i > 0 ? i - 1 : i;
    const float span = row[a + 1].at - row[a].at;
    if (a + 1 < kShares - 1 && span > 0) {
      p = row[a].value + (row[a + 1].value - row[a].value) * std::clamp((share - row[a].at) / span, 0.0F, 1.0F);
    }
  }
  if (p >= kPromise && p < kPromised) p = kPromise - 0.001F;
  return std::clamp(p, 0.0F, 1.0F);
}

}  // namespace wirespan::inference
