// The three transports against tests/tools/otlp_sink.py: grpcio and the official generated classes, which share no line
// with ours. Skipped where ./dev has not made build/venv.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "exporters/otlp/otlp_exporter.h"
#include "exporters/otlp/test_receiver.h"
#include "exporters/queue/export_queue.h"
#include "exporters/testing/sample.h"

namespace wirespan {
namespace {

using std::chrono::milliseconds;
using testing::Contains;
using testing::HasSubstr;
constexpr auto kLong = std::chrono::seconds(100);

std::string python() {
  const char* chosen = std::getenv("WIRESPAN_PYTHON");
  return chosen != nullptr ? chosen : WIRESPAN_SOURCE_DIR "/build/venv/bin/python";
}

// Ends with its process; what it wrote to stdout first is in `line`.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments, bool quiet = false) {
    std::array<int, 2> out{};
    if (::pipe2(out.data(), O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    if (quiet) posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<char*> raw;
    for (std::string& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    if (::posix_spawnp(&pid_, raw[0], &actions, nullptr, raw.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) line_.push_back(c);
    ::close(out[0]);
  }
  ~Process() { end(SIGKILL); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  const std::string& line() const { return line_; }
  // Exit status, or -1 when a signal ended it.
  int end(int signal) {
    if (pid_ <= 0) return -1;
    if (signal != 0) ::kill(pid_, signal);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = -1;
  std::string line_;
};

int run(std::vector<std::string> arguments) {
  return Process(std::move(arguments), /*quiet=*/true).end(0);
}

class Directory {
 public:
  Directory() { path_ = ::mkdtemp(path_.data()); }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_ = "/tmp/wirespan-sink-XXXXXX";
};

class StrictSinkTest : public testing::TestWithParam<OtlpProtocol> {
 protected:
  void SetUp() override {
    if (run({python(), "-c", "import grpc, opentelemetry.proto, sys; sys.stdout.close()"}) != 0) {
      GTEST_SKIP() << python() << " lacks grpcio or opentelemetry-proto: ./dev test installs them";
    }
  }

  std::unique_ptr<Process> start(std::vector<std::string> arguments = {}) {
    std::vector<std::string> line = {python(),      WIRESPAN_SOURCE_DIR "/tests/tools/otlp_sink.py",
                                     "--out",       directory / "spans.jsonl",
                                     "--rejected",  directory / "rejected",
                                     "--grpc-port", std::to_string(grpc_port),
                                     "--http-port", std::to_string(http_port)};
    line.insert(line.end(), arguments.begin(), arguments.end());
    auto process = std::make_unique<Process>(line);
    const auto ports = nlohmann::json::parse(process->line(), nullptr, false);
    if (ports.is_discarded()) {
      ADD_FAILURE() << "the sink did not start: " << process->line();
      return process;
    }
    grpc_port = ports["grpc"];
    http_port = ports["http"];
    return process;
  }

  OtlpOptions options(const std::string& scheme = "http") {
    OtlpOptions out;
    out.protocol = GetParam();
    const auto port = out.protocol == OtlpProtocol::kGrpc ? grpc_port : http_port;
    const Status set =
        out.set_endpoint(scheme + "://localhost:" + std::to_string(port), OtlpOptions::Endpoint::kBase, true);
    EXPECT_TRUE(set);
    out.timeout = std::chrono::seconds(60);
    out.first_backoff = milliseconds(10);
    out.longest_backoff = milliseconds(50);
    return out;
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
    for (std::size_t i = 0; i + 1 < size; ++i)
      spans.push_back(sample::typical_http(i % 3 == 0 ? shop : stock, next_id++));
    spans.push_back(sample::rich());
    spans.back().id = SpanId::from_u64(next_id++);
    return spans;
  }

  // Span ids as the sink understood them, in the order of its file.
  std::vector<std::string> received() {
    std::vector<std::string> ids;
    std::ifstream in(directory / "spans.jsonl");
    for (std::string line; std::getline(in, line);) {
      const auto request = nlohmann::json::parse(line);
      for (const auto& group : request["resourceSpans"]) {
        for (const auto& scope : group["scopeSpans"]) {
          for (const auto& span : scope["spans"]) ids.push_back(span["spanId"]);
        }
      }
    }
    return ids;
  }
  std::string rejected() {
    std::ifstream in(directory / "rejected");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // What the queue does: an exporter that keeps its batch is asked again. The last error.
  static Status send_out(OtlpExporter& otlp, const std::vector<Span>& spans) {
    Status status = otlp.send(spans);
    while (otlp.holds()) {
      if (Status flushed = otlp.flush(); !flushed) status = flushed;
    }
    return status;
  }
  std::uint64_t count(const std::string& name) { return counters.get("exporters.otlp." + name).value(); }

  Directory directory;
  std::uint16_t grpc_port = 0;
  std::uint16_t http_port = 0;
  std::uint64_t next_id = 1;
  ProcessInfoPtr shop = sample::process("shop", 1);
  ProcessInfoPtr stock = sample::process("stock", 2);
  Counters counters;
  std::mutex mutex;
  std::vector<std::string> lines;
};

TEST_P(StrictSinkTest, EveryBatchIsAcceptedPlainAndZipped) {
  const auto sink = start();
  for (const auto compression : {OtlpCompression::kNone, OtlpCompression::kGzip}) {
    OtlpOptions with = options();
    with.compression = compression;
    const auto otlp = exporter(with);
    for (const std::size_t size : {1U, 2U, 100U, 500U}) {
      const Status sent = otlp->send(batch(size));
      EXPECT_TRUE(sent) << (sent ? "" : sent.error().text());
    }
  }
  EXPECT_EQ(sink->end(SIGTERM), 0) << rejected();
  EXPECT_EQ(received().size(), 2U * 603);
  EXPECT_EQ(count("spans.sent"), 2U * 603);
}

TEST_P(StrictSinkTest, WhatTheSinkSawIsWhatWasSent) {
  const auto sink = start();
  const auto otlp = exporter(options());
  const std::vector<Span> spans = {sample::rich()};
  ASSERT_TRUE(otlp->send(spans));
  EXPECT_EQ(sink->end(SIGTERM), 0);
  std::ifstream in(directory / "spans.jsonl");
  const auto seen = nlohmann::json::parse(in);
  ByteBuffer ours;
  OtlpJsonEncoder().encode(spans, ours);
  // The sink's JSON is the official classes'; they keep the order of fields to themselves and leave out what is empty.
  EXPECT_EQ(seen, nlohmann::json::parse(ours.view()));
}

TEST_P(StrictSinkTest, RefusesUsWhereWeWouldBeWrong) {
  const auto sink = start();
  const auto otlp = exporter(options());
  auto spans = batch(3);
  spans[1].id = SpanId{};
  const Status sent = otlp->send(spans);
  ASSERT_FALSE(sent);
  EXPECT_THAT(sent.error().text(), HasSubstr("span_id: all zero"));
  EXPECT_EQ(count("lost.refused"), 3U);
  EXPECT_EQ(sink->end(SIGTERM), 1);
  EXPECT_THAT(rejected(), HasSubstr("span_id: all zero"));
}

TEST_P(StrictSinkTest, FailuresAreRetriedCountedOrGivenUpAsTheSpecificationSays) {
  const auto sink = start({"--fail", "reset", "--fail", "503", "--fail", "2*503,retry-after=0", "--fail",
                           "UNAVAILABLE,retry-after=0", "--fail", "ok", "--fail", "400", "--fail", "partial=3"});
  const auto otlp = exporter(options());
  const Status retried = send_out(*otlp, batch(5));
  EXPECT_TRUE(retried) << (retried ? "" : retried.error().text());
  EXPECT_EQ(count("retries"), 5U);
  EXPECT_FALSE(otlp->send(batch(7)));
  EXPECT_EQ(count("lost.refused"), 7U);
  const Status partial = otlp->send(batch(10));
  ASSERT_FALSE(partial);
  EXPECT_THAT(partial.error().text(), HasSubstr("rejected 3 spans: rejected on request"));
  EXPECT_EQ(count("lost.partial_success"), 3U);
  EXPECT_EQ(count("spans.sent"), 12U);
  EXPECT_EQ(sink->end(SIGTERM), 0) << rejected();
  EXPECT_THAT(lines, Contains(HasSubstr("; retrying")));
}

TEST_P(StrictSinkTest, ASinkThatNeverAnswersBlocksNobodyElseAndIsLeftAtTheEnd) {
  const auto sink = start({"--fail", "inf*hang"});
  ExportQueue queue({.batch_spans = 10, .max_spans = 100}, counters, {});
  queue.add(exporter(options()));
  const auto spans = batch(1000);
  for (const Span& span : spans) queue.accept(span);
  queue.stop(milliseconds(50));
  EXPECT_EQ(count("spans.sent"), 0U);
  EXPECT_EQ(count("lost.queue_full_spans") + count("lost.shutdown") + count("lost.interrupted"), 1000U);
}

TEST_P(StrictSinkTest, KilledAndRestartedMidRunNothingIsLost) {
  auto sink = start();
  ExportQueue queue({.batch_spans = 20}, counters, {});
  queue.add(exporter(options()));
  const auto spans = batch(600);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i == 150) {
      ASSERT_TRUE(queue.flush(kLong));
      sink->end(SIGKILL);
    }
    if (i == 450) sink = start();
    queue.accept(spans[i]);
  }
  ASSERT_TRUE(queue.flush(kLong));
  EXPECT_EQ(sink->end(SIGTERM), 0) << rejected();
  auto ids = received();
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  EXPECT_EQ(ids.size(), 600U);
  EXPECT_EQ(count("spans.sent"), 600U);
}

TEST_P(StrictSinkTest, WhatWaitedPackedComesOutWholeAndInOrder) {
  auto sink = start();
  for (const auto compression : {OtlpCompression::kNone, OtlpCompression::kGzip}) {
    sink->end(SIGTERM);
    OtlpOptions with = options();
    with.compression = compression;
    const auto otlp = exporter(with);
    std::size_t encoded = 0;
    for (int i = 0; i < 20; ++i) {
      const auto spans = batch(50);
      encoded += OtlpProtoEncoder().encode(spans).size();
      EXPECT_TRUE(otlp->send(spans));
    }
    EXPECT_EQ(count("backlog.spans"), 1'000U);
    EXPECT_LT(count("backlog.bytes"), encoded / 3);
    sink = start();
    while (otlp->holds()) EXPECT_TRUE(otlp->flush());
  }
  EXPECT_EQ(sink->end(SIGTERM), 0) << rejected();
  auto ids = received();
  ASSERT_EQ(ids.size(), 2'000U);
  // Within a batch spans stand by process.
  for (auto at = ids.begin(); at != ids.end(); at += 50) std::sort(at, at + 50);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
  EXPECT_EQ(count("spans.sent"), 2'000U);
}

TEST_P(StrictSinkTest, TlsWithACertificateOfBothAndARefusalWithoutEither) {
  // A CA; a server for localhost and a client, both signed by it; another CA that signed nothing.
  const auto file = [&](const std::string& name) { return directory / name; };
  const auto openssl = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    ASSERT_EQ(run(std::move(arguments)), 0);
  };
  for (const std::string ca : {"ca", "other"}) {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=" + ca, "-keyout", file(ca + ".key"), "-out", file(ca + ".pem")});
  }
  std::ofstream(file("names")) << "subjectAltName=DNS:localhost\n";
  for (const std::string name : {"server", "client"}) {
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout",
             file(name + ".key"), "-out", file(name + ".csr")});
    openssl({"x509", "-req", "-in", file(name + ".csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"),
             "-CAcreateserial", "-days", "2", "-extfile", file("names"), "-out", file(name + ".pem")});
  }
  const auto sink =
      start({"--tls-cert", file("server.pem"), "--tls-key", file("server.key"), "--client-ca", file("ca.pem")});

  OtlpOptions good = options("https");
  good.ca_file = file("ca.pem");
  good.client_certificate_file = file("client.pem");
  good.client_key_file = file("client.key");
  good.compression = OtlpCompression::kGzip;
  const Status sent = exporter(good)->send(batch(10));
  EXPECT_TRUE(sent) << (sent ? "" : sent.error().text());

  OtlpOptions untrusted = good;
  untrusted.ca_file = file("other.pem");
  untrusted.retry_for = milliseconds(30);
  const Status refused = send_out(*exporter(untrusted), batch(4));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("OTEL_EXPORTER_OTLP_CERTIFICATE"));

  OtlpOptions nameless = good;
  nameless.client_certificate_file.clear();
  nameless.client_key_file.clear();
  nameless.retry_for = milliseconds(30);
  EXPECT_FALSE(send_out(*exporter(nameless), batch(5)));

  EXPECT_EQ(count("lost.retries_exhausted"), 9U);
  EXPECT_EQ(sink->end(SIGTERM), 0) << rejected();
  EXPECT_EQ(received().size(), 10U);
}

TEST_P(StrictSinkTest, TheWrongPortIsSaidWithWhatToDo) {
  const auto sink = start();
  std::swap(grpc_port, http_port);
  OtlpOptions wrong = options();
  wrong.retry_for = milliseconds(30);
  const Status sent = send_out(*exporter(wrong), batch(1));
  ASSERT_FALSE(sent);
  EXPECT_THAT(sent.error().text(), HasSubstr("OTEL_EXPORTER_OTLP_PROTOCOL"));
}

INSTANTIATE_TEST_SUITE_P(Protocols, StrictSinkTest,
                         testing::Values(OtlpProtocol::kGrpc, OtlpProtocol::kHttpProtobuf, OtlpProtocol::kHttpJson),
                         [](const auto& chosen) {
                           switch (chosen.param) {
                             case OtlpProtocol::kGrpc:
                               return "Grpc";
                             case OtlpProtocol::kHttpProtobuf:
                               return "HttpProtobuf";
                             default:
                               return "HttpJson";
                           }
                         });

}  // namespace
}  // namespace wirespan
