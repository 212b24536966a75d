#include "correlator/sampling.h"

#include <gmock/gmock.h>

#include "correlator/testing/scene.h"

namespace wirespan {
namespace {

TEST(Sampling, ThresholdsAreThoseOfTheSpecification) {
  const TraceId trace = TraceId::from_u64(1, 2);
  EXPECT_THAT(Sampling(0.5).trace_state(trace), ::testing::StartsWith("ot=th:8;rv:"));
  EXPECT_THAT(Sampling(0.25).trace_state(trace), ::testing::StartsWith("ot=th:c;rv:"));
  EXPECT_THAT(Sampling(1.0 / 64).trace_state(trace), ::testing::StartsWith("ot=th:fc;rv:f"));
  EXPECT_FALSE(Sampling(1).sampled());
}

TEST(Sampling, RandomnessIsNeverBelowTheThreshold) {
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const std::string state = Sampling(1.0 / 8).trace_state(TraceId::from_u64(i, i * 77));
    ASSERT_EQ(state.size(), std::string("ot=th:e;rv:").size() + 14);
    EXPECT_GE(state.substr(11), "e0000000000000");
  }
}

using testing::Scene;
using testing::thread;

TEST(Windows, ARequestNobodySawKeepsTheOnlyKnownOneFromBeingTaken) {
  Scene s;
  const auto old_conn = s.connection(1, 0, 0, TcpSide::kPassive);
  s.correlator.on_event(event::Window{s.now, true, 0.5});
  s.correlator.on_event(event::Unanswered{s.now, old_conn->id, 1});
  const auto request = s.serve(thread(1, 7));
  const auto call = s.call(thread(1, 9));  // of which of the two?
  s.correlator.on_event(event::Data{old_conn, Direction::kSent, s.now, thread(1, 8), 0, 100, {}, {}});
  const auto later = s.call(thread(1, 9));
  for (const auto& e : {call, later, request}) s.finish(e, thread(1, 9));
  EXPECT_FALSE(s.span(call).parent.id.valid());
  EXPECT_EQ(s.span(call).attributes.text("wirespan.link.missing"), "window_began");
  EXPECT_TRUE(s.is_parent(request, later));
}

TEST(Windows, ItsConnectionsEndAnswersItToo) {
  Scene s;
  const auto old_conn = s.connection(1, 0, 0, TcpSide::kPassive);
  s.correlator.on_event(event::Unanswered{s.now, old_conn->id, 1});
  s.correlator.on_event(event::Closed{old_conn, s.now});
  const auto request = s.serve(thread(1, 7));
  const auto call = s.call(thread(1, 9));
  for (const auto& e : {call, request}) s.finish(e, thread(1, 9));
  EXPECT_TRUE(s.is_parent(request, call));
}

// Before the agent came: the connection has no id yet, its inode is the low half of the one it will get.
TEST(OlderConnections, ARequestNobodySawKeepsTheOnlyKnownOneFromBeingTaken) {
  Scene s;
  const auto old_conn = std::make_shared<Connection>(*s.connection(1, 0, 0, TcpSide::kPassive));
  old_conn->id = ConnId{7ULL << 32U | 4711};
  s.correlator.on_event(event::Unanswered{s.now, ConnId{4711}, 1});
  const auto request = s.serve(thread(1, 7));
  const auto call = s.call(thread(1, 9));
  s.correlator.on_event(event::Data{old_conn, Direction::kSent, s.now, thread(1, 8), 0, 100, {}, {}});
  const auto later = s.call(thread(1, 9));
  for (const auto& e : {call, later, request}) s.finish(e, thread(1, 9));
  EXPECT_FALSE(s.span(call).parent.id.valid());
  EXPECT_TRUE(s.is_parent(request, later));
}

// The agent looks while it is attached already: a request it has seen being read is not one that nobody saw.
TEST(OlderConnections, ARequestReadSinceIsSeen) {
  Scene s;
  const auto conn = std::make_shared<Connection>(*s.connection(1, 0, 0, TcpSide::kPassive));
  conn->id = ConnId{7ULL << 32U | 4711};
  s.correlator.on_event(event::Unanswered{s.now, ConnId{4711}, 1});
  s.correlator.on_event(event::Data{conn, Direction::kReceived, s.now, thread(1, 7), 0, 100, {}, {}});
  const auto request = s.serve(thread(1, 7), conn);
  const auto call = s.call(thread(1, 9));
  for (const auto& e : {call, request}) s.finish(e, thread(1, 9));
  EXPECT_TRUE(s.is_parent(request, call));
}

TEST(OlderConnections, WhatIsNeverAnsweredDoesNotMakeUsCarefulForEver) {
  Scene s;
  s.correlator.on_event(event::Unanswered{s.now, ConnId{4711}, 1});  // a subscription, say
  s.wait(60'000'000'000);
  const auto request = s.serve(thread(1, 7));
  const auto call = s.call(thread(1, 9));
  for (const auto& e : {call, request}) s.finish(e, thread(1, 9));
  EXPECT_TRUE(s.is_parent(request, call));
}

TEST(Windows, WhatIsOpenAtTheEndIsForgottenAndWhatIsFinishedGoesOut) {
  Scene s;
  const auto open = s.serve(thread(1, 7));
  const auto call = s.call(thread(1, 7));
  s.finish(call, thread(1, 7));
  s.correlator.restart();
  ASSERT_EQ(s.spans.size(), 1U);
  // The next window: neither the thread nor the process works for the forgotten request any more.
  const auto after = s.call(thread(1, 7));
  s.finish(after, thread(1, 7));
  EXPECT_FALSE(s.span(after).parent.id.valid());
}

TEST(Windows, SpansOfASampledWindowSayHowManyTheyStandFor) {
  Scene s;
  s.correlator.set_share(0.25);
  const auto request = s.serve(thread(1, 7));
  const auto call = s.call(thread(1, 7));
  s.finish(call, thread(1, 7));
  s.finish(request, thread(1, 7));
  const std::string& state = s.span(request).trace_state;
  EXPECT_TRUE(state.starts_with("ot=th:c;rv:")) << state;
  EXPECT_EQ(s.span(call).trace_state, state) << "of the whole trace";
  EXPECT_EQ(s.span(call).attributes.find("wirespan.sampling.ratio"), AttributeValue(0.25));
}

}  // namespace
}  // namespace wirespan
