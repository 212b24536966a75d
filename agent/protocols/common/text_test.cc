#include "agent/protocols/common/text.h"

#include <gtest/gtest.h>

#include <string>

namespace wirespan::protocols {
namespace {

std::string clean(std::string_view text, std::size_t max = 100) {
  std::string out = ">";
  append_clean(out, text, max);
  return out.substr(1);
}
std::string uri(std::string_view text, std::size_t max = 100) {
  std::string out = ">";
  append_uri(out, text, max);
  return out.substr(1);
}

TEST(Text, TokensAreRfc9110s) {
  for (const char c : std::string_view("AZaz09!#$%&'*+-.^_`|~")) EXPECT_TRUE(is_token_char(c)) << c;
  for (const char c : std::string_view(" \t\r\n\"(),/:;<=>?@[\\]{}\x7f\xc3")) EXPECT_FALSE(is_token_char(c)) << c;
}

TEST(Text, ComparesNamesInAnyCase) {
  EXPECT_TRUE(equals_lower("Content-LENGTH", "content-length"));
  EXPECT_FALSE(equals_lower("Content-Length ", "content-length"));
  EXPECT_FALSE(equals_lower("Content_Length", "content-length"));
}

TEST(Text, TrimsFoldsToo) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim("\r\n\t "), "");
}

// A strict receiver refuses the whole batch for one string that is not UTF-8.
TEST(Text, CleanIsAlwaysUtf8) {
  EXPECT_EQ(clean("curl/7"), "curl/7");
  EXPECT_EQ(clean("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(clean("\xff\xc3:\xc0\xaf\xed\xa0\x80"),
            "?"
            "?:"
            "??"
            "???");
  EXPECT_EQ(clean("\xf5\x80\x80\x80"), "????");
  EXPECT_EQ(clean(std::string_view("a\0b\x1b[1m", 7)), "a?b?[1m");
  EXPECT_EQ(clean("folded\r\n value"), "folded   value");
  EXPECT_EQ(clean("\xe2\x82"), "??");
  EXPECT_EQ(clean("12345", 3), "123");
  EXPECT_EQ(clean("a\xc3\xa9", 2), "a");
}

TEST(Text, UriEscapesWhatIsNotPrintable) {
  EXPECT_EQ(uri("/a%20b?c"), "/a%20b?c");
  EXPECT_EQ(uri("/\xc3\xa9 \x01"), "/%C3%A9%20%01");
  EXPECT_EQ(uri("/\xc3\xa9", 3), "/");
}

}  // namespace
}  // namespace wirespan::protocols
