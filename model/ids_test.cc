#include "model/ids.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

TEST(Ids, HexRoundTripAndRefusals) {
  const auto id = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736");
  ASSERT_TRUE(id);
  EXPECT_TRUE(id->valid());
  EXPECT_EQ(id->hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_FALSE(TraceId::from_hex("4BF92F3577B34DA6A3CE929D0E0E4736")) << "upper case is not W3C";
  EXPECT_FALSE(SpanId::from_hex("00f067aa0ba902b"));
  EXPECT_EQ(SpanId::from_hex("00f067aa0ba902b7")->to_u64(), 0x00f067aa0ba902b7U);
}

// Agents of different versions on different hosts must agree: these values may never change.
TEST(Ids, SpanIdsAreFixedForever) {
  const ExchangeKey key{.a = 1000, .r = 2000, .stream = 3};
  EXPECT_NE(span_id_of(key, SpanRole::kClient), span_id_of(key, SpanRole::kServer));
  EXPECT_EQ(span_id_of(key, SpanRole::kClient).hex(), "b3a93ba56e978eeb");
  EXPECT_EQ(span_id_of(key, SpanRole::kServer).hex(), "8fdf45d7a37210f4");
}

}  // namespace
}  // namespace wirespan
