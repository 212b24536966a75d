#include "agent/protocols/common/identifiers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace wirespan::protocols {
namespace {

TEST(Identifiers, Kinds) {
  using K = TokenKind;
  const std::pair<const char*, K> cases[] = {
      {"users", K::kWord},
      {"v1", K::kWord},
      {"oauth2", K::kWord},
      {"x86-64", K::kWord},
      {"deadbeef", K::kWord},  // a word without a digit
      {"", K::kWord},
      {"7", K::kNumber},
      {"20260102", K::kNumber},
      {"2026-01-02", K::kDate},
      {"5f2c9b1e-7c1d-4a53-9c7e-0f5d2a9c1b11", K::kUuid},
      {"5F2C9B1E-7C1D-4A53-9C7E-0F5D2A9C1B11", K::kUuid},
      {"5f2c9b1e-7c1d-4a53-9c7e_0f5d2a9c1b11", K::kMixed},
      {"3f2a9c1b", K::kHex},
      {"abcdefabcdefabcd", K::kHex},
      {"user-12345", K::kMixed},
      {"eyJhbGciOiJIUzI1NiJ9", K::kMixed},
      {"a-very-long-slug-about-cats", K::kWord},
  };
  for (const auto& [token, kind] : cases) EXPECT_EQ(token_kind(token), kind) << token;
}

// Other agents, and other versions of this one, hash the same value to the same number.
TEST(Identifiers, HashIsFixed) {
  EXPECT_EQ(token_hash("12345"), token_hash("12345"));
  EXPECT_EQ(token_hash("ABCDEF0123"), token_hash("abcdef0123"));
  EXPECT_NE(token_hash("12345"), token_hash("123450"));
  EXPECT_NE(token_hash("12345678"), token_hash("123456789"));
  EXPECT_EQ(token_hash("5f2c9b1e-7c1d-4a53-9c7e-0f5d2a9c1b11"), 16982484802717414326U);
}

TEST(Identifiers, RareTokensOnceAndAtMostSixteen) {
  std::vector<std::uint64_t> values;
  add_rare_tokens(values, "/orders/12345/items/7?ref=12345&day=2026-01-02&id=5f2c9b1e-7c1d-4a53-9c7e-0f5d2a9c1b11");
  EXPECT_THAT(values, testing::ElementsAre(token_hash("12345"), token_hash("5f2c9b1e-7c1d-4a53-9c7e-0f5d2a9c1b11")));
  std::string many;
  for (int i = 0; i < 100; ++i) many += std::to_string(100000 + i) + ",";
  add_rare_tokens(values, many);
  EXPECT_EQ(values.size(), kMaxRareValues);
}

}  // namespace
}  // namespace wirespan::protocols
