// Which of its thread-local words a function of amd64 exchanges for its argument: tokio's TaskIdGuard::enter does so
// with the running task's. By libcapstone.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace wirespan {

struct ExchangedWord {
  std::int32_t at = 0;  // from the thread pointer
  bool tagged = false;  // the word before it, exchanged with it, says whether it counts
};

// Only words within [from, to) of the thread pointer. nullopt: none, or which is not certain.
[[nodiscard]] std::optional<ExchangedWord> exchanged_word(const std::vector<std::uint8_t>& code, std::int32_t from,
                                                          std::int32_t to);

}  // namespace wirespan
