// The end of the pipeline: one bounded, counted queue, and behind it one thread per exporter, so that a dead collector
// delays neither the capture nor the console.
//
// Spans are collected in chunks; a closed chunk is shared, read-only, by all exporters and is the batch each of them
// sends. Every exporter has a position in the one list of chunks. When the list is full its oldest chunk goes, counted
// for each exporter that had not reached it: what is kept is then always the longest backlog and never the sum of them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/counters.h"
#include "exporters/queue/exporter.h"
#include "exporters/queue/notices.h"
#include "model/sink.h"

namespace wirespan {

struct QueueOptions {
  // A batch is closed by whatever comes first. Bytes are memory, which is about twice what OTLP makes of it: well below
  // the 4 MiB a gRPC receiver takes by default.
  std::size_t batch_spans = 1024;
  std::size_t batch_bytes = 2U << 20U;
  std::chrono::milliseconds batch_age{200};
  // Limits of what waits here. In addition each exporter holds the one batch it is sending, and may keep what its
  // receiver does not take (exporters/otlp/backlog.h).
  std::size_t max_spans = 64U << 10U;
  std::size_t max_bytes = 8U << 20U;
  // kWait is for a replay, which must lose nothing and may be slowed down; capture may not. With batch_age of
  // Exporter::kNever the batches, and so the bytes written, do not depend on time either.
  enum class WhenFull : std::uint8_t { kDropOldest, kWait } when_full = WhenFull::kDropOldest;
};

// How long a flush takes at most: a receiver that takes nothing is given up sooner than one that is only slow.
struct FlushLimits {
  std::chrono::milliseconds longest;
  std::chrono::milliseconds silence;  // since the flush began, or a receiver took something during it
};

class ExportQueue : public Sink<Span> {
 public:
  ExportQueue(QueueOptions options, Counters& counters, Say say);
  ~ExportQueue() override;
  ExportQueue(const ExportQueue&) = delete;
  ExportQueue& operator=(const ExportQueue&) = delete;

  // Starts its thread; it gets the spans accepted from now on. Not concurrent with anything else here.
  void add(std::unique_ptr<Exporter> exporter);

  // One thread (the pipeline's). About a copy of the span, into memory used before; take() exchanges its buffers.
  void accept(const Span& span) override;
  void take(Span&& span) override;

  // Any thread. True when everything accepted before is out of every exporter; retries that wait are made at once.
  bool flush(FlushLimits limits);
  bool flush(std::chrono::milliseconds timeout) { return flush({timeout, timeout}); }
  // Flushes, ends all threads and exporters, counts what could not be sent. Later spans are counted as lost.
  // Idempotent.
  void stop(FlushLimits limits);
  void stop(std::chrono::milliseconds timeout) { stop({timeout, timeout}); }
  // Any thread: flush and stop, running or to come, no longer wait for anybody.
  void give_up();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Chunk {
    std::vector<Span> spans;                // [used, size) hold memory for reuse
    std::vector<std::size_t> footprints{};  // of each
    std::size_t used = 0;
    std::size_t bytes = 0;  // of the used spans
    std::size_t held = 0;   // of all
  };
  using ChunkPtr = std::shared_ptr<Chunk>;
  struct Worker {
    std::unique_ptr<Exporter> exporter;
    Notices notices;
    Counter& queue_full_spans;
    Counter& queue_full_bytes;
    Counter& lost_at_shutdown;
    std::uint64_t next = 0;     // number of the chunk to take next
    std::uint64_t flushed = 0;  // last flush done
    bool dropped = false;       // and not said yet
    std::thread thread{};
  };

  // All below with mutex_ held.
  Span& slot();
  void filled(std::unique_lock<std::mutex>& lock, Span& span);
  void close_open_chunk(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool over_limit() const;
  void drop_oldest();
  void forget_sent();
  void pop_front();
  ChunkPtr fresh_chunk();
  void recycle(ChunkPtr chunk);
  void report_depth();
  [[nodiscard]] std::uint64_t end() const { return first_ + chunks_.size(); }

  void run(Worker& worker);

  const QueueOptions options_;
  Counters& counters_;
  Say say_;
  Counter& accepted_;
  Counter& after_stop_;
  Counter& depth_spans_;
  Counter& depth_bytes_;

  std::mutex mutex_;
  std::condition_variable work_;  // workers wait
  std::condition_variable done_;  // flush and a producer that may wait
  ChunkPtr open_;
  Time open_until_{};
  std::deque<ChunkPtr> chunks_;
  std::uint64_t first_ = 0;  // number of chunks_.front()
  std::size_t spans_ = 0;    // in chunks_
  std::size_t bytes_ = 0;
  std::vector<ChunkPtr> spare_;
  std::uint64_t flush_wanted_ = 0;
  std::size_t flushing_ = 0;       // calls of flush() that wait
  std::uint64_t flush_until_ = 0;  // number of the first chunk that flush need not wait for
  Time progress_{};                // a batch was taken
  bool stopping_ = false;
  bool given_up_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace wirespan
