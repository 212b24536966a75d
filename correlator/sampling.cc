#include "correlator/sampling.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

namespace wirespan {
namespace {

constexpr std::uint64_t kAll = std::uint64_t{1} << 56U;
constexpr int kDigits = 14;  // of 56 bits

std::string hex(std::uint64_t value) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out(kDigits, '0');
  for (int i = kDigits - 1; i >= 0; --i, value >>= 4U) out[static_cast<std::size_t>(i)] = kHex[value & 0xfU];
  return out;
}

}  // namespace

Sampling::Sampling(double share)
    : share_(std::clamp(share, 0.0, 1.0)),
      threshold_(
          std::min(kAll - 1, static_cast<std::uint64_t>(std::llround((1 - share_) * static_cast<double>(kAll))))),
      th_(hex(threshold_)) {
  th_.erase(std::max<std::size_t>(1, th_.find_last_not_of('0') + 1));
}

std::string Sampling::trace_state(const TraceId& trace) const {
  // Whatever samples further down finds it evenly spread over what was not rejected.
  const std::uint64_t random = threshold_ + std::hash<TraceId>{}(trace) % (kAll - threshold_);
  return "ot=th:" + th_ + ";rv:" + hex(random);
}

}  // namespace wirespan
