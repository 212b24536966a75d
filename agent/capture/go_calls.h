// Where a Go program's own code calls functions of the runtime: a probe there costs only the operations that are the
// program's, and no others' (net/http's are most of a server's). The kernel does a `call` itself (capture/probe_site).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace wirespan {

// Finds calls in one function's code after the other.
class GoCalls {
 public:
  static constexpr std::size_t kMost = 128;

  // targets: addresses of functions; 0: there is none.
  GoCalls(std::vector<std::uint64_t> targets, bool arm64);

  // code: of one function from its entry on, at `address`.
  void look_at(Bytes code, std::uint64_t address);
  // By target: the addresses of calls of it. nullopt: more than kMost together, or code was not understood.
  [[nodiscard]] std::optional<std::vector<std::vector<std::uint64_t>>> take() &&;

 private:
  void found(std::size_t target, std::uint64_t address);
  void look_at_amd64(Bytes code, std::uint64_t address);
  void look_at_arm64(Bytes code, std::uint64_t address);

  std::vector<std::uint64_t> targets_;
  bool arm64_;
  std::vector<std::vector<std::uint64_t>> calls_;
  std::size_t count_ = 0;
  bool failed_ = false;
};

}  // namespace wirespan
