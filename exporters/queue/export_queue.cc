#include "exporters/queue/export_queue.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <utility>

namespace wirespan {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Chunks kept for reuse, beside the one that fills and the ones that are sent. More would be memory held for nothing.
constexpr std::size_t kSpareChunks = 1;

steady_clock::time_point after(milliseconds wait) {
  return wait == Exporter::kNever ? steady_clock::time_point::max() : steady_clock::now() + wait;
}

std::size_t footprint(const Span& span) {
  std::size_t bytes = sizeof(Span) + span.name.capacity() + span.trace_state.capacity() +
                      span.status_message.capacity() + span.attributes.memory() +
                      span.events.capacity() * sizeof(SpanEvent) + span.links.capacity() * sizeof(SpanLink);
  for (const SpanLink& link : span.links) bytes += link.attributes.memory();
  // Counted for each span: where every span has a connection of its own, each does hold it.
  if (span.shared != nullptr) bytes += span.shared->memory();
  return bytes;
}

// A batch above the queue's limit could never be kept.
QueueOptions consistent(QueueOptions options) {
  options.max_spans = std::max<std::size_t>(options.max_spans, 1);
  options.batch_spans = std::clamp<std::size_t>(options.batch_spans, 1, options.max_spans);
  options.batch_bytes = std::min(options.batch_bytes, options.max_bytes / 2);
  return options;
}

// Signals are the main thread's: a worker must not take SIGTERM, nor die of SIGPIPE on a closed pipe or socket.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSYS);  // a refused system call: blocked, it would end the process
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

ExportQueue::ExportQueue(QueueOptions options, Counters& counters, Say say)
    : options_(consistent(options)),
      counters_(counters),
      say_(std::move(say)),
      accepted_(counters.get("exporters.spans.accepted")),
      after_stop_(counters.get("exporters.lost.after_stop")),
      depth_spans_(counters.get("exporters.queue.spans")),
      depth_bytes_(counters.get("exporters.queue.bytes")) {
  open_ = fresh_chunk();
}

ExportQueue::~ExportQueue() {
  stop(milliseconds(0));
}

void ExportQueue::add(std::unique_ptr<Exporter> exporter) {
  const std::string name(exporter->name());
  const std::string prefix = "exporters." + name;
  auto worker = std::unique_ptr<Worker>(new Worker{.exporter = std::move(exporter),
                                                   .notices = Notices(say_, "exporter " + name + ": "),
                                                   .queue_full_spans = counters_.get(prefix + ".lost.queue_full_spans"),
                                                   .queue_full_bytes = counters_.get(prefix + ".lost.queue_full_bytes"),
                                                   .lost_at_shutdown = counters_.get(prefix + ".lost.shutdown")});
  if (options_.when_full == QueueOptions::WhenFull::kWait) worker->exporter->wait_rather_than_drop();
  std::unique_lock lock(mutex_);
  close_open_chunk(lock);
  worker->next = end();
  worker->flushed = flush_wanted_;
  Worker& started = *workers_.emplace_back(std::move(worker));
  const SignalsBlocked blocked;
  started.thread = std::thread([this, &started] { run(started); });
  pthread_setname_np(started.thread.native_handle(), ("exp-" + name).substr(0, 15).c_str());
}

ExportQueue::ChunkPtr ExportQueue::fresh_chunk() {
  if (!spare_.empty()) {
    ChunkPtr chunk = std::move(spare_.back());
    spare_.pop_back();
    return chunk;
  }
  auto chunk = std::make_shared<Chunk>();
  chunk->spans.reserve(options_.batch_spans);
  return chunk;
}

void ExportQueue::recycle(ChunkPtr chunk) {
  // Counted under mutex_, where all references are made and dropped.
  if (chunk.use_count() != 1 || spare_.size() >= kSpareChunks) return;
  // One day of huge spans must not leave every slot huge.
  if (chunk->held > 2 * options_.batch_bytes) return;
  chunk->used = 0;
  chunk->bytes = 0;
  spare_.push_back(std::move(chunk));
}

Span& ExportQueue::slot() {
  if (open_->used == open_->spans.size()) {
    open_->spans.emplace_back();
    open_->footprints.push_back(0);
  } else {
    open_->held -= open_->footprints[open_->used];
  }
  return open_->spans[open_->used];
}

void ExportQueue::accept(const Span& span) {
  std::unique_lock lock(mutex_);
  if (stopping_ || workers_.empty()) return after_stop_.add(stopping_ ? 1 : 0);
  Span& kept = slot();
  kept = span;
  filled(lock, kept);
}

void ExportQueue::take(Span&& span) {
  std::unique_lock lock(mutex_);
  if (stopping_ || workers_.empty()) return after_stop_.add(stopping_ ? 1 : 0);
  Span& kept = slot();
  swap(kept, span);
  filled(lock, kept);
}

void ExportQueue::filled(std::unique_lock<std::mutex>& lock, Span& span) {
  span.connection.reset();  // its facts are attributes by now
  const std::size_t bytes = footprint(span);
  open_->footprints[open_->used] = bytes;
  open_->held += bytes;
  open_->bytes += bytes;
  accepted_.add();
  if (++open_->used == 1) {
    open_until_ = after(options_.batch_age);
    // Whoever sleeps must learn when this batch is due.
    if (open_until_ != Time::max()) work_.notify_all();
  }
  if (open_->used >= options_.batch_spans || open_->bytes >= options_.batch_bytes) close_open_chunk(lock);
}

bool ExportQueue::over_limit() const {
  return !chunks_.empty() && (spans_ > options_.max_spans || bytes_ > options_.max_bytes);
}

void ExportQueue::close_open_chunk(std::unique_lock<std::mutex>& lock) {
  if (open_->used == 0) return;
  spans_ += open_->used;
  bytes_ += open_->bytes;
  chunks_.push_back(std::move(open_));
  open_ = fresh_chunk();
  work_.notify_all();
  if (options_.when_full == QueueOptions::WhenFull::kWait) {
    done_.wait(lock, [this] { return !over_limit() || stopping_; });
  } else {
    while (over_limit()) drop_oldest();
  }
  report_depth();
}

void ExportQueue::drop_oldest() {
  const std::size_t lost = chunks_.front()->used;
  for (const auto& worker : workers_) {
    if (worker->next > first_) continue;
    worker->next = first_ + 1;
    (spans_ > options_.max_spans ? worker->queue_full_spans : worker->queue_full_bytes).add(lost);
    worker->dropped = true;
  }
  pop_front();
}

void ExportQueue::forget_sent() {
  while (!chunks_.empty() &&
         std::all_of(workers_.begin(), workers_.end(), [this](const auto& worker) { return worker->next > first_; })) {
    pop_front();
  }
  report_depth();
  done_.notify_all();
}

void ExportQueue::pop_front() {
  spans_ -= chunks_.front()->used;
  bytes_ -= chunks_.front()->bytes;
  ChunkPtr chunk = std::move(chunks_.front());
  chunks_.pop_front();
  ++first_;
  recycle(std::move(chunk));
}

void ExportQueue::report_depth() {
  depth_spans_.set(spans_);
  depth_bytes_.set(bytes_);
}

void ExportQueue::run(Worker& worker) {
  Exporter& exporter = *worker.exporter;
  Time idle_at = after(exporter.idle());
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = steady_clock::now();
    if (open_->used != 0 && now >= open_until_) close_open_chunk(lock);

    const bool flush_due = worker.flushed < flush_wanted_ && worker.next >= flush_until_;
    const std::uint64_t taken = exporter.taken();
    bool sent = false;
    if (!flush_due && worker.next < end()) {
      ChunkPtr chunk = chunks_[worker.next++ - first_];
      const bool dropped = std::exchange(worker.dropped, false);
      forget_sent();
      lock.unlock();
      if (dropped) {
        worker.notices.say(
            "too slow or unreachable, oldest spans were dropped (see lost.queue_full_* in the counters)");
      }
      const Status status = exporter.send(std::span<const Span>(chunk->spans.data(), chunk->used));
      if (!status) worker.notices.say(status.error().text());
      sent = status && !exporter.holds();
      idle_at = after(exporter.idle());
      lock.lock();
      recycle(std::move(chunk));
    } else if (flush_due) {
      const std::uint64_t wanted = flush_wanted_;
      lock.unlock();
      const Status flushed = exporter.flush();
      if (!flushed) worker.notices.say(flushed.error().text());
      idle_at = after(exporter.idle());
      lock.lock();
      // Nobody waits any more: what is left goes out when it can.
      if (!exporter.holds() || flushing_ == 0) worker.flushed = wanted;
    } else if (now >= idle_at) {
      lock.unlock();
      idle_at = after(exporter.idle());
      lock.lock();
    } else {
      const Time until = std::min(idle_at, open_->used != 0 ? open_until_ : Time::max());
      if (until == Time::max()) {
        work_.wait(lock);
      } else {
        work_.wait_until(lock, until);
      }
      continue;
    }
    if (sent || exporter.taken() != taken) progress_ = steady_clock::now();
    done_.notify_all();
  }
}

bool ExportQueue::flush(FlushLimits limits) {
  std::unique_lock lock(mutex_);
  if (stopping_) return false;
  close_open_chunk(lock);
  flush_until_ = end();
  const std::uint64_t wanted = ++flush_wanted_;
  ++flushing_;
  work_.notify_all();
  for (const auto& worker : workers_) worker->exporter->hurry();
  const auto out = [&] {
    return std::all_of(workers_.begin(), workers_.end(), [&](const auto& worker) { return worker->flushed >= wanted; });
  };
  const Time began = steady_clock::now();
  while (!out()) {
    const Time until = std::min(began + limits.longest, std::max(began, progress_) + limits.silence);
    if (given_up_ || steady_clock::now() >= until) break;
    done_.wait_until(lock, until);
  }
  --flushing_;
  return out();
}

void ExportQueue::give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  done_.notify_all();
}

void ExportQueue::stop(FlushLimits limits) {
  const bool flushed = flush(limits);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  // Only now may what still blocks be cut off.
  if (!flushed) {
    for (const auto& worker : workers_) worker->exporter->interrupt();
  }
  work_.notify_all();
  done_.notify_all();
  for (const auto& worker : workers_) {
    worker->thread.join();
    for (std::uint64_t n = worker->next; n < end(); ++n) worker->lost_at_shutdown.add(chunks_[n - first_]->used);
    worker->lost_at_shutdown.add(open_->used);
    worker->exporter.reset();
  }
}

}  // namespace wirespan
