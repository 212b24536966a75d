// The framework, with a protocol made for the test: lines. "Q n" asks and has n bytes behind it, "A" answers, "D" is
// done in the middle of everything, ">other" hands the connection over.
#include "agent/protocols/detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wirespan::protocols {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Lines : public Conversation {
 public:
  explicit Lines(std::string_view name) : name_(name) {}

  Step next(const Input& in, Output& out) override {
    const std::string_view text = as_text(in.bytes);
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      if (!in.cut) return NeedMore{};
      say(in.direction, in, "cut", out);
      return Parsed{text.size()};
    }
    const std::string_view line = text.substr(0, end);
    if (line == "A" && asked_ == 0 && !in.alone) return NeedPeer{};
    if (line == "D") return GiveUp{};
    if (line == "loop") return Parsed{0};
    if (line.starts_with(">")) return HandOver{end + 1, line.substr(1)};
    if (line.starts_with("skip")) {
      skip_ = true;
      return Skip{end + 1 + static_cast<std::uint64_t>(line.back() - '0')};
    }
    if (line.starts_with("Q")) ++asked_;
    if (line == "A" && asked_ > 0) --asked_;
    say(in.direction, in, line, out);
    return Parsed{end + 1};
  }
  Step missing(const Hole& hole, Output&) override { return Skip{hole.length, Skip::Why::kUnrecognised}; }
  void skipped(const Skipped& part, Output& out) override {
    if (!part.done || !std::exchange(skip_, false)) return;
    const MessagePtr m = out.make(name_, MessageKind::kRequest, part.direction);
    m->name = "skipped to " + std::to_string(part.end);
    m->first_byte = m->last_byte = part.touch;
    out.begin(m);
  }
  void closed(const StreamClosed&, Output&) override {}

 private:
  void say(Direction direction, const Input& in, std::string_view line, Output& out) {
    const MessagePtr m = out.make(name_, line == "A" ? MessageKind::kResponse : MessageKind::kRequest, direction);
    m->name = std::string(line) + (in.turn_start ? " (turn)" : "");
    m->position = in.position;
    m->first_byte = in.touch_at(0);
    m->last_byte = in.touch_at(line.size());
    out.begin(m);
  }
  std::string_view name_;
  int asked_ = 0;
  bool skip_ = false;
};

class LinesProtocol : public Protocol {
 public:
  explicit LinesProtocol(std::string_view name) : name_(name) {}
  std::string_view name() const override { return name_; }
  Likeness recognise(const Opening& opening) const override {
    const std::string_view text = as_text(opening.bytes);
    const std::string start = std::string(name_) + "!";
    if (text.starts_with(start)) return Likeness::kYes;
    return start.starts_with(text) ? Likeness::kMaybe : Likeness::kNo;
  }
  std::unique_ptr<Conversation> start(const Opening&) override { return std::make_unique<Lines>(name_); }

 private:
  std::string_view name_;
};

class Log : public Sink<MessageItem> {
 public:
  void accept(const MessageItem& item) override {
    if (const auto* began = std::get_if<MessageBegan>(&item)) {
      lines.push_back(std::string(began->message->protocol) + ": " + began->message->name);
      messages.push_back(began->message);
    }
    if (const auto* ended = std::get_if<ConversationEnded>(&item)) {
      constexpr const char* kHow[] = {"closed", "reset", "forgotten", "handed over", "lost"};
      lines.emplace_back(kHow[static_cast<int>(ended->how)]);
    }
  }
  std::vector<std::string> drain() { return std::exchange(lines, {}); }
  std::vector<std::string> lines;
  std::vector<MessagePtr> messages;
};

class Verdicts : public VerdictSink {
 public:
  void set(ConnId, Verdict verdict) override { given.push_back(verdict); }
  std::vector<Verdict> given;
};

constexpr Direction kIn = Direction::kReceived;
constexpr Direction kOut = Direction::kSent;

class DetectorTest : public testing::Test {
 protected:
  Detector& detector() {
    if (!detector_) {
      ProtocolList list;
      list.push_back(std::make_unique<LinesProtocol>("alpha"));
      list.push_back(std::make_unique<LinesProtocol>("beta"));
      detector_.emplace(std::move(list), log, &verdicts, counters, options);
    }
    return *detector_;
  }
  void say(Direction d, std::string_view bytes) {
    Chunk chunk;
    chunk.conn = conn;
    chunk.direction = d;
    chunk.time = {now += 1000};
    chunk.position = position[static_cast<std::size_t>(d)];
    chunk.bytes = as_bytes(bytes);
    position[static_cast<std::size_t>(d)] += bytes.size();
    detector().accept(chunk);
  }
  void gap(Direction d, std::uint64_t length, Gap::Why why = Gap::Why::kNotCaptured) {
    std::uint64_t& at = position[static_cast<std::size_t>(d)];
    detector().accept(Gap{conn, d, {now += 1000}, {}, at, length, why, {}});
    at += length;
  }
  void close() { detector().accept(StreamClosed{conn, {now}, event::Closed::How::kClosed}); }
  std::uint64_t counter(std::string_view name) { return counters.get(name).value(); }

  Counters counters;
  Log log;
  Verdicts verdicts;
  DetectorOptions options;
  std::uint64_t now = 1'000'000'000;
  std::uint64_t position[2] = {0, 0};
  ConnectionPtr conn = std::make_shared<Connection>();

 private:
  std::optional<Detector> detector_;
};

TEST_F(DetectorTest, RecognisesFromBytesHoweverTheyCome) {
  for (const char c : std::string("beta!\nQ\n")) say(kIn, std::string(1, c));
  EXPECT_THAT(log.drain(), ElementsAre("beta: beta! (turn)", "beta: Q"));
  EXPECT_EQ(counter("protocols.recognised"), 1U);
  EXPECT_EQ(detector().buffered_bytes(), 0U);
  close();
  EXPECT_THAT(log.drain(), ElementsAre("closed"));
  EXPECT_EQ(detector().connections(), 0U);
}

TEST_F(DetectorTest, TimesOfFirstAndLastByteAreKept) {
  say(kIn, "alpha!\nQ");
  say(kIn, " and");
  say(kIn, " more\n");
  ASSERT_EQ(log.messages.size(), 2U);
  EXPECT_EQ(log.messages[1]->first_byte.time.ns, 1'000'001'000U);
  EXPECT_EQ(log.messages[1]->last_byte.time.ns, 1'000'003'000U);
  EXPECT_EQ(log.messages[1]->position, 7U);
}

TEST_F(DetectorTest, UnrecognisedIsIgnoredAfterSomeTurns) {
  options.max_tries = 3;
  say(kIn, "what");
  say(kIn, "ever, in the same turn");
  say(kOut, "who knows");
  EXPECT_THAT(verdicts.given, IsEmpty());
  say(kIn, "again");
  EXPECT_THAT(verdicts.given, ElementsAre(Verdict::kIgnore));
  say(kIn, "alpha!\n");
  EXPECT_THAT(log.drain(), IsEmpty());
  EXPECT_EQ(counter("protocols.ignored.not_recognised"), 1U);
}

TEST_F(DetectorTest, ServerMaySpeakFirst) {
  say(kOut, "alpha!\n");
  say(kIn, "Q\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: alpha! (turn)", "alpha: Q (turn)"));
}

TEST_F(DetectorTest, SkipsOverBytesAndGapsByPosition) {
  say(kIn, "alpha!\nskip9\n12");
  gap(kIn, 3);
  say(kIn, "6789Q\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: alpha! (turn)", "alpha: skipped to 22", "alpha: Q"));
}

TEST_F(DetectorTest, AnswerWaitsForItsQuestion) {
  say(kIn, "alpha!\n");
  log.drain();
  say(kOut, "A\n");
  say(kOut, "A\n");
  EXPECT_THAT(log.drain(), IsEmpty());
  EXPECT_GT(detector().buffered_bytes(), 0U);
  say(kIn, "Q\nQ\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: Q (turn)", "alpha: Q", "alpha: A (turn)", "alpha: A"));
  EXPECT_EQ(detector().buffered_bytes(), 0U);
}

TEST_F(DetectorTest, AnswerWaitsASecondAtMost) {
  say(kIn, "alpha!\n");
  log.drain();
  say(kOut, "A\n");
  now += 900'000'000;
  say(kOut, "A\n");
  detector().accept(StreamTick{{now}});
  EXPECT_THAT(log.drain(), IsEmpty());
  detector().accept(StreamTick{{now += 200'000'000}});
  EXPECT_THAT(log.drain(), ElementsAre("alpha: A (turn)"));  // the second came later
  detector().accept(StreamTick{{now += 2'000'000'000}});
  EXPECT_THAT(log.drain(), ElementsAre("alpha: A"));
  EXPECT_EQ(counter("protocols.peer_missed"), 2U);
}

TEST_F(DetectorTest, ClosingForcesWhatWaits) {
  say(kIn, "alpha!\n");
  say(kOut, "A\n");
  say(kIn, "half a li");
  log.drain();
  close();
  EXPECT_THAT(log.drain(), ElementsAre("alpha: cut (turn)", "alpha: A (turn)", "closed"));
  EXPECT_EQ(detector().buffered_bytes(), 0U);
}

TEST_F(DetectorTest, GapEndsALine) {
  say(kIn, "alpha!\nhalf a li");
  gap(kIn, 10);
  say(kIn, "Q\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: alpha! (turn)", "alpha: cut", "alpha: Q"));
}

TEST_F(DetectorTest, HandsOverToTheOneNamed) {
  say(kIn, "alpha!\n>beta\nQ\n");
  say(kOut, "A\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: alpha! (turn)", "handed over", "beta: Q", "beta: A (turn)"));
}

TEST_F(DetectorTest, HandsOverToWhateverItIs) {
  say(kIn, "alpha!\n>\n");
  say(kOut, "beta!\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: alpha! (turn)", "handed over", "beta: beta! (turn)"));
}

TEST_F(DetectorTest, GivenUpIsIgnored) {
  say(kIn, "alpha!\nQ\nD\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: alpha! (turn)", "alpha: Q", "forgotten"));
  EXPECT_THAT(verdicts.given, ElementsAre(Verdict::kIgnore));
  say(kIn, "Q\n");
  close();
  EXPECT_THAT(log.drain(), IsEmpty());
}

TEST_F(DetectorTest, ProtocolThatTurnsOnTheSpotIsStopped) {
  say(kIn, "alpha!\nloop\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: alpha! (turn)", "forgotten"));
  EXPECT_EQ(counter("protocols.dropped.stuck"), 1U);
}

TEST_F(DetectorTest, EndlessLineIsBounded) {
  options.max_lane_bytes = 10'000;
  say(kIn, "alpha!\n");
  const std::string much(1000, 'x');
  for (int i = 0; i < 1000; ++i) {
    say(kIn, much);
    ASSERT_LT(detector().buffered_bytes(), 20'000U);
  }
  EXPECT_GT(counter("protocols.dropped.buffer_overflow") + log.messages.size(), 90U);
}

TEST_F(DetectorTest, AllConnectionsTogetherAreBounded) {
  options.max_total_bytes = 100'000;
  const std::string half(900, 'x');
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    auto fresh = std::make_shared<Connection>();
    fresh->id = ConnId{i};
    conn = fresh;
    position[0] = position[1] = 0;
    say(kIn, "alpha!\n" + half);
    ASSERT_LT(detector().buffered_bytes(), 110'000U);
  }
}

TEST_F(DetectorTest, ProxyHeaderIsTakenAway) {
  say(kIn, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nal");
  say(kIn, "pha!\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: alpha!"));
  EXPECT_EQ(counter("protocols.proxy_preambles"), 1U);
}

TEST_F(DetectorTest, JoinedLateNeedsATurnOrTheProtocolsWord) {
  gap(kIn, 1000, Gap::Why::kJoinedLate);
  say(kIn, "the rest of something");
  say(kOut, "alpha!\n");
  EXPECT_THAT(log.drain(), ElementsAre("alpha: alpha! (turn)"));
}

}  // namespace
}  // namespace wirespan::protocols
