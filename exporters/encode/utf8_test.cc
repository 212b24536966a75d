#include "exporters/encode/utf8.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

TEST(Utf8, WhatIsValidIsNotCopied) {
  std::string scratch;
  for (const std::string_view text : {"", "GET /plain", "/caf\xC3\xA9", "\xE6\x97\xA5\xE6\x9C\xAC", "\xF0\x9F\x9A\x80",
                                      "longer than eight bytes, then \xC3\xA9 and on"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
    EXPECT_EQ(as_utf8(text, scratch).data(), text.data());
  }
}

TEST(Utf8, EveryByteThatIsNotPartOfACharacterIsReplaced) {
  std::string scratch;
  const auto expect = [&](std::string_view text, std::string_view replaced) {
    EXPECT_FALSE(is_utf8(text));
    EXPECT_EQ(as_utf8(text, scratch), replaced);
    EXPECT_TRUE(is_utf8(scratch));
  };
  expect("a\xFF", "a\xEF\xBF\xBD");
  expect("\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD");                                  // overlong '/'
  expect("\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");                  // a surrogate
  expect("\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // past U+10FFFF
  expect("cut \xE6\x97", "cut \xEF\xBF\xBD\xEF\xBF\xBD");
  expect("\x80z", "\xEF\xBF\xBDz");
}

TEST(Utf8, EveryTwoBytesGiveUtf8) {
  std::string scratch;
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b)};
      EXPECT_TRUE(is_utf8(as_utf8(text, scratch)));
    }
  }
}

}  // namespace
}  // namespace wirespan
