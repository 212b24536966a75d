#include "correlator/inference/delay_density.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace wirespan::inference {
namespace {

constexpr std::size_t kBins = DelayBins::kCount;
constexpr float kPeak = 0.45F;  // share of the narrow kernel
using Row = std::array<float, kBins>;

// Three passes of a box filter are a Gaussian to within 3 % and cost the same for every width.
void box(Row& row, int radius) {
  if (radius <= 0) return;
  Row out;
  const int n = static_cast<int>(kBins);
  const float scale = 1.0F / static_cast<float>(2 * radius + 1);
  float sum = 0;
  for (int i = -radius; i <= radius; ++i) sum += row[static_cast<std::size_t>(std::clamp(i, 0, n - 1))];
  for (int i = 0; i < n; ++i) {
    out[static_cast<std::size_t>(i)] = sum * scale;
    sum += row[static_cast<std::size_t>(std::min(i + radius + 1, n - 1))];
    sum -= row[static_cast<std::size_t>(std::max(i - radius, 0))];
  }
  row = out;
}

void smooth(Row& row, float sigma) {
  // Variance of three boxes of radius r: r(r+1). A fraction of a bin is made up by mixing two radii.
  const float r = (std::sqrt(1.0F + 4.0F * sigma * sigma) - 1.0F) / 2.0F;
  const int low = static_cast<int>(r);
  for (int pass = 0; pass < 3; ++pass) {
    Row wide = row;
    box(wide, low + 1);
    box(row, low);
    const float part = r - static_cast<float>(low);
    for (std::size_t i = 0; i < kBins; ++i) row[i] += part * (wide[i] - row[i]);
  }
}

// Widths, in bins, of the middle half and of the shortest run of bins that holds a fifth.
std::pair<float, float> spreads(const Row& counts, float total) {
  float seen = 0;
  int low = -1;
  int high = -1;
  float densest = static_cast<float>(kBins);
  float held = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i < kBins; ++i) {
    seen += counts[i];
    if (low < 0 && seen >= 0.25F * total) low = static_cast<int>(i);
    if (high < 0 && seen >= 0.75F * total) high = static_cast<int>(i);
    held += counts[i];
    while (first < i && held - counts[first] >= 0.2F * total) held -= counts[first++];
    // A run is as wide as the part of its bins that the fifth needs.
    if (held >= 0.2F * total) densest = std::min(densest, static_cast<float>(i - first + 1) * 0.2F * total / held);
  }
  return {static_cast<float>(high - low), densest};
}

// Broad belief before any data: uniform over the bins, so log-uniform over delays, and little of it negative.
const Row& floor_mass() {
  static const Row row = [] {
    Row out{};
    for (int i = 0; i < DelayBins::kCount; ++i) {
      const bool negative = i < DelayBins::kNegative;
      out[static_cast<std::size_t>(i)] = negative ? 0.02F / DelayBins::kNegative : 0.98F / DelayBins::kPositive;
    }
    return out;
  }();
  return row;
}

}  // namespace

const std::array<float, DelayBins::kCount>& DelayBins::widths() {
  static const std::array<float, kCount> table = [] {
    std::array<float, kCount> out{};
    auto width = [](int magnitude) {
      if (magnitude < kExact) return 0.0F;
      const int octave = (magnitude - kExact) / kPerOctave;
      return static_cast<float>(octave + 1) * 0.69314718F;  // 2^(octave + 4) / 8 ticks
    };
    for (int i = 0; i < kPositive; ++i) out[static_cast<std::size_t>(kNegative + i)] = width(i);
    for (int i = 0; i < kNegative; ++i) out[static_cast<std::size_t>(kNegative - 1 - i)] = width(i);
    return out;
  }();
  return table;
}

DelayDensity::DelayDensity() {
  refresh();
}

float DelayDensity::log_floor(std::int64_t ticks) {
  const int bin = DelayBins::of(ticks);
  return std::log(floor_mass()[static_cast<std::size_t>(bin)]) - DelayBins::log_width(bin);
}

void DelayDensity::scale(float factor) {
  for (float& c : counts_) c *= factor;
  total_ *= factor;
}

void DelayDensity::clear() {
  counts_.fill(0);
  total_ = 0;
}

void DelayDensity::add(const DelayDensity& other) {
  for (std::size_t i = 0; i < kBins; ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
}

void DelayDensity::refresh() {
  const Row& floor = floor_mass();
  Row mass{};
  if (total_ > 0) {
    // Silverman's rule, on the middle half for the body and on the densest fifth for the peaks: of two narrow modes far
    // apart, the middle half would make one hill.
    const float n_factor = 0.9F * std::pow(total_ + 1.0F, -0.2F);
    const auto [middle, densest] = spreads(counts_, total_);
    const float peak_sigma = std::clamp(n_factor * std::max(1.0F, densest / 0.507F), 0.5F, 24.0F);
    const float body_sigma = std::clamp(n_factor * std::max(1.0F, middle / 1.349F), peak_sigma, 6.0F * peak_sigma);
    Row peak = counts_;
    smooth(peak, peak_sigma);
    Row body = peak;
    smooth(body, std::sqrt(std::max(body_sigma * body_sigma - peak_sigma * peak_sigma, 0.01F)));
    Row wide = body;
    smooth(wide, 2.0F * body_sigma + 2.0F);
    for (std::size_t i = 0; i < kBins; ++i) mass[i] = kPeak * peak[i] + (0.93F - kPeak) * body[i] + 0.07F * wide[i];
  }
  const float scale = 1.0F / (total_ + 1.0F);
  for (std::size_t i = 0; i < kBins; ++i) {
    log_density_[i] =
        std::log((std::max(mass[i], 0.0F) + floor[i]) * scale) - DelayBins::log_width(static_cast<int>(i));
  }
}

}  // namespace wirespan::inference
