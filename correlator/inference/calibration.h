// Turns a solver's share of samples into a probability that can be relied on. The share is too sure of itself where the
// model is simpler than the service and where the chain has not seen every assignment. How much is measured, not
// assumed: on pairs of stretches whose links are certain, laid over each other so that they become ambiguous (the
// engine does that all the time), and on live calls that carry a traceparent.
//
// One thread. Constant memory.
#pragma once

#include <array>
#include <cstddef>

namespace wirespan::inference {

class Calibration {
 public:
  Calibration();

  // share: of the samples under the chosen parent; candidates: how many parents were possible.
  void observe(float share, std::size_t candidates, bool right, float weight);
  [[nodiscard]] float probability(float share, std::size_t candidates) const;
  // Observations so far, after forgetting.
  [[nodiscard]] float observed() const { return observed_; }
  // Makes what was observed count.
  void refresh();

 private:
  static constexpr std::size_t kShares = 9;
  static constexpr std::size_t kCrowds = 4;  // 1, 2 to 3, 4 to 8, more candidates
  struct Cell {
    float seen = 0;
    float right = 0;
    float share = 0;  // sum, for the mean share of the cell
    float value = 0;  // calibrated
    float at = 0;     // mean share
  };
  static std::size_t crowd_of(std::size_t candidates);

  std::array<std::array<Cell, kShares>, kCrowds> cells_;
  float observed_ = 0;
};

}  // namespace wirespan::inference
