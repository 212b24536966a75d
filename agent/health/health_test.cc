#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/health/server.h"
#include "agent/health/service_table.h"
#include "agent/health/snapshot.h"
#include "agent/health/top_view.h"

namespace wirespan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

HealthSnapshot sample() {
  HealthSnapshot snapshot;
  snapshot.version = "1.2.3";
  snapshot.uptime_s = 10;
  snapshot.counters = {{"capture.records", 1000},
                       {"capture.lost.ringbuf_full", 2},
                       {"governor.rung", 3},
                       {"governor.share_ppm", 250'000}};
  ServiceHealth shop;
  shop.name = "shop \"1\"\n\x1b[2J";
  shop.requests = 100;
  shop.errors = 5;
  shop.calls = 40;
  shop.sampled_out = 300;
  for (int i = 0; i < 99; ++i) shop.latency.add(2'000'000);
  shop.latency.add(900'000'000);
  shop.links = {{"", 10}, {"thread", 30}};
  snapshot.services = {shop};
  return snapshot;
}

std::string get(int family, const sockaddr* address, socklen_t size, const std::string& path) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, address, size) != 0) {
    ADD_FAILURE() << "connect: " << std::strerror(errno);
    return {};
  }
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string reply;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
    reply.append(buffer, static_cast<std::size_t>(n));
  ::close(fd);
  return reply;
}

std::string get_unix(const std::string& socket, const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  socket.copy(name.sun_path, sizeof(name.sun_path) - 1);
  return get(AF_UNIX, reinterpret_cast<const sockaddr*>(&name), sizeof name, path);
}

std::string get_port(std::uint16_t port, const std::string& path) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(port);
  return get(AF_INET, reinterpret_cast<const sockaddr*>(&name), sizeof name, path);
}

class SocketFile {
 public:
  SocketFile() : directory_(::testing::TempDir() + "wirespan-health-" + std::to_string(getpid())) {
    std::filesystem::create_directory(directory_);
  }
  ~SocketFile() { std::filesystem::remove_all(directory_); }
  [[nodiscard]] std::string path() const { return directory_ + "/health.sock"; }

 private:
  std::string directory_;
};

TEST(HealthAddress, OnlyOfThisHost) {
  for (const char* good : {"unix:/run/w.sock", "127.0.0.1:9464", "127.3.2.1:1", "[::1]:9464", "localhost:80"}) {
    EXPECT_TRUE(parse_health_address(good)) << good;
  }
  for (const char* bad : {"0.0.0.0:9464", "10.0.0.1:80", "[::]:80", ":9464", "9464", "unix:relative",
                          "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:80x"}) {
    EXPECT_FALSE(parse_health_address(bad)) << bad;
  }
}

TEST(HealthServer, AnswersOnASocketThatIsItsOwnersOnly) {
  const SocketFile file;
  bool stalled = false;
  auto server = HealthServer::start({file.path(), "", 0}, [&] {
    HealthSnapshot snapshot = sample();
    snapshot.stalled = stalled;
    return snapshot;
  });
  ASSERT_TRUE(server) << server.error().text();
  struct stat about{};
  ASSERT_EQ(::stat(file.path().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_THAT(get_unix(file.path(), "/healthz"), HasSubstr("200 OK"));
  EXPECT_THAT(get_unix(file.path(), "/metrics"), HasSubstr("# EOF\n"));
  EXPECT_THAT(get_unix(file.path(), "/nothing"), HasSubstr("404"));
  stalled = true;
  EXPECT_THAT(get_unix(file.path(), "/healthz"), HasSubstr("503"));

  // A second one does not take it away; one left behind by a crash is replaced.
  const auto second = HealthServer::start({file.path(), "", 0}, sample);
  EXPECT_FALSE(second);
  server->reset();
  EXPECT_FALSE(std::filesystem::exists(file.path()));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  file.path().copy(name.sun_path, sizeof(name.sun_path) - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ::close(fd);
  EXPECT_TRUE(HealthServer::start({file.path(), "", 0}, sample));
}

TEST(HealthServer, LeavesAFileThatIsNoSocketAlone) {
  const SocketFile file;
  {
    std::ofstream(file.path()) << "precious";
  }
  EXPECT_FALSE(HealthServer::start({file.path(), "", 0}, sample));
  EXPECT_EQ(std::filesystem::file_size(file.path()), 8U);
}

TEST(HealthServer, AnswersOnALoopbackPort) {
  auto server = HealthServer::start({"", "127.0.0.1", 0}, sample);
  ASSERT_TRUE(server) << server.error().text();
  const std::string reply = get_port((*server)->port(), "/services");
  const auto body = reply.find("\r\n\r\n");
  ASSERT_NE(body, std::string::npos);
  const auto again = health_from_json(reply.substr(body + 4));
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(to_openmetrics(*again), to_openmetrics(sample()));
}

TEST(OpenMetrics, EscapesNamesAndEnds) {
  const std::string text = to_openmetrics(sample());
  EXPECT_THAT(text, HasSubstr("service=\"shop \\\"1\\\"\\n"));
  EXPECT_THAT(text, HasSubstr("wirespan_capture_lost_ringbuf_full 2\n"));
  EXPECT_THAT(text, HasSubstr("seen=\"counted\"} 300\n"));
  EXPECT_THAT(text, HasSubstr("le=\"+Inf\"} 100\n"));
  EXPECT_TRUE(text.ends_with("# EOF\n"));
}

TEST(Latency, QuantilesAreWithinAQuarter) {
  LatencyHistogram histogram;
  for (std::uint64_t us = 1; us <= 1000; ++us) histogram.add(us * 1000);
  EXPECT_NEAR(static_cast<double>(histogram.quantile(0.5)), 500e3, 130e3);
  EXPECT_NEAR(static_cast<double>(histogram.quantile(0.99)), 990e3, 260e3);
  for (std::size_t slot = 8; slot + 1 < LatencyHistogram::kSlots; ++slot) {
    EXPECT_EQ(LatencyHistogram::slot_of(LatencyHistogram::upper_ns(slot)), slot + 1) << slot;
  }
}

TEST(Top, ShowsRatesAndObeysNoName) {
  HealthSnapshot before = sample();
  HealthSnapshot now = sample();
  now.uptime_s = 12;
  now.services[0].requests += 20;
  now.services[0].sampled_out += 2000;
  for (int i = 0; i < 20; ++i) now.services[0].latency.add(2'000'000);
  const std::string view = top_view(before, now, {});
  EXPECT_THAT(view, HasSubstr(" 10.0 "));
  EXPECT_THAT(view, HasSubstr("1000.0"));
  EXPECT_THAT(view, HasSubstr("rung 3, 25% of time"));
  EXPECT_THAT(view, HasSubstr(" 75% thread 75"));
  EXPECT_THAT(view, Not(HasSubstr("\x1b")));
}

TEST(ServiceTable, SumsUpWhatPassesAndPassesIt) {
  class Count : public Sink<Span> {
   public:
    void accept(const Span& /*span*/) override { ++spans; }
    int spans = 0;
  } next;
  ServiceTable table(next);
  auto process = std::make_shared<ProcessInfo>();
  process->service = "shop";
  Span span;
  span.process = process;
  span.role = SpanRole::kServer;
  span.end.ns = 5'000'000;
  span.status = SpanStatus::kError;
  table.accept(span);
  span.role = SpanRole::kClient;
  span.parent.method = "thread";
  table.take(std::move(span));
  event::Counted counted{{}, 1, TcpSide::kPassive, 7, 7, 0, {}};
  counted.slots[3] = 7;
  table.counted("shop", counted);
  const auto services = table.snapshot();
  ASSERT_EQ(services.size(), 1U);
  EXPECT_EQ(next.spans, 2);
  EXPECT_EQ(services[0].requests, 1U);
  EXPECT_EQ(services[0].errors, 1U);
  EXPECT_EQ(services[0].sampled_out, 7U);
  EXPECT_EQ(services[0].links.at("thread"), 1U);
  EXPECT_EQ(services[0].latency.count(), 8U);
}

TEST(ServiceTable, ManyServicesAreBounded) {
  class Nowhere : public Sink<Span> {
    void accept(const Span& /*span*/) override {}
  } next;
  ServiceTable table(next);
  for (int i = 0; i < 5000; ++i) table.counted("service-" + std::to_string(i), {{}, 1, TcpSide::kPassive, 1, 0, 0, {}});
  EXPECT_LE(table.snapshot().size(), ServiceTable::kMostServices + 1);
}

}  // namespace
}  // namespace wirespan
