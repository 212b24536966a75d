#include "exporters/console/console.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "exporters/testing/sample.h"

namespace wirespan {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
constexpr auto S = SpanRole::kServer;

TraceBook::Time at(int ms) {
  return TraceBook::Time(milliseconds(1'000'000 + ms));
}

Span span_of(std::uint64_t trace, std::uint64_t id, std::uint64_t parent) {
  Span span = sample::span(sample::process("shop"), S, id, parent, "GET /", {0, 100});
  span.trace = TraceId::from_u64(1, trace);
  return span;
}

TEST(TraceBook, ACompleteTraceIsShownOnceItIsQuiet) {
  TraceBook book;
  book.add(span_of(1, 2, 1), at(0));
  book.add(span_of(1, 1, 0), at(100));
  EXPECT_TRUE(book.take_due(at(399)).empty());
  EXPECT_EQ(book.next_due(), at(400));
  const auto traces = book.take_due(at(400));
  ASSERT_EQ(traces.size(), 1U);
  EXPECT_EQ(traces[0].spans.size(), 2U);
  EXPECT_FALSE(traces[0].continued);
  EXPECT_EQ(book.next_due(), TraceBook::Time::max());
}

TEST(TraceBook, OneThatLacksAParentIsWaitedForLonger) {
  TraceBook book;
  book.add(span_of(1, 2, 1), at(0));
  book.add(span_of(2, 3, 0), at(1));
  auto traces = book.take_due(at(500));
  ASSERT_EQ(traces.size(), 1U) << "the complete one does not wait for the other";
  EXPECT_EQ(traces[0].id, TraceId::from_u64(1, 2));
  EXPECT_TRUE(book.take_due(at(1499)).empty());
  EXPECT_EQ(book.take_due(at(1500)).size(), 1U);
}

TEST(TraceBook, ALateSpanSaysThatItContinues) {
  TraceBook book;
  book.add(span_of(1, 1, 0), at(0));
  EXPECT_EQ(book.take_due(at(300)).size(), 1U);
  book.add(span_of(1, 2, 1), at(400));
  const auto traces = book.take_all();
  ASSERT_EQ(traces.size(), 1U);
  EXPECT_TRUE(traces[0].continued);
}

TEST(TraceBook, ATraceThatNeverEndsAndTracesWithoutEndAreBounded) {
  TraceBook book({.spans = 1000, .spans_of_trace = 100, .remembered = 10});
  std::size_t shown = 0;
  std::size_t waiting = 0;
  for (std::uint64_t id = 1; id <= 5000; ++id) {
    book.add(span_of(7, id, 9999), at(0));
    book.add(span_of(1000 + id, id, 9999), at(0));
    waiting += 2;
    for (const auto& trace : book.take_due(at(0))) {
      EXPECT_TRUE(trace.cut_short);
      shown += trace.spans.size();
      waiting -= trace.spans.size();
    }
    ASSERT_LE(waiting, 1000U);
  }
  for (const auto& trace : book.take_all()) shown += trace.spans.size();
  EXPECT_EQ(shown, 10'000U);
}

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0); }
  ~Pipe() {
    for (const int fd : ends_) {
      if (fd >= 0) ::close(fd);
    }
  }
  FdWriter writer() { return *FdWriter::borrow(ends_[1]); }
  int write_end() const { return ends_[1]; }
  std::string finish() {
    ::close(ends_[1]);
    ends_[1] = -1;
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t count = 0; (count = ::read(ends_[0], buffer.data(), buffer.size())) > 0;) {
      all.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return all;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

TEST(Console, PrintsACompleteTraceWithoutFurtherSpans) {
  Pipe pipe;
  Counters counters;
  ConsoleExporter console(pipe.writer(), {.limits = {.quiet = milliseconds(1)}}, counters);
  const std::vector<Span> batch = {span_of(1, 1, 0)};
  EXPECT_TRUE(console.send(batch));
  while (counters.get("exporters.console.traces.shown").value() == 0) {
    const auto wait = console.idle();
    if (wait == Exporter::kNever) break;
    std::this_thread::sleep_for(wait);
  }
  EXPECT_EQ(console.idle(), Exporter::kNever);
  EXPECT_EQ(counters.get("exporters.console.spans.sent").value(), 1U);
  EXPECT_THAT(pipe.finish(), HasSubstr("GET /"));
}

TEST(Console, FlushShowsWhatIsNotComplete) {
  Pipe pipe;
  Counters counters;
  ConsoleExporter console(pipe.writer(), {}, counters);
  const std::vector<Span> batch = {span_of(1, 2, 1)};
  EXPECT_TRUE(console.send(batch));
  EXPECT_TRUE(console.flush());
  EXPECT_THAT(pipe.finish(), HasSubstr("its parent 0000000000000001 (peer) was not seen here"));
}

TEST(Console, MoreThanAPersonCanReadIsCountedAndSaid) {
  Pipe pipe;
  Counters counters;
  ConsoleExporter console(pipe.writer(), {.traces_per_second = 5}, counters);
  std::vector<Span> batch;
  for (std::uint64_t trace = 1; trace <= 1000; ++trace) batch.push_back(span_of(trace, 1, 0));
  batch.back().status = SpanStatus::kError;
  batch.back().name = "the one with an error";
  EXPECT_TRUE(console.send(batch));
  EXPECT_TRUE(console.flush());
  const std::string out = pipe.finish();
  EXPECT_THAT(out, HasSubstr("more traces not shown: too many to read (--json FILE has all of them)"));
  EXPECT_THAT(out, HasSubstr("the one with an error"));
  EXPECT_EQ(counters.get("exporters.console.traces.shown").value() +
                counters.get("exporters.console.traces.not_shown").value(),
            1000U);
  EXPECT_GE(counters.get("exporters.console.traces.not_shown").value(), 900U);
}

TEST(Console, JsonIsOneLineForEachSpan) {
  Pipe pipe;
  Counters counters;
  ConsoleExporter console(pipe.writer(), {.form = ConsoleOptions::Form::kJson}, counters);
  const std::vector<Span> batch = {sample::rich()};
  EXPECT_TRUE(console.send(batch));
  EXPECT_EQ(pipe.finish(),
            R"({"trace":"4bf92f3577b34da6a3ce929d0e0e4736","span":"00f067aa0ba902b7","parent":"1111111111111111",)"
            R"("service":"shop","kind":"client","name":"GET \"quoted\"\n","start_ns":1720000000125100000,)"
            R"("duration_ms":3,"error":true,"message":"upstream said )"
            "\uFFFD no\",\"attributes\":{\"http.response.status_code\":503,\"url.path\":\"/café/\uFFFD\uFFFD\","
            R"("wirespan.ratio":0.5,"http.request.resend":true,"below.zero":-7,)"
            R"("http.request.header.accept":["text/html","application/json"],)"
            R"("wirespan.link.method":"thread","wirespan.link.confidence":0.75},)"
            R"("links":[{"trace":"00000000000000070000000000000008","span":"0000000000000009",)"
            R"("attributes":{"wirespan.link.method":"timing","wirespan.link.confidence":0.62}}]})"
            "\n");
}

TEST(Console, OptionsSuitTheTerminalAndTheLocale) {
  std::map<std::string, std::string, std::less<>> environment = {{"LANG", "de_DE.UTF-8"}};
  const auto lookup = [&](std::string_view name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  Pipe pipe;
  EXPECT_FALSE(ConsoleOptions::for_fd(pipe.write_end(), lookup).colour) << "a pipe";
  EXPECT_TRUE(ConsoleOptions::for_fd(pipe.write_end(), lookup).unicode);
  environment["LC_ALL"] = "C";
  EXPECT_FALSE(ConsoleOptions::for_fd(pipe.write_end(), lookup).unicode);

  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(terminal, 0);
  EXPECT_TRUE(ConsoleOptions::for_fd(terminal, lookup).colour);
  EXPECT_NE(ConsoleOptions::for_fd(terminal, lookup).traces_per_second, 0U);
  environment["NO_COLOR"] = "1";
  EXPECT_FALSE(ConsoleOptions::for_fd(terminal, lookup).colour);
  ::close(terminal);
}

}  // namespace
}  // namespace wirespan
