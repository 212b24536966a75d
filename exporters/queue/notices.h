// Lines for the operator that cannot flood the log: a failing exporter fails thousands of times an hour.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace wirespan {

// Where a line goes; called on any thread.
using Say = std::function<void(const std::string& line)>;

// Thread-safe. A line that repeats the last one is held back until `interval` is over and then says how often it was
// meant; a different line passes after a thirtieth of that.
class Notices {
 public:
  Notices(Say say, std::string prefix, std::chrono::milliseconds interval = std::chrono::minutes(5));
  void say(std::string_view line);

 private:
  Say say_;
  std::string prefix_;
  std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::string last_;
  std::chrono::steady_clock::time_point last_time_{};
  std::uint64_t held_back_ = 0;
};

}  // namespace wirespan
