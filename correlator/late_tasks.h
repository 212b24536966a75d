// Tasks that make calls after the request was answered that they were begun for: what it left to be done in the
// background, or workers that a handler began and that take others' work by now. Workers give themselves away by going
// on; so late work is believed where tasks have been seen, over and over, to come to an end. One process.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "base/clock.h"
#include "base/generations.h"
#include "correlator/evidence/track_record.h"

namespace wirespan {

class LateTasks {
 public:
  // Such a task makes a call. Whether it is its request's.
  bool call(std::uint64_t task, BootTime now) {
    while (!watched_.empty() && now - watched_.front().second >= kWatched) {
      Late& late = tasks_.use(watched_.front().first, kMostTasks);
      if (!std::exchange(late.judged, true)) end_.add(true);
      watched_.pop_front();
    }
    Late& late = tasks_.use(task, kMostTasks);
    const bool first = late.calls++ == 0;
    if (first && watched_.size() < kMostTasks) watched_.emplace_back(task, now);
    // It has gone on, though it was thought to have ended; or it does more than a request leaves to be done.
    if ((late.judged || late.calls > kMostCalls) && !std::exchange(late.worker, true)) {
      end_.add(false, kWorker);
      late.judged = true;
    }
    return !late.worker && end_.trusted(kProven, kRare);
  }

 private:
  struct Late {
    std::uint32_t calls = 0;
    bool judged = false;
    bool worker = false;
  };
  static constexpr std::size_t kMostTasks = 1024;
  static constexpr std::int64_t kWatched = 500'000'000;
  static constexpr std::uint32_t kMostCalls = 8;
  static constexpr float kProven = 16;
  static constexpr float kRare = 100;
  static constexpr float kWorker = 4;  // one outweighs what it was taken for before

  Generations<std::uint64_t, Late> tasks_;
  std::deque<std::pair<std::uint64_t, BootTime>> watched_;  // in the order of their first calls
  TrackRecord end_;
};

}  // namespace wirespan
