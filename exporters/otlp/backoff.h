// How long to wait before the next attempt: exponential, with jitter so that a thousand agents do not return at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/hash.h"

namespace wirespan {

class Backoff {
 public:
  Backoff(std::chrono::milliseconds first, std::chrono::milliseconds longest, std::uint64_t seed)
      : first_(first), longest_(std::max(first, longest)), next_(first_), random_(seed) {}

  void reset() { next_ = first_; }

  // Between half and all of a time that doubles.
  [[nodiscard]] std::chrono::milliseconds next() {
    const auto whole = next_;
    next_ = std::min(longest_, 2 * next_);
    random_ = mix64(random_);
    const auto half = whole.count() / 2;
    return std::chrono::milliseconds(whole.count() - half +
                                     static_cast<std::int64_t>(random_ % (static_cast<std::uint64_t>(half) + 1)));
  }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds longest_;
  std::chrono::milliseconds next_;
  std::uint64_t random_;
};

}  // namespace wirespan
