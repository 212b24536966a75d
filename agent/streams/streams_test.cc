#include "agent/streams/streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wirespan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Items as text: "> 0 abc" (received bytes), "< 3 [7 not captured ..xyz]" (sent gap), "closed", "tick".
class Log : public Sink<StreamItem> {
 public:
  void accept(const StreamItem& item) override {
    if (const auto* chunk = std::get_if<Chunk>(&item)) {
      lines.push_back(side(chunk->direction) + std::to_string(chunk->position) + " " +
                      std::string(as_text(chunk->bytes)));
      last_time = chunk->time;
    } else if (const auto* gap = std::get_if<Gap>(&item)) {
      constexpr const char* kWhy[] = {"not captured", "lost", "joined late"};
      lines.push_back(side(gap->direction) + std::to_string(gap->position) + " [" + std::to_string(gap->length) + " " +
                      kWhy[static_cast<int>(gap->why)] +
                      (gap->tail.empty() ? "" : " .." + std::string(as_text(gap->tail))) + "]");
    } else if (const auto* closed = std::get_if<StreamClosed>(&item)) {
      lines.push_back(closed->how == event::Closed::How::kForgotten ? "forgotten" : "closed");
    } else {
      ++ticks;
    }
  }
  static std::string side(Direction d) { return d == Direction::kReceived ? "> " : "< "; }
  std::vector<std::string> drain() { return std::exchange(lines, {}); }
  std::vector<std::string> lines;
  int ticks = 0;
  BootTime last_time{};
};

class StreamsTest : public testing::Test {
 protected:
  static ConnectionPtr connection(std::uint64_t id, bool adopted = false) {
    auto made = std::make_shared<Connection>();
    made->id = ConnId{id};
    made->adopted = adopted;
    return made;
  }
  void data(const ConnectionPtr& c, Direction direction, std::uint64_t position, std::string_view bytes,
            std::optional<std::uint32_t> length = {}, std::string_view tail = {}) {
    event::Data d;
    d.conn = c;
    d.direction = direction;
    d.time = now;
    d.actor.thread.tid = tid;
    d.position = position;
    d.length = length.value_or(static_cast<std::uint32_t>(bytes.size()));
    d.captured = as_bytes(bytes);
    d.tail = as_bytes(tail);
    streams().accept(d);
  }
  std::uint32_t tid = 0;
  void in(std::uint64_t position, std::string_view bytes, std::optional<std::uint32_t> length = {},
          std::string_view tail = {}) {
    data(conn, Direction::kReceived, position, bytes, length, tail);
  }
  Streams& streams() {
    if (!streams_) streams_.emplace(log, counters, options);
    return *streams_;
  }
  std::uint64_t counter(std::string_view name) { return counters.get(name).value(); }

  Counters counters;
  Log log;
  StreamsOptions options;
  BootTime now{1'000'000'000};
  ConnectionPtr conn = connection(1);

 private:
  std::optional<Streams> streams_;
};

TEST_F(StreamsTest, InOrder) {
  in(0, "abc");
  data(conn, Direction::kSent, 0, "xy");
  in(3, "de");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 abc", "< 0 xy", "> 3 de"));
}

TEST_F(StreamsTest, NotCapturedIsAGapWithItsTail) {
  in(0, "abc", 10, "hij");
  in(10, "", 5);
  in(15, "k");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 abc", "> 3 [7 not captured ..hij]", "> 10 [5 not captured]", "> 15 k"));
  EXPECT_EQ(counter("streams.bytes.not_captured"), 12U);
}

TEST_F(StreamsTest, WhatIsImpossibleIsCutToWhatIsNot) {
  in(0, "abcdef", 3, "xyz");                    // more captured than moved
  in(3, "d", 2, "0123456789abcdef0123456789");  // a tail longer than the rest
  in(5, "", 0);                                 // nothing moved
  in(std::uint64_t{1} << 63U, "far");           // beyond any stream
  data(nullptr, Direction::kSent, 0, "nobody");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 abc", "> 3 d", "> 4 [1 not captured ..9]"));
  EXPECT_EQ(counter("streams.dropped.invalid_calls"), 2U);
}

TEST_F(StreamsTest, RepeatedBytesAreTrimmed) {
  in(0, "abcd");
  in(0, "abcd");
  in(2, "cdef");
  in(3, "d", 6, "ghi");  // its captured part is known, its rest is not
  EXPECT_THAT(log.drain(), ElementsAre("> 0 abcd", "> 4 ef", "> 6 [3 not captured ..ghi]"));
  EXPECT_EQ(counter("streams.dropped.duplicate_calls"), 1U);
  EXPECT_EQ(counter("streams.dropped.overlap_bytes"), 5U);
}

TEST_F(StreamsTest, CallsOutOfOrderArePutInOrder) {
  in(0, "a");
  in(3, "d");
  in(4, "", 2, "ef");
  in(2, "c");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 a"));
  in(1, "b");
  EXPECT_THAT(log.drain(), ElementsAre("> 1 b", "> 2 c", "> 3 d", "> 4 [2 not captured ..ef]"));
  EXPECT_EQ(counter("streams.reordered_calls"), 3U);
  EXPECT_EQ(counter("streams.lost.bytes"), 0U);
}

TEST_F(StreamsTest, FirstCallMayComeSecond) {
  in(3, "def");
  in(0, "abc");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 abc", "> 3 def"));
}

TEST_F(StreamsTest, AnAnswerDoesNotOvertakeWhatWaits) {
  in(0, "a");
  in(2, "c");  // "b" is missing
  now = now + 1000;
  data(conn, Direction::kSent, 0, "answer");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 a"));
  in(1, "b");
  EXPECT_THAT(log.drain(), ElementsAre("> 1 b", "> 2 c", "< 0 answer"));
}

TEST_F(StreamsTest, OfOneThreadNothingComesLater) {
  tid = 7;
  in(0, "a");
  now = now + 200'000'000;
  in(1, "b");
  in(3, "d");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 a", "> 1 b", "> 2 [1 lost]", "> 3 d"));
  // Another thread may have read what is missing now.
  tid = 8;
  in(5, "f");
  EXPECT_THAT(log.drain(), ElementsAre());
  in(4, "e");
  EXPECT_THAT(log.drain(), ElementsAre("> 4 e", "> 5 f"));
}

TEST_F(StreamsTest, WhatDoesNotComeIsLost) {
  in(0, "a");
  in(5, "f");
  data(conn, Direction::kSent, 0, "x");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 a", "< 0 x"));
  now.ns += 150'000'000;
  streams().accept(event::Tick{now});
  EXPECT_THAT(log.drain(), ElementsAre("> 1 [4 lost]", "> 5 f"));
  EXPECT_EQ(counter("streams.lost.bytes"), 4U);
  in(1, "bcde");  // too late
  EXPECT_THAT(log.drain(), IsEmpty());
}

TEST_F(StreamsTest, OtherConnectionsEventsMoveTimeToo) {
  in(0, "a");
  in(5, "f");
  now.ns += 150'000'000;
  data(connection(2), Direction::kSent, 0, "x");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 a", "> 1 [4 lost]", "> 5 f", "< 0 x"));
}

TEST_F(StreamsTest, TooManyHeldAreReleasedInOrder) {
  options.max_held_calls = 3;
  in(8, "i");
  in(4, "e");
  in(6, "g");
  EXPECT_THAT(log.drain(), IsEmpty());
  in(2, "c");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 [2 lost]", "> 2 c", "> 3 [1 lost]", "> 4 e", "> 5 [1 lost]", "> 6 g",
                                       "> 7 [1 lost]", "> 8 i"));
  EXPECT_EQ(counter("streams.reorder_overflow"), 1U);
}

TEST_F(StreamsTest, HeldBytesAreBoundedInAll) {
  options.max_held_bytes_total = 20'000;
  const std::string much(4000, 'x');
  for (std::uint64_t i = 1; i <= 100; ++i) data(connection(i), Direction::kSent, 10, much);
  EXPECT_GE(counter("streams.reorder_overflow"), 90U);
}

TEST_F(StreamsTest, OlderConnectionsAreJoinedWhereTheyAre) {
  conn = connection(1, true);
  in(500, "abc");
  data(conn, Direction::kSent, 0, "x");  // nothing was sent before we came
  in(503, "d");
  EXPECT_THAT(log.drain(), ElementsAre("> 0 [500 joined late]", "> 500 abc", "< 0 x", "> 503 d"));
  EXPECT_EQ(counter("streams.joined_late"), 1U);
}

TEST_F(StreamsTest, ClosedSaysWhatWasHeld) {
  in(0, "a");
  in(2, "c");
  streams().accept(event::Closed{conn, now, event::Closed::How::kClosed});
  EXPECT_THAT(log.drain(), ElementsAre("> 0 a", "> 1 [1 lost]", "> 2 c", "closed"));
  EXPECT_EQ(streams().connections(), 0U);
  streams().accept(event::Closed{conn, now, event::Closed::How::kClosed});
  EXPECT_THAT(log.drain(), IsEmpty());
}

TEST_F(StreamsTest, IdleConnectionsCostNothing) {
  for (std::uint64_t i = 1; i <= 100'000; ++i) streams().accept(event::Opened{connection(i), {}});
  EXPECT_EQ(streams().connections(), 0U);
  for (std::uint64_t i = 1; i <= 100'000; ++i) {
    streams().accept(event::Closed{connection(i), now, event::Closed::How::kClosed});
  }
  EXPECT_THAT(log.drain(), IsEmpty());
}

TEST_F(StreamsTest, LongestSilentIsForgotten) {
  options.max_connections = 3;
  std::vector<ConnectionPtr> conns;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    conns.push_back(connection(i));
    data(conns.back(), Direction::kSent, 0, std::to_string(i));
  }
  data(conns[0], Direction::kSent, 1, "a");
  log.drain();
  data(connection(4), Direction::kSent, 0, "4");
  EXPECT_THAT(log.drain(), ElementsAre("forgotten", "< 0 4"));
  data(conns[0], Direction::kSent, 2, "b");
  data(conns[2], Direction::kSent, 1, "c");
  EXPECT_THAT(log.drain(), ElementsAre("< 2 b", "< 1 c"));
  EXPECT_EQ(streams().connections(), 3U);
  EXPECT_EQ(counter("streams.dropped.forgotten_connections"), 1U);
}

TEST_F(StreamsTest, TicksReachProtocolsUnderLoadAndAtRest) {
  for (int i = 0; i < 100; ++i) {
    now.ns += 10'000'000;
    data(conn, Direction::kSent, static_cast<std::uint64_t>(i), "x");
  }
  EXPECT_GE(log.ticks, 9);
  EXPECT_LE(log.ticks, 12);
  const int before = log.ticks;
  streams().accept(event::Tick{now});
  EXPECT_EQ(log.ticks, before + 1);
}

}  // namespace
}  // namespace wirespan
