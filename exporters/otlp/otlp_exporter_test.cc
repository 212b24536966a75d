// OTLP/HTTP against peers that fail in every way a collector and the network between can.
#include "exporters/otlp/otlp_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "exporters/otlp/test_receiver.h"
#include "exporters/queue/export_queue.h"
#include "exporters/testing/sample.h"

namespace wirespan {
namespace {

using std::chrono::milliseconds;
using test::Reply;
using test::TestReceiver;
using testing::Contains;
using testing::HasSubstr;

class OtlpHttpTest : public testing::Test {
 protected:
  OtlpOptions to(std::string url) {
    OtlpOptions options;
    options.url = std::move(url);
    options.timeout = std::chrono::seconds(60);
    options.first_backoff = milliseconds(1);
    options.longest_backoff = milliseconds(5);
    return options;
  }
  std::unique_ptr<OtlpExporter> exporter(OtlpOptions options) {
    auto created = OtlpExporter::create(std::move(options), counters, [this](const std::string& line) {
      const std::lock_guard lock(mutex);
      lines.push_back(line);
    });
    if (!created) ADD_FAILURE() << created.error().text();
    return *std::move(created);
  }
  std::vector<Span> batch(std::size_t size) {
    std::vector<Span> spans;
    for (std::size_t i = 0; i < size; ++i) spans.push_back(sample::typical_http(process, i + 1));
    return spans;
  }
  std::uint64_t count(const std::string& name) { return counters.get("exporters.otlp." + name).value(); }
  std::uint64_t lost() {
    std::uint64_t sum = 0;
    for (const auto& [name, value] : counters.snapshot()) {
      if (name.starts_with("exporters.otlp.lost.")) sum += value;
    }
    return sum;
  }
  // What the queue does: an exporter that keeps its batch is asked again. The last error.
  static Status send_out(OtlpExporter& otlp, std::span<const Span> spans) {
    Status status = otlp.send(spans);
    while (otlp.holds()) {
      if (Status flushed = otlp.flush(); !flushed) status = flushed;
    }
    return status;
  }
  void until(auto condition) {
    while (!condition()) std::this_thread::yield();
  }

  ProcessInfoPtr process = sample::process("shop");
  Counters counters;
  std::mutex mutex;
  std::vector<std::string> lines;
};

TEST_F(OtlpHttpTest, ARequestIsWhatTheSpecificationSays) {
  TestReceiver receiver([](const auto&, std::size_t) { return Reply{}; });
  OtlpOptions options = to(receiver.url());
  ASSERT_TRUE(options.set_headers("api-key=se%20cret"));
  const auto otlp = exporter(options);
  const auto spans = batch(5);
  ASSERT_TRUE(otlp->send(spans));
  ASSERT_TRUE(otlp->send(spans));
  const auto requests = receiver.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].path, "/v1/traces");
  EXPECT_EQ(requests[0].header("content-type"), "application/x-protobuf");
  EXPECT_EQ(requests[0].header("content-encoding"), "");
  EXPECT_EQ(requests[0].header("api-key"), "se cret");
  EXPECT_THAT(requests[0].header("user-agent"), testing::StartsWith("wirespan/"));
  EXPECT_EQ(requests[0].header("expect"), "");
  EXPECT_EQ(requests[0].body, OtlpProtoEncoder().encode(spans));
  EXPECT_EQ(count("spans.sent"), 10U);
  EXPECT_EQ(count("batches.sent"), 2U);
  EXPECT_EQ(count("bytes.sent"), requests[0].body.size() + requests[1].body.size());
}

TEST_F(OtlpHttpTest, JsonAndCompressionAreSaidInHeaders) {
  TestReceiver receiver([](const auto&, std::size_t) { return Reply{}; });
  OtlpOptions options = to(receiver.url());
  options.protocol = OtlpProtocol::kHttpJson;
  ASSERT_TRUE(exporter(options)->send(batch(1)));
  options.compression = OtlpCompression::kGzip;
  ASSERT_TRUE(exporter(options)->send(batch(1)));
  const auto requests = receiver.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].header("content-type"), "application/json");
  EXPECT_THAT(requests[0].body, testing::StartsWith(R"({"resourceSpans":)"));
  EXPECT_EQ(requests[1].header("content-encoding"), "gzip");
  EXPECT_THAT(requests[1].body, testing::StartsWith("\x1f\x8b"));
}

TEST_F(OtlpHttpTest, AProxyForTheOutsideWorldIsNotAskedForThisHost) {
  TestReceiver receiver([](const auto&, std::size_t) { return Reply{}; });
  ::setenv("http_proxy", ("http://127.0.0.1:" + std::to_string(test::unused_port())).c_str(), 1);
  const Status sent = exporter(to(receiver.url()))->send(batch(1));
  ::unsetenv("http_proxy");
  EXPECT_TRUE(sent);
}

TEST_F(OtlpHttpTest, RetriesWhatMaySucceedAndSaysSoOnce) {
  TestReceiver receiver([](const auto&, std::size_t number) {
    switch (number) {
      case 0:
        return Reply{.status = 503, .headers = {{"Retry-After", "0"}}, .body = {}};
      case 1:
        return Reply{.status = 429, .headers = {}, .body = "slow down"};
      case 2:
        return Reply{.status = 200, .headers = {}, .body = {}, .instead = Reply::Instead::kClose};
      case 3:
        return Reply{.status = 200, .headers = {}, .body = "cut", .instead = Reply::Instead::kCut};
      default:
        return Reply{};
    }
  });
  const auto otlp = exporter(to(receiver.url()));
  ASSERT_TRUE(send_out(*otlp, batch(7)));
  EXPECT_EQ(receiver.requests().size(), 5U);
  for (const auto& request : receiver.requests()) EXPECT_EQ(request.body, receiver.requests().front().body);
  EXPECT_EQ(count("spans.sent"), 7U);
  // A kept connection that is closed is opened again at once by libcurl: that is none of ours.
  EXPECT_EQ(count("retries"), 3U);
  EXPECT_THAT(lines, Contains(HasSubstr("exporter otlp: HTTP 503; retrying")));
  EXPECT_EQ(lines.size(), 1U);
}

TEST_F(OtlpHttpTest, WhatIsRefusedIsCountedAndNotSentAgain) {
  TestReceiver receiver([](const auto&, std::size_t number) {
    if (number == 0) return Reply{.status = 404, .headers = {}, .body = "no such page"};
    return Reply{};
  });
  const auto otlp = exporter(to(receiver.url()));
  const Status status = otlp->send(batch(7));
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("HTTP 404: no such page. The path has to be the receiver's"));
  EXPECT_EQ(count("lost.refused"), 7U);
  EXPECT_TRUE(otlp->send(batch(1)));
  EXPECT_EQ(receiver.requests().size(), 2U);
}

TEST_F(OtlpHttpTest, PartialSuccessIsReadAndCounted) {
  TestReceiver receiver([](const auto&, std::size_t) {
    return Reply{.status = 200,
                 .headers = {{"Content-Type", "application/json"}},
                 .body = R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}})"};
  });
  const auto otlp = exporter(to(receiver.url()));
  const Status status = otlp->send(batch(7));
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("rejected 2 spans: too old"));
  EXPECT_EQ(count("spans.sent"), 5U);
  EXPECT_EQ(count("lost.partial_success"), 2U);
  EXPECT_EQ(receiver.requests().size(), 1U) << "the specification forbids a retry";
}

TEST_F(OtlpHttpTest, NobodyThereIsRetriedForAWhileThenCounted) {
  OtlpOptions options = to("http://127.0.0.1:" + std::to_string(test::unused_port()) + "/v1/traces");
  options.retry_for = milliseconds(50);
  const auto otlp = exporter(options);
  const Status status = send_out(*otlp, batch(7));
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("Is a collector listening there?"));
  EXPECT_EQ(count("lost.retries_exhausted"), 7U);
  EXPECT_GE(count("retries"), 1U);
}

TEST_F(OtlpHttpTest, ARetryAfterBeyondOurPatienceLosesTheBatchAtOnce) {
  TestReceiver receiver([](const auto&, std::size_t) {
    return Reply{.status = 503, .headers = {{"Retry-After", "9999999"}}, .body = {}};
  });
  const auto otlp = exporter(to(receiver.url()));
  EXPECT_FALSE(otlp->send(batch(3)));
  EXPECT_EQ(count("lost.retries_exhausted"), 3U);
}

TEST_F(OtlpHttpTest, AReceiverThatNeverAnswersTimesOut) {
  TestReceiver receiver([](const auto&, std::size_t number) {
    if (number == 0) return Reply{.status = 200, .headers = {}, .body = {}, .instead = Reply::Instead::kHang};
    return Reply{};
  });
  OtlpOptions options = to(receiver.url());
  options.timeout = milliseconds(100);
  const auto otlp = exporter(options);
  // Under a slow sanitizer a later answer may come too late as well: then it is sent again.
  EXPECT_TRUE(send_out(*otlp, batch(3)));
  EXPECT_GE(count("retries"), 1U);
  EXPECT_EQ(count("spans.sent"), 3U);
}

TEST_F(OtlpHttpTest, InterruptEndsAHangingRequestAndAWaitForTheNextAttempt) {
  TestReceiver hanging([](const auto&, std::size_t) {
    return Reply{.status = 200, .headers = {}, .body = {}, .instead = Reply::Instead::kHang};
  });
  TestReceiver busy(
      [](const auto&, std::size_t) { return Reply{.status = 503, .headers = {{"Retry-After", "200"}}, .body = {}}; });
  for (TestReceiver* receiver : {&hanging, &busy}) {
    const auto otlp = exporter(to(receiver->url()));
    std::thread interrupter([&] {
      receiver->wait_for(1);
      otlp->interrupt();
    });
    EXPECT_FALSE(send_out(*otlp, batch(4)));
    interrupter.join();
    EXPECT_FALSE(otlp->send(batch(1))) << "stays interrupted";
  }
  EXPECT_EQ(count("lost.interrupted"), 10U);
}

TEST_F(OtlpHttpTest, AFlushDoesNotWaitForALongBackoff) {
  std::atomic<bool> up{false};
  TestReceiver receiver(
      [&](const auto&, std::size_t) { return Reply{.status = up ? 200 : 503, .headers = {}, .body = {}}; });
  OtlpOptions options = to(receiver.url());
  options.first_backoff = options.longest_backoff = std::chrono::minutes(4);
  ExportQueue queue({}, counters, {});
  queue.add(exporter(options));
  queue.accept(batch(1).front());
  receiver.wait_for(1);
  up = true;
  EXPECT_TRUE(queue.flush(std::chrono::seconds(60)));
  EXPECT_EQ(count("spans.sent"), 1U);
}

TEST_F(OtlpHttpTest, ACollectorKilledAndRestartedLosesNothingThatFitsTheQueue) {
  std::mutex received_mutex;
  std::vector<std::string> bodies;
  const auto take = [&](const test::ReceivedRequest& request, std::size_t) {
    const std::lock_guard lock(received_mutex);
    bodies.push_back(request.body);
    return Reply{};
  };
  auto receiver = std::make_unique<TestReceiver>(take);
  const std::uint16_t port = receiver->port();
  ExportQueue queue({.batch_spans = 10}, counters, {});
  queue.add(exporter(to(receiver->url())));
  const auto spans = batch(1000);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i == 300) {
      receiver->wait_for(5);
      receiver.reset();
    }
    if (i == 700) receiver = std::make_unique<TestReceiver>(take, port);
    queue.accept(spans[i]);
  }
  ASSERT_TRUE(queue.flush(std::chrono::seconds(60)));
  EXPECT_EQ(count("spans.sent"), 1000U);
  // In order. A batch whose answer was lost with the receiver comes twice: at least once is what OTLP promises.
  std::vector<std::string> expected;
  OtlpProtoEncoder encoder;
  for (std::size_t i = 0; i < spans.size(); i += 10) expected.emplace_back(encoder.encode({&spans[i], 10}));
  bodies.erase(std::unique(bodies.begin(), bodies.end()), bodies.end());
  EXPECT_EQ(bodies, expected);
}

TEST_F(OtlpHttpTest, AnOutageOfTwentyTimesTheQueueLosesNothingAndKeepsTheOrder) {
  std::atomic<bool> up{false};
  std::mutex received_mutex;
  std::vector<std::string> bodies;
  TestReceiver receiver([&](const test::ReceivedRequest& request, std::size_t) {
    if (!up) return Reply{.status = 503, .headers = {}, .body = {}};
    const std::lock_guard lock(received_mutex);
    bodies.push_back(request.body);
    return Reply{};
  });
  ExportQueue queue({.batch_spans = 100, .batch_age = Exporter::kNever, .max_bytes = 2U << 20U}, counters, {});
  queue.add(exporter(to(receiver.url())));
  const auto spans = batch(20'000);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    queue.accept(spans[i]);
    // The queue in front is never full: what is proved is the exporter's.
    if (i % 100 == 99) until([&] { return counters.get("exporters.queue.spans").value() == 0; });
  }
  until([&] { return count("backlog.spans") == spans.size(); });
  EXPECT_LE(count("backlog.bytes"), 100 * spans.size());
  EXPECT_EQ(count("spans.sent"), 0U);
  up = true;
  ASSERT_TRUE(queue.flush(std::chrono::seconds(60)));
  EXPECT_EQ(count("spans.sent"), spans.size());
  EXPECT_EQ(lost(), 0U);
  EXPECT_EQ(count("backlog.spans") + count("backlog.bytes"), 0U);
  std::vector<std::string> expected;
  OtlpProtoEncoder encoder;
  for (std::size_t i = 0; i < spans.size(); i += 100) expected.emplace_back(encoder.encode({&spans[i], 100}));
  EXPECT_EQ(bodies, expected);
}

TEST_F(OtlpHttpTest, WhatWaitsGoesOutWithoutNewSpansAndWithoutAFlush) {
  std::atomic<bool> up{false};
  TestReceiver receiver(
      [&](const auto&, std::size_t) { return Reply{.status = up ? 200 : 503, .headers = {}, .body = {}}; });
  ExportQueue queue({.batch_spans = 1}, counters, {});
  queue.add(exporter(to(receiver.url())));
  for (const Span& span : batch(20)) queue.accept(span);
  receiver.wait_for(2);
  up = true;
  until([&] { return count("spans.sent") == 20; });
}

TEST_F(OtlpHttpTest, AFlushThatIsGivenUpLeavesTheExporterAtWork) {
  std::atomic<bool> up{false};
  TestReceiver receiver(
      [&](const auto&, std::size_t) { return Reply{.status = up ? 200 : 503, .headers = {}, .body = {}}; });
  ExportQueue queue({.batch_spans = 1}, counters, {});
  queue.add(exporter(to(receiver.url())));
  const auto spans = batch(10);
  queue.accept(spans[0]);
  receiver.wait_for(1);
  EXPECT_FALSE(queue.flush(milliseconds(1)));
  for (std::size_t i = 1; i < spans.size(); ++i) queue.accept(spans[i]);
  until([&] { return count("backlog.spans") == 10; });
  up = true;
  until([&] { return count("spans.sent") == 10; });
  EXPECT_EQ(lost(), 0U);
}

TEST_F(OtlpHttpTest, AFullBacklogDropsTheOldestAndCountsThem) {
  std::atomic<bool> up{false};
  TestReceiver receiver(
      [&](const auto&, std::size_t) { return Reply{.status = up ? 200 : 503, .headers = {}, .body = {}}; });
  OtlpOptions options = to(receiver.url());
  options.first_backoff = options.longest_backoff = std::chrono::minutes(4);
  options.backlog_bytes = 64U << 10U;
  const auto otlp = exporter(options);
  const auto spans = batch(10'000);
  OtlpProtoEncoder encoder;
  Status full;
  for (std::size_t i = 0; i < spans.size(); i += 50) {
    if (const Status sent = otlp->send({&spans[i], 50}); !sent) full = sent;
    EXPECT_LT(otlp->idle(), Exporter::kNever);
    ASSERT_LE(count("backlog.bytes"), options.backlog_bytes);
    ASSERT_EQ(count("backlog.spans") + count("lost.backlog_full"), i + 50);
  }
  ASSERT_FALSE(full);
  EXPECT_THAT(full.error().text(), HasSubstr("export.otlp.backlog"));
  const std::uint64_t dropped = count("lost.backlog_full");
  EXPECT_GT(dropped, 0U);
  EXPECT_LT(dropped, spans.size());
  EXPECT_EQ(receiver.requests().size(), 1U) << "the next attempt is not due";
  up = true;
  while (otlp->holds()) EXPECT_TRUE(otlp->flush());
  EXPECT_EQ(count("spans.sent"), spans.size() - dropped);
  EXPECT_EQ(receiver.requests().back().body, encoder.encode({&spans[spans.size() - 50], 50}));
  EXPECT_EQ(otlp->idle(), Exporter::kNever);
}

TEST_F(OtlpHttpTest, WhatWouldWaitTooLongIsGivenUpAtOnceAllOfIt) {
  TestReceiver receiver([](const auto&, std::size_t number) {
    if (number == 0) return Reply{.status = 503, .headers = {}, .body = {}};
    if (number == 1) return Reply{.status = 503, .headers = {{"Retry-After", "9999999"}}, .body = {}};
    return Reply{};
  });
  OtlpOptions options = to(receiver.url());
  options.first_backoff = options.longest_backoff = std::chrono::minutes(4);
  const auto otlp = exporter(options);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(otlp->send(batch(4)));
  EXPECT_EQ(count("backlog.spans"), 12U);
  Status status;
  while (otlp->holds()) status = otlp->flush();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("retried without success: HTTP 503"));
  EXPECT_EQ(count("lost.retries_exhausted"), 12U);
  EXPECT_TRUE(otlp->send(batch(5))) << "nothing waits: the next is tried at once";
  EXPECT_EQ(count("spans.sent"), 5U);
}

TEST_F(OtlpHttpTest, WhatIsRefusedLaterIsCountedAndTheRestGoesOn) {
  TestReceiver receiver([](const auto&, std::size_t number) {
    constexpr std::array<int, 3> kStatus{503, 200, 400};
    return Reply{.status = number < kStatus.size() ? kStatus[number] : 200, .headers = {}, .body = {}};
  });
  const auto otlp = exporter(to(receiver.url()));
  const std::vector<std::size_t> sizes = {3, 4, 5};
  for (const std::size_t size : sizes) EXPECT_TRUE(otlp->send(batch(size)));
  until([&] { return otlp->idle() == Exporter::kNever; });
  EXPECT_EQ(count("spans.sent"), 3U + 5);
  EXPECT_EQ(count("lost.refused"), 4U);
  EXPECT_EQ(count("retries"), 1U);
  EXPECT_THAT(lines, Contains(HasSubstr("spans lost, refused")));
}

TEST_F(OtlpHttpTest, AReplayWaitsForTheReceiverInsteadOfLosing) {
  std::vector<std::string> bodies;
  std::uint64_t most_waiting = 0;
  TestReceiver receiver([&](const test::ReceivedRequest& request, std::size_t number) {
    most_waiting = std::max(most_waiting, count("backlog.spans"));
    if (number % 3 != 2) return Reply{.status = 503, .headers = {}, .body = {}};
    bodies.push_back(request.body);
    return Reply{};
  });
  OtlpOptions options = to(receiver.url());
  options.backlog_bytes = 1;
  QueueOptions queue_options{.batch_spans = 10, .batch_age = Exporter::kNever, .max_spans = 20};
  queue_options.when_full = QueueOptions::WhenFull::kWait;
  ExportQueue queue(queue_options, counters, {});
  queue.add(exporter(options));
  const auto spans = batch(500);
  for (const Span& span : spans) queue.accept(span);
  ASSERT_TRUE(queue.flush(std::chrono::seconds(60)));
  queue.stop(std::chrono::seconds(60));
  EXPECT_EQ(count("spans.sent"), 500U);
  EXPECT_EQ(lost(), 0U);
  EXPECT_EQ(most_waiting, 10U) << "the batch in hand";
  std::vector<std::string> expected;
  OtlpProtoEncoder encoder;
  for (std::size_t i = 0; i < spans.size(); i += 10) expected.emplace_back(encoder.encode({&spans[i], 10}));
  EXPECT_EQ(bodies, expected);
}

TEST_F(OtlpHttpTest, AReplayThatIsStoppedWhileItWaitsCountsEverySpan) {
  TestReceiver receiver(
      [](const auto&, std::size_t) { return Reply{.status = 503, .headers = {{"Retry-After", "200"}}, .body = {}}; });
  QueueOptions queue_options{.batch_spans = 10, .batch_age = Exporter::kNever};
  queue_options.when_full = QueueOptions::WhenFull::kWait;
  ExportQueue queue(queue_options, counters, {});
  queue.add(exporter(to(receiver.url())));
  for (const Span& span : batch(35)) queue.accept(span);
  receiver.wait_for(1);
  queue.stop(milliseconds(1));
  EXPECT_EQ(count("lost.interrupted"), 10U);
  EXPECT_EQ(count("lost.shutdown"), 25U);
}

TEST_F(OtlpHttpTest, WhatStillWaitsAtTheEndIsCountedOnce) {
  TestReceiver receiver([](const auto&, std::size_t) { return Reply{.status = 503, .headers = {}, .body = {}}; });
  OtlpOptions options = to(receiver.url());
  options.first_backoff = options.longest_backoff = std::chrono::minutes(4);
  for (const auto patience : {milliseconds(0), milliseconds(300)}) {
    const std::uint64_t before = count("lost.interrupted");
    ExportQueue queue({.batch_spans = 10, .batch_age = Exporter::kNever}, counters, {});
    queue.add(exporter(options));
    for (const Span& span : batch(100)) queue.accept(span);
    until([&] { return count("backlog.spans") == 100; });
    queue.stop(patience);
    EXPECT_EQ(count("lost.interrupted") - before, 100U) << patience.count();
    EXPECT_EQ(count("backlog.spans") + count("backlog.bytes"), 0U);
  }
  EXPECT_EQ(lost(), 200U);

  auto otlp = exporter(options);
  EXPECT_TRUE(otlp->send(batch(7)));
  otlp.reset();
  EXPECT_EQ(count("lost.interrupted"), 207U) << "never asked to flush, nor interrupted";
  EXPECT_THAT(lines, Contains(HasSubstr("stopped before 7 spans were out: HTTP 503")));
}

TEST_F(OtlpHttpTest, MemoryIsBoundedAndEveryLossCountedWhileTheCollectorIsDead) {
  QueueOptions queue_options;
  queue_options.max_bytes = 2U << 20U;
  queue_options.batch_spans = 100;
  OtlpOptions options = to("http://127.0.0.1:" + std::to_string(test::unused_port()) + "/v1/traces");
  options.backlog_bytes = 64U << 10U;
  ExportQueue queue(queue_options, counters, {});
  queue.add(exporter(options));
  const auto spans = batch(100);
  for (int round = 0; round < 300; ++round) {
    for (const Span& span : spans) queue.accept(span);
    ASSERT_LE(counters.get("exporters.queue.bytes").value(), queue_options.max_bytes);
    ASSERT_LE(count("backlog.bytes"), options.backlog_bytes);
  }
  queue.stop(milliseconds(20));
  EXPECT_EQ(count("spans.sent"), 0U);
  EXPECT_EQ(lost(), 30'000U);
}

TEST_F(OtlpHttpTest, AMissingCertificateIsSaidAtTheStart) {
  OtlpOptions options = to("https://127.0.0.1:1/");
  options.ca_file = "/nonexistent/ca.pem";
  const auto created = OtlpExporter::create(options, counters, {});
  ASSERT_FALSE(created);
  EXPECT_EQ(
      created.error().text(),
      "read /nonexistent/ca.pem: No such file or directory. OTEL_EXPORTER_OTLP_CERTIFICATE has to name a PEM file.");
}

}  // namespace
}  // namespace wirespan
