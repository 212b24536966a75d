#include "exporters/queue/export_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "exporters/testing/sample.h"

namespace wirespan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr auto kLong = seconds(60);

struct Received {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::uint64_t> ids;
  std::vector<std::size_t> batches;
  int flushes = 0;
  int idles = 0;
  bool open = true;  // else send blocks
  bool interrupted = false;
  bool hurried = false;

  void set_open(bool now) {
    const std::lock_guard lock(mutex);
    open = now;
    changed.notify_all();
  }
  bool wait(auto condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kLong, condition);
  }
  std::vector<std::uint64_t> taken() {
    const std::lock_guard lock(mutex);
    return ids;
  }
};

class FakeExporter : public Exporter {
 public:
  FakeExporter(std::string name, std::shared_ptr<Received> received, bool fails = false)
      : name_(std::move(name)), received_(std::move(received)), fails_(fails) {}
  std::string_view name() const override { return name_; }
  Status send(std::span<const Span> batch) override {
    std::unique_lock lock(received_->mutex);
    received_->batches.push_back(batch.size());
    received_->changed.notify_all();
    received_->changed.wait(lock, [&] { return received_->open || received_->interrupted; });
    if (!received_->open) return Error{"cut off", 0, {}};
    for (const Span& span : batch) received_->ids.push_back(span.id.to_u64());
    received_->changed.notify_all();
    if (fails_) return Error{"it hurts", 0, "Rest."};
    return {};
  }
  milliseconds idle() override {
    const std::lock_guard lock(received_->mutex);
    ++received_->idles;
    received_->changed.notify_all();
    return milliseconds(5);
  }
  Status flush() override {
    const std::lock_guard lock(received_->mutex);
    ++received_->flushes;
    return {};
  }
  void hurry() override {
    const std::lock_guard lock(received_->mutex);
    received_->hurried = true;
    received_->changed.notify_all();
  }
  void interrupt() override {
    const std::lock_guard lock(received_->mutex);
    received_->interrupted = true;
    received_->changed.notify_all();
  }

 private:
  std::string name_;
  std::shared_ptr<Received> received_;
  bool fails_;
};

std::vector<std::uint64_t> numbers(std::uint64_t from, std::uint64_t to) {
  std::vector<std::uint64_t> out(to - from + 1);
  std::iota(out.begin(), out.end(), from);
  return out;
}

std::uint64_t count(const Counters& counters, std::string_view name) {
  for (const auto& [key, value] : counters.snapshot()) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no counter " << name;
  return 0;
}

class ExportQueueTest : public testing::Test {
 protected:
  void start(QueueOptions options) {
    queue = std::make_unique<ExportQueue>(options, counters, [this](const std::string& line) {
      const std::lock_guard lock(mutex);
      lines.push_back(line);
    });
  }
  std::shared_ptr<Received> add(const std::string& name, bool open = true, bool fails = false) {
    auto received = std::make_shared<Received>();
    received->open = open;
    queue->add(std::make_unique<FakeExporter>(name, received, fails));
    return received;
  }
  void feed(std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t id = from; id <= to; ++id)
      queue->accept(sample::span(process, SpanRole::kServer, id, 0, "GET /", {0, 1}));
  }

  Counters counters;
  std::mutex mutex;
  std::vector<std::string> lines;
  ProcessInfoPtr process = sample::process("shop");
  std::unique_ptr<ExportQueue> queue;
};

QueueOptions small(std::size_t batch, std::size_t most) {
  return {.batch_spans = batch,
          .batch_bytes = 1U << 30U,
          .batch_age = Exporter::kNever,
          .max_spans = most,
          .max_bytes = 1U << 30U};
}

TEST_F(ExportQueueTest, EveryExporterGetsEverySpanInOrderInBatchesByCount) {
  start(small(10, 1000));
  const auto a = add("a");
  const auto b = add("b");
  feed(1, 35);
  ASSERT_TRUE(queue->flush(kLong));
  EXPECT_EQ(a->taken(), numbers(1, 35));
  EXPECT_EQ(b->taken(), numbers(1, 35));
  EXPECT_THAT(a->batches, testing::ElementsAre(10, 10, 10, 5));
  EXPECT_EQ(a->flushes, 1);
  EXPECT_EQ(count(counters, "exporters.spans.accepted"), 35U);
}

TEST_F(ExportQueueTest, ABatchIsSentWhenItIsOldThoughNothingMoreComes) {
  QueueOptions options = small(1000, 1000);
  options.batch_age = milliseconds(20);
  start(options);
  const auto a = add("a");
  feed(1, 3);
  EXPECT_TRUE(a->wait([&] { return a->ids.size() == 3; }));
}

TEST_F(ExportQueueTest, ABatchOfHugeSpansIsCutByBytes) {
  QueueOptions options = small(1000, 100'000);
  options.batch_bytes = 100'000;
  start(options);
  const auto a = add("a");
  Span span = sample::span(process, SpanRole::kServer, 1, 0, "GET /", {0, 1});
  span.attributes.set("db.query.text", std::string(30'000, 'x'));
  for (int i = 0; i < 20; ++i) queue->accept(span);
  ASSERT_TRUE(queue->flush(kLong));
  EXPECT_EQ(a->ids.size(), 20U);
  for (const std::size_t size : a->batches) EXPECT_LE(size, 4U);
}

TEST_F(ExportQueueTest, TakeKeepsWhatItIsGivenAndReturnsAUsableSpan) {
  start(small(2, 1000));
  const auto a = add("a");
  Span span;
  for (std::uint64_t id = 1; id <= 100; ++id) {
    span = sample::span(process, SpanRole::kServer, id, 0, "GET /", {0, 1});
    queue->take(std::move(span));
  }
  ASSERT_TRUE(queue->flush(kLong));
  EXPECT_EQ(a->taken(), numbers(1, 100));
}

TEST_F(ExportQueueTest, ADeadExporterDelaysNoOtherAndItsOldestSpansGoCounted) {
  start(small(10, 50));
  const auto dead = add("dead", /*open=*/false);
  const auto live = add("live");
  for (std::uint64_t id = 1; id <= 991; id += 10) {
    feed(id, id + 9);
    ASSERT_TRUE(live->wait([&] { return live->ids.size() == id + 9; })) << "the live one waits for the dead one";
  }
  EXPECT_EQ(live->taken(), numbers(1, 1000));
  EXPECT_LE(count(counters, "exporters.queue.spans"), 50U);

  dead->set_open(true);
  ASSERT_TRUE(queue->flush(kLong));
  // The batch in its hands (which one depends on when its thread first ran), then the newest: 50 waited.
  const auto taken = dead->taken();
  ASSERT_GE(taken.size(), 50U);
  EXPECT_LE(taken.size(), 60U);
  EXPECT_EQ(std::vector(taken.end() - 50, taken.end()), numbers(951, 1000));
  EXPECT_EQ(count(counters, "exporters.dead.lost.queue_full_spans"), 1000U - taken.size());
  EXPECT_EQ(count(counters, "exporters.live.lost.queue_full_spans"), 0U);
  EXPECT_THAT(lines, testing::Contains(testing::HasSubstr("exporter dead: ")));
}

TEST_F(ExportQueueTest, BytesAreBoundedWithADeadExporter) {
  QueueOptions options = small(10, 1'000'000);
  options.max_bytes = 200'000;
  start(options);
  const auto dead = add("dead", /*open=*/false);
  Span span = sample::span(process, SpanRole::kServer, 1, 0, "GET /", {0, 1});
  span.attributes.set("db.query.text", std::string(2'000, 'x'));
  for (int i = 0; i < 5'000; ++i) {
    queue->accept(span);
    ASSERT_LE(count(counters, "exporters.queue.bytes"), 200'000U);
  }
  EXPECT_GT(count(counters, "exporters.dead.lost.queue_full_bytes"), 4'000U);
  dead->set_open(true);
  ASSERT_TRUE(queue->flush(kLong));
  EXPECT_EQ(dead->taken().size() + count(counters, "exporters.dead.lost.queue_full_bytes"), 5'000U);
}

TEST_F(ExportQueueTest, LimitsBelowABatchMakeBatchesSmaller) {
  start({.batch_spans = 1024,
         .batch_bytes = 2U << 20U,
         .batch_age = Exporter::kNever,
         .max_spans = 10,
         .max_bytes = 100'000});
  const auto a = add("a");
  for (std::uint64_t id = 1; id <= 100; id += 10) {
    feed(id, id + 9);
    ASSERT_TRUE(a->wait([&] { return a->ids.size() == id + 9; }));
  }
}

TEST_F(ExportQueueTest, AnExporterThatComesLaterGetsWhatIsAcceptedLater) {
  start(small(100, 1000));
  const auto first = add("first");
  feed(1, 5);
  const auto second = add("second");
  feed(6, 9);
  ASSERT_TRUE(queue->flush(kLong));
  EXPECT_EQ(first->taken(), numbers(1, 9));
  EXPECT_EQ(second->taken(), numbers(6, 9));
}

TEST_F(ExportQueueTest, AReplayWaitsInsteadOfLosing) {
  QueueOptions options = small(10, 20);
  options.when_full = QueueOptions::WhenFull::kWait;
  start(options);
  const auto slow = add("slow", /*open=*/false);
  std::thread opener([&] {
    slow->wait([&] { return slow->batches.size() == 1; });
    slow->set_open(true);
  });
  feed(1, 500);
  opener.join();
  ASSERT_TRUE(queue->flush(kLong));
  EXPECT_EQ(slow->taken(), numbers(1, 500));
  EXPECT_EQ(count(counters, "exporters.slow.lost.queue_full_spans"), 0U);
}

TEST_F(ExportQueueTest, StopSendsWhatIsThere) {
  start(small(1000, 1000));
  const auto a = add("a");
  feed(1, 7);
  queue->stop(kLong);
  EXPECT_EQ(a->taken(), numbers(1, 7));
  EXPECT_FALSE(a->interrupted);
  feed(8, 9);
  queue->stop(kLong);
  EXPECT_EQ(count(counters, "exporters.lost.after_stop"), 2U);
}

TEST_F(ExportQueueTest, StopCutsADeadExporterOffAndCountsWhatIsLeft) {
  start(small(10, 1000));
  const auto dead = add("dead", /*open=*/false);
  const auto live = add("live");
  feed(1, 35);
  ASSERT_TRUE(dead->wait([&] { return dead->batches.size() == 1; }));
  queue->stop(milliseconds(50));
  EXPECT_TRUE(dead->interrupted);
  EXPECT_TRUE(dead->hurried) << "told to try at once first";
  // Its first ten were in its own hands, and are its own to count.
  EXPECT_EQ(count(counters, "exporters.dead.lost.shutdown"), 25U);
  EXPECT_EQ(live->taken(), numbers(1, 35));
  EXPECT_EQ(count(counters, "exporters.live.lost.shutdown"), 0U);
}

TEST_F(ExportQueueTest, AReceiverThatTakesNothingIsGivenUpBeforeTheLongestTime) {
  start(small(10, 1000));
  const auto dead = add("dead", /*open=*/false);
  feed(1, 35);
  ASSERT_TRUE(dead->wait([&] { return dead->batches.size() == 1; }));
  queue->stop({.longest = std::chrono::hours(1), .silence = milliseconds(20)});
  EXPECT_TRUE(dead->interrupted);
  EXPECT_EQ(count(counters, "exporters.dead.lost.shutdown"), 25U);
}

TEST_F(ExportQueueTest, AnImpatientUserEndsTheFlush) {
  start(small(10, 1000));
  const auto dead = add("dead", /*open=*/false);
  feed(1, 35);
  std::thread user([&] {
    dead->wait([&] { return dead->hurried; });
    queue->give_up();
  });
  queue->stop(std::chrono::hours(1));
  user.join();
  EXPECT_TRUE(dead->interrupted);
}

TEST_F(ExportQueueTest, AFailingExporterIsSaidWithWhatToDo) {
  start(small(1, 1000));
  add("bad", /*open=*/true, /*fails=*/true);
  feed(1, 50);
  ASSERT_TRUE(queue->flush(kLong));
  EXPECT_THAT(lines, testing::ElementsAre("exporter bad: it hurts. Rest."));
}

TEST_F(ExportQueueTest, AnExporterCanActThoughNothingComes) {
  start(small(10, 1000));
  const auto a = add("a");
  EXPECT_TRUE(a->wait([&] { return a->idles >= 3; }));
}

TEST_F(ExportQueueTest, SpansOfOneThreadReachAllWhileAnotherFlushes) {
  start(small(7, 100'000));
  const auto a = add("a");
  std::atomic<bool> done{false};
  std::thread flusher([&] {
    while (!done) ASSERT_TRUE(queue->flush(kLong));
  });
  feed(1, 20'000);
  done = true;
  flusher.join();
  ASSERT_TRUE(queue->flush(kLong));
  EXPECT_EQ(a->taken(), numbers(1, 20'000));
}

// Keeps every batch; a flush gets one of them out.
struct Keeping {
  std::atomic<std::uint64_t> kept{0};
  std::atomic<std::uint64_t> flushes{0};
  std::atomic<bool> takes{true};
  std::atomic<bool> waits{false};
  std::atomic<bool> gone{false};
};
class KeepingExporter : public Exporter {
 public:
  KeepingExporter(std::shared_ptr<Keeping> state, milliseconds pace) : state_(std::move(state)), pace_(pace) {}
  ~KeepingExporter() override { state_->gone = true; }
  KeepingExporter(const KeepingExporter&) = delete;
  KeepingExporter& operator=(const KeepingExporter&) = delete;
  std::string_view name() const override { return "keeping"; }
  void wait_rather_than_drop() override { state_->waits = true; }
  Status send(std::span<const Span> /*batch*/) override {
    ++state_->kept;
    return {};
  }
  Status flush() override {
    ++state_->flushes;
    std::this_thread::sleep_for(pace_);
    if (state_->takes && state_->kept != 0) {
      --state_->kept;
      ++taken_;
    }
    return {};
  }
  bool holds() const override { return state_->kept != 0; }
  std::uint64_t taken() const override { return taken_; }

 private:
  std::shared_ptr<Keeping> state_;
  milliseconds pace_;
  std::uint64_t taken_ = 0;
};

TEST_F(ExportQueueTest, AFlushAsksUntilNothingIsKeptAndALongOneThatGetsOnIsNotSilence) {
  start(small(1, 1000));
  const auto keeping = std::make_shared<Keeping>();
  queue->add(std::make_unique<KeepingExporter>(keeping, milliseconds(100)));
  feed(1, 15);
  EXPECT_TRUE(queue->flush({.longest = kLong, .silence = milliseconds(1'000)}));
  EXPECT_EQ(keeping->kept, 0U);
  EXPECT_EQ(keeping->flushes, 15U);
  EXPECT_FALSE(keeping->waits);
}

TEST_F(ExportQueueTest, AFlushThatNobodyWaitsForAnyMoreEnds) {
  start(small(1, 1000));
  const auto keeping = std::make_shared<Keeping>();
  keeping->takes = false;
  queue->add(std::make_unique<KeepingExporter>(keeping, milliseconds(1)));
  feed(1, 5);
  EXPECT_FALSE(queue->flush({.longest = kLong, .silence = milliseconds(20)})) << "keeping is not taking";
  feed(6, 10);
  while (keeping->kept != 10) std::this_thread::yield();
  keeping->takes = true;
  EXPECT_TRUE(queue->flush(kLong));
  EXPECT_EQ(keeping->kept, 0U);
}

TEST_F(ExportQueueTest, ExportersEndWithStopSoThatTheyCountWhatTheyKeep) {
  QueueOptions options = small(1, 1000);
  options.when_full = QueueOptions::WhenFull::kWait;
  start(options);
  const auto keeping = std::make_shared<Keeping>();
  keeping->takes = false;
  queue->add(std::make_unique<KeepingExporter>(keeping, milliseconds(1)));
  EXPECT_TRUE(keeping->waits) << "it is told of a replay";
  feed(1, 5);
  queue->stop(milliseconds(20));
  EXPECT_TRUE(keeping->gone);
  EXPECT_FALSE(queue->flush(kLong)) << "and nobody asks them again";
  queue->stop(kLong);
}

TEST_F(ExportQueueTest, WithoutExportersSpansGoNowhere) {
  start(small(7, 100));
  feed(1, 1000);
  EXPECT_TRUE(queue->flush(kLong));
}

}  // namespace
}  // namespace wirespan
