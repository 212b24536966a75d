// What the specification says and its suite does not try.
#include "correlator/propagation/w3c.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

constexpr std::string_view kIds = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";

std::optional<RemoteContext> parse(std::string_view version, std::string_view flags) {
  return parse_traceparent(std::string(version) + std::string(kIds) + std::string(flags));
}

TEST(Traceparent, KeepsTheFlagsItKnows) {
  EXPECT_EQ(parse("00", "00")->flags, 0);
  EXPECT_EQ(parse("00", "01")->flags, kFlagSampled);
  EXPECT_EQ(parse("00", "02")->flags, kFlagRandom);
  EXPECT_EQ(parse("00", "ff")->flags, kFlagSampled | kFlagRandom);
  EXPECT_EQ(parse("01", "09-more")->flags, kFlagSampled);
}

TEST(Traceparent, UpperCaseIsRefused) {
  EXPECT_FALSE(parse_traceparent("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"));
  EXPECT_FALSE(parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01"));
  EXPECT_FALSE(parse("00", "0A"));
  EXPECT_FALSE(parse("CC", "01"));
}

TEST(Traceparent, FutureVersionMustEndOrGoOnWithADash) {
  EXPECT_TRUE(parse("fe", "01"));
  EXPECT_TRUE(parse("01", "01-"));
  EXPECT_FALSE(parse("01", "01x"));
  EXPECT_FALSE(parse("01", "0"));
}

TEST(Traceparent, TwoJoinedByAProxyAreRefused) {
  const std::string one = "00" + std::string(kIds) + "01";
  EXPECT_FALSE(parse_traceparent(one + "," + one));
  EXPECT_FALSE(parse_traceparent("01" + one.substr(2) + "," + one));
}

TEST(Traceparent, WrittenAsRead) {
  for (const std::string_view flags : {"00", "01", "02", "03"}) {
    const std::string value = "00" + std::string(kIds) + std::string(flags);
    EXPECT_EQ(to_traceparent(*parse_traceparent(value)), value);
  }
}

TEST(Tracestate, EmptyMembersAreAllowedAndNotCounted) {
  EXPECT_EQ(join_tracestate({{"tracestate", ",, foo=1 ,\t,"}, {"tracestate", " , "}, {"tracestate", "bar=2,"}}),
            "foo=1,bar=2");
}

TEST(Tracestate, LeadingSpacesBelongToTheValue) {
  EXPECT_EQ(join_tracestate({{"tracestate", "foo=  a b  ,bar=2"}}), "foo=  a b,bar=2");
}

TEST(Tracestate, ControlsAndHighBytesAreRefused) {
  EXPECT_EQ(join_tracestate({{"tracestate", "foo=a\tb"}}), "");
  EXPECT_EQ(join_tracestate({{"tracestate", "foo=\xc3\xa9"}}), "");
  EXPECT_EQ(join_tracestate({{"tracestate", "foo"}}), "");
  EXPECT_EQ(join_tracestate({{"tracestate", "=1"}}), "");
  EXPECT_EQ(join_tracestate({{"tracestate", "foo=" + std::string(257, 'x')}}), "");
}

TEST(Tracestate, KeysMayBeginWithADigit) {
  EXPECT_EQ(join_tracestate({{"tracestate", "1a=1,2b@3c=4"}}), "1a=1,2b@3c=4");
}

// 3.3.1.5: whole members go, those over 128 characters first, then from the end.
TEST(Tracestate, ShortenedTo512) {
  const std::string big = "big=" + std::string(200, 'x');
  const std::string small_a = "a=" + std::string(120, 'x');
  const std::string small_b = "b=" + std::string(120, 'x');
  const std::string small_c = "c=" + std::string(120, 'x');
  const std::string small_d = "d=" + std::string(120, 'x');
  const std::string small_e = "e=" + std::string(120, 'x');
  const auto joined = [](std::initializer_list<std::string> members) {
    std::string out;
    for (const auto& m : members) out += (out.empty() ? "" : ",") + m;
    return out;
  };
  EXPECT_EQ(join_tracestate({{"tracestate", joined({small_a, big, small_b, small_c})}}),
            joined({small_a, small_b, small_c}));
  EXPECT_EQ(join_tracestate({{"tracestate", joined({small_a, big, small_b})}}), joined({small_a, big, small_b}));
  EXPECT_EQ(join_tracestate({{"tracestate", joined({small_a, small_b, small_c, small_d, small_e})}}),
            joined({small_a, small_b, small_c, small_d}));
}

TEST(Tracestate, NotReadWithoutATraceparent) {
  const auto context =
      extract({{"tracestate", "foo=1"}, {"b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"}});
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace_state, "");
}

}  // namespace
}  // namespace wirespan
