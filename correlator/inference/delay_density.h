// A learned probability density over delays, without a parametric form: service times are multi-modal (cache hit or
// miss, a timer, a retry), heavy-tailed and, where a clock ticks in milliseconds, discrete. A histogram over
// logarithmic bins, smoothed with a kernel whose width follows the sample size, mixed with a broad floor so that no
// delay is impossible.
//
// Units: microseconds in, natural log of probability per tick out, a tick being the clock's granularity (1 us unless
// told). Not thread-safe. Constant memory.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace wirespan::inference {

// Bin of a delay in ticks: exact up to 15, then 8 bins per octave; negative delays mirrored.
class DelayBins {
 public:
  static constexpr int kExact = 16;
  static constexpr int kPerOctave = 8;
  static constexpr int kPositive = kExact + kPerOctave * 24;  // up to 2^28 ticks
  static constexpr int kNegative = kExact + kPerOctave * 20;
  static constexpr int kCount = kPositive + kNegative;

  [[nodiscard]] static int of(std::int64_t ticks) {
    return ticks >= 0 ? kNegative + magnitude(static_cast<std::uint64_t>(ticks), kPositive)
                      : kNegative - 1 - magnitude(static_cast<std::uint64_t>(-ticks) - 1, kNegative);
  }
  // Natural log of the bin's width in ticks.
  [[nodiscard]] static float log_width(int bin) { return widths()[static_cast<std::size_t>(bin)]; }

 private:
  static int magnitude(std::uint64_t ticks, int limit) {
    if (ticks < kExact) return static_cast<int>(ticks);
    const int octave = 63 - std::countl_zero(ticks);
    const int within = static_cast<int>((ticks >> (octave - 3)) & 7U);
    const int bin = kExact + (octave - 4) * kPerOctave + within;
    return bin < limit ? bin : limit - 1;
  }
  static const std::array<float, kCount>& widths();
};

class DelayDensity {
 public:
  DelayDensity();

  void add(std::int64_t ticks, float weight) {
    counts_[static_cast<std::size_t>(DelayBins::of(ticks))] += weight;
    total_ += weight;
  }
  // Forgets: every count times factor.
  void scale(float factor);
  void clear();
  // Adds another's counts.
  void add(const DelayDensity& other);

  // Recomputes the smoothed density from the counts; log_density() answers from the last call of it.
  void refresh();

  [[nodiscard]] float log_density(std::int64_t ticks) const {
    return log_density_[static_cast<std::size_t>(DelayBins::of(ticks))];
  }
  [[nodiscard]] float total() const { return total_; }
  // What log_density() answers when nothing is known.
  [[nodiscard]] static float log_floor(std::int64_t ticks);

 private:
  std::array<float, DelayBins::kCount> counts_{};
  std::array<float, DelayBins::kCount> log_density_{};
  float total_ = 0;
};

}  // namespace wirespan::inference
