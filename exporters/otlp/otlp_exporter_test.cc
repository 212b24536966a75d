// OTLP/HTTP against peers that fail in every way a collector and the network between can.
#include "exporters/otlp/otlp_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
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
  ASSERT_TRUE(otlp->send(batch(7)));
  EXPECT_EQ(receiver.requests().size(), 5U);
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
  const Status status = otlp->send(batch(7));
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
  EXPECT_TRUE(otlp->send(batch(3)));
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
    EXPECT_FALSE(otlp->send(batch(4)));
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

TEST_F(OtlpHttpTest, MemoryIsBoundedAndEveryLossCountedWhileTheCollectorIsDead) {
  QueueOptions queue_options;
  queue_options.max_bytes = 2U << 20U;
  queue_options.batch_spans = 100;
  ExportQueue queue(queue_options, counters, {});
  queue.add(exporter(to("http://127.0.0.1:" + std::to_string(test::unused_port()) + "/v1/traces")));
  const auto spans = batch(100);
  for (int round = 0; round < 300; ++round) {
    for (const Span& span : spans) queue.accept(span);
    ASSERT_LE(counters.get("exporters.queue.bytes").value(), queue_options.max_bytes);
  }
  queue.stop(milliseconds(20));
  EXPECT_EQ(count("spans.sent") + count("lost.queue_full_bytes") + count("lost.queue_full_spans") +
                count("lost.interrupted") + count("lost.shutdown") + count("lost.retries_exhausted"),
            30'000U);
  EXPECT_GT(count("lost.queue_full_bytes"), 20'000U);
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
