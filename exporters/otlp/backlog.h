// Requests that wait for a receiver that is away, oldest first. A span takes 60 to 100 bytes here, and some 2 kB before
// it is encoded.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace wirespan {

// One thread.
class Backlog {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Packing : std::uint8_t { kNone, kZstd };  // while they wait; they come out as they went in

  Backlog(std::size_t max_bytes, Packing packing);
  ~Backlog();
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;

  // The oldest go until it fits; returned are their spans. The newest is kept however large it is: a batch above the
  // limit could never be sent again.
  [[nodiscard]] std::uint64_t push(std::string_view body, std::uint64_t spans, Time give_up);
  // Of the oldest, of which there has to be one. The body is valid until the next call.
  [[nodiscard]] Result<std::string_view> body();
  [[nodiscard]] std::uint64_t oldest_spans() const { return requests_.front().spans; }
  [[nodiscard]] Time oldest_give_up() const { return requests_.front().give_up; }
  void pop();
  void clear();

  [[nodiscard]] bool empty() const { return requests_.empty(); }
  [[nodiscard]] std::uint64_t spans() const { return spans_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // of memory

 private:
  struct Request {
    std::string body;
    std::size_t unpacked = 0;  // its size; 0: not packed
    std::uint64_t spans = 0;
    Time give_up;
    [[nodiscard]] std::size_t bytes() const { return sizeof(Request) + body.capacity(); }
  };
  struct Zstd;
  Zstd& zstd();
  [[nodiscard]] Request packed(std::string_view body);

  const std::size_t max_bytes_;
  const Packing packing_;
  std::deque<Request> requests_;
  std::uint64_t spans_ = 0;
  std::size_t bytes_ = 0;
  std::size_t most_bytes_ = 0;  // since it was empty
  std::unique_ptr<Zstd> zstd_;  // once used, until the backlog is empty
};

}  // namespace wirespan
