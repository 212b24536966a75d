// capture -> protocols: turns I/O calls into each direction's bytes in order, and says what is missing.
//
// Threads: the pipeline's only. Times: of the events; nothing here reads a clock.
// Memory: a connection costs nothing before its first data, then one Entry; bytes are kept only while a call that
// came out of order waits for an earlier one.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/counters.h"
#include "model/chunk.h"
#include "model/event.h"
#include "model/sink.h"

namespace wirespan {

struct StreamsOptions {
  // Past it the connection that was silent longest is forgotten (StreamClosed, kForgotten).
  std::size_t max_connections = 262144;
  // Two threads on one socket are seen out of order by microseconds, or by what one of them waits for a CPU; what is
  // still missing after this is lost. Where only one thread has used the connection for so long, what is missing is
  // lost at once.
  std::int64_t reorder_ns = 100'000'000;
  std::size_t max_held_calls = 32;  // per connection
  std::size_t max_held_bytes = 65536;
  std::size_t max_held_bytes_total = 4U << 20U;
  // Protocols get a StreamTick at least this often while events flow.
  std::int64_t tick_ns = 100'000'000;
};

class Streams : public Sink<Event> {
 public:
  Streams(Sink<StreamItem>& next, Counters& counters, const StreamsOptions& options = {});
  ~Streams() override;

  void accept(const Event& event) override;
  // Whether the last event waits for an earlier call: what it says will be told late.
  [[nodiscard]] bool late() const { return late_; }
  // A sampling window begins: nothing of before is known, connections opened before `since` are older than what is
  // seen.
  void restart(BootTime since);
  [[nodiscard]] std::size_t connections() const { return entries_.size(); }

 private:
  struct Held {  // a call that waits for an earlier one
    event::Data data;
    std::vector<std::uint8_t> captured;
    std::vector<std::uint8_t> tail;
  };
  struct Entry {
    ConnectionPtr conn;
    std::array<std::uint64_t, 2> next{};  // position expected, by direction
    std::array<bool, 2> joined{};         // direction has been seen
    std::uint32_t tid = 0;                // who used it last
    BootTime alone_since{};               // and nobody else since then
    std::vector<Held> held;
    Entry* older = nullptr;  // list of connections by last use
    Entry* newer = nullptr;
  };
  struct Deadline {
    BootTime time;
    ConnId conn;
  };

  void on_data(const event::Data& data);
  void on_closed(const event::Closed& closed);
  void on_time(BootTime now);
  Entry* entry(const ConnectionPtr& conn);
  void used(Entry& entry);
  void unlink(Entry& entry);
  void close(Entry& entry, BootTime time, event::Closed::How how);
  void forward(Entry& entry, const event::Data& data);
  void hold(Entry& entry, const event::Data& data);
  void drain(Entry& entry);
  void release(Entry& entry);
  void drop_held(Entry& entry, std::size_t index);
  void gap(const event::Data& before, std::uint64_t from, std::uint64_t to, Gap::Why why);

  Sink<StreamItem>& next_;
  const StreamsOptions options_;
  std::unordered_map<ConnId, Entry> entries_;
  bool late_ = false;
  Entry* last_ = nullptr;  // entry of the last event: most come in runs on one connection
  Entry* oldest_ = nullptr;
  Entry* newest_ = nullptr;
  std::deque<Deadline> deadlines_;
  std::size_t held_bytes_ = 0;
  BootTime last_tick_{};
  BootTime since_{};

  Counter& calls_;
  Counter& bytes_;
  Counter& not_captured_bytes_;
  Counter& lost_bytes_;
  Counter& joined_late_;
  Counter& duplicate_calls_;
  Counter& overlap_bytes_;
  Counter& reordered_calls_;
  Counter& invalid_calls_;
  Counter& forgotten_;
  Counter& hold_overflow_;
  Counter& open_;
};

}  // namespace wirespan
