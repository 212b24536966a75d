// Nothing is lost silently: every early return that loses data adds to a named counter.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wirespan {

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Registry. get() takes a lock: call it once at construction and keep the reference, which stays valid.
// Names are dotted, lower case, with the reason last: "capture.lost.ringbuf_full", "correlator.links.traceparent".
class Counters {
 public:
  Counter& get(std::string_view name);
  // Sorted by name.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> snapshot() const;

 private:
  mutable std::mutex mutex_;
  std::deque<Counter> storage_;
  std::map<std::string, Counter*, std::less<>> by_name_;
};

}  // namespace wirespan
