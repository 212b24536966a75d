#include "exporters/queue/notices.h"

#include <utility>

namespace wirespan {

Notices::Notices(Say say, std::string prefix, std::chrono::milliseconds interval)
    : say_(std::move(say)), prefix_(std::move(prefix)), interval_(interval) {}

void Notices::say(std::string_view line) {
  if (!say_) return;
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  const auto wait = line == last_ ? interval_ : interval_ / 30;
  if (!last_.empty() && now - last_time_ < wait) {
    ++held_back_;
    return;
  }
  std::string text = prefix_ + std::string(line);
  if (held_back_ != 0) text += " (and " + std::to_string(held_back_) + " more notices since the last line)";
  last_ = line;
  last_time_ = now;
  held_back_ = 0;
  say_(text);
}

}  // namespace wirespan
