// Which queues of a Python process carry work from threads that serve requests to threads that do not. Most carry other
// things: callbacks of an event loop (one thread's own), connections and buffers (who takes one puts it back), requests
// (who takes one answers it), results (whose takers serve).
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace wirespan {

// Of one process. Queues and objects by their addresses, threads by their numbers. One thread.
class WorkQueues {
 public:
  static constexpr std::size_t kMostFollowed = 8;

  // The thread reads requests, or answers them.
  void serves(std::uint32_t tid);
  [[nodiscard]] bool serving(std::uint32_t tid) const { return servers_.contains(tid); }
  void gave(std::uint64_t queue, std::uint64_t object, std::uint32_t tid);
  // How what is followed has changed: with kLess there may be more as well.
  enum class Change : std::uint8_t { kNone, kMore, kLess };
  // Of a queue that is not known: 0.
  [[nodiscard]] Change took(std::uint64_t queue, std::uint64_t object, std::uint32_t tid);
  // Those that carry work, the newest last.
  [[nodiscard]] const std::vector<std::uint64_t>& followed() const { return followed_; }
  [[nodiscard]] bool follows(std::uint64_t queue) const;
  // Whether of one of them who takes does not know the queue.
  [[nodiscard]] bool takes_unknown() const;

 private:
  struct Queue {
    std::unordered_map<std::uint64_t, std::uint32_t> inside;  // by object: who gave it
    std::vector<std::uint32_t> takers;                        // the last ones
    std::size_t next_taker = 0;
    std::uint32_t handed = 0;  // by who serves, or does the work of such, to another thread
    std::uint32_t other = 0;   // anything else that came out of it
    std::uint32_t given = 0;
    std::uint32_t given_by_takers = 0;
    bool unknown = false;  // to who takes from it
  };

  [[nodiscard]] std::uint64_t holder_of(std::uint64_t object) const;
  [[nodiscard]] bool carries_work(const Queue& queue) const;
  [[nodiscard]] Change follow(std::uint64_t address, const Queue& queue);

  std::unordered_map<std::uint64_t, Queue> queues_;
  std::unordered_set<std::uint32_t> servers_;
  std::unordered_set<std::uint32_t> workers_;  // who took from one that is followed
  std::vector<std::uint64_t> followed_;
};

}  // namespace wirespan
