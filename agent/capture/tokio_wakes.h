// Which wake-ups of a process that runs tokio have to be told. tokio wakes by value and by reference, and a probe sees
// all wake-ups of one sort. Who awaits a response is woken by reference (tokio's oneshot, which hyper and others use);
// by value the driver wakes whoever has a socket ready, and who asks for a call wakes the connection's task: four of
// five wake-ups. That the one who awaits the response is one who asked is watched for a time, and looked at again now
// and then; where it always was, wake-ups by value are not needed. Where responses take long, they are: then nothing
// else says in time who asked (correlator/evidence/tokio). And where tasks that read no requests await responses, as
// consumers of queues do: who wakes those tells what they do next. Where all calls are made by tasks that were begun
// for that (spawn_blocking), nobody asks for them.
//
// And whether has to be told what consumers of queues do between jobs: while that is watched, and where tasks that read
// no requests await responses again and again, or such as block their threads reply.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include "base/clock.h"
#include "model/event.h"

namespace wirespan {

// Of one process. One thread.
class TokioWakes {
 public:
  // A task sent or received.
  void moved(const event::Data& data);
  // One that may block its thread was begun.
  void began_blocking(const event::Handover& begin);
  // It sent a value through a oneshot.
  void replied(std::uint64_t task);
  // One woke another, not the driver.
  void woke(const event::Handover& wake);
  // Whether wake-ups by value are to be told too, from now on. Ask now and then.
  [[nodiscard]] bool all(BootTime now);
  // Whether replies, and what tasks let go of, are, as of the last all().
  [[nodiscard]] bool jobs() const { return state_ == State::kWatches || jobs_; }

 private:
  static constexpr std::size_t kMostAskers = 4;
  // A task that writes to servers.
  struct Task {
    BootTime sent{};        // what is not answered yet; zero: nothing
    bool responds = false;  // it has read since, and has woken nobody yet
    bool serves = false;    // it reads requests itself
    bool judged = false;    // all who asked for what it wrote were told
    std::array<std::uint64_t, kMostAskers> wakers{};
    std::array<std::uint64_t, kMostAskers> asked{};
    std::uint8_t woken = 0;
    std::uint8_t askers = 0;
  };
  enum class State : std::uint8_t { kWatches, kAnswersOnly, kSlow, kAll };

  [[nodiscard]] bool blocks(std::uint64_t task) const;
  [[nodiscard]] bool asked() const;
  [[nodiscard]] std::uint64_t seen() const;
  void watch(BootTime now);
  [[nodiscard]] bool slow(BootTime now);

  std::unordered_map<std::uint64_t, Task> tasks_;
  std::unordered_set<std::uint64_t> readers_;                  // of requests
  std::unordered_set<std::uint64_t> fed_;                      // woken by such, and none themselves
  std::array<std::unordered_set<std::uint64_t>, 2> blocking_;  // the newest, and those before them
  State state_ = State::kWatches;
  bool watched_before_ = false;
  BootTime since_{};  // this state
  BootTime next_{};   // look at whether answers are enough
  std::uint64_t held_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t unasked_ = 0;      // blocking tasks that made calls
  std::uint64_t replies_ = 0;      // by value, of such to who reads requests
  std::uint64_t others_ = 0;       // calls that others made, who may have been asked
  bool presumed_ = false;          // answers are enough as there were next to no such calls
  std::uint64_t consumed_ = 0;     // of both: responses that a task awaited that is fed
  std::uint64_t seen_before_ = 0;  // this watch
  struct Awaited {
    std::uint32_t responses = 0;
    bool since = false;  // it sent a value last
  };
  std::unordered_map<std::uint64_t, Awaited> awaited_;  // by tasks that read no requests
  std::uint64_t again_ = 0;                             // of both: by such that had awaited several before
  std::uint64_t sent_ = 0;                              // values, by blocking tasks that made calls
  std::uint64_t replied_ = 0;  // the same by tasks that read no requests and awaited a response since they last did
  bool jobs_ = false;
};

}  // namespace wirespan
