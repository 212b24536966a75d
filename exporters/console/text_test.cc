#include "exporters/console/text.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

TEST(ConsoleText, DurationsHaveThreeDigits) {
  const auto text = [](std::uint64_t ns) { return duration_text(ns, "µ"); };
  EXPECT_EQ(text(0), "0 ns");
  EXPECT_EQ(text(999), "999 ns");
  EXPECT_EQ(text(1'000), "1.00 µs");
  EXPECT_EQ(text(12'345), "12.3 µs");
  EXPECT_EQ(text(999'499), "999 µs");
  EXPECT_EQ(text(999'600), "1.00 ms");
  EXPECT_EQ(text(9'994'999), "9.99 ms");
  EXPECT_EQ(text(9'996'000), "10.0 ms");
  EXPECT_EQ(text(99'960'000), "100 ms");
  EXPECT_EQ(text(1'234'000'000), "1.23 s");
  EXPECT_EQ(text(62'100'000'000), "62.1 s");
  EXPECT_EQ(text(123'000'000'000), "2 m 03 s");
  EXPECT_EQ(text(7'260'000'000'000), "2 h 01 m");
  EXPECT_EQ(text(UINT64_MAX), "5,124,095 h");
}

TEST(ConsoleText, Counts) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1'000), "1,000");
  EXPECT_EQ(count_text(1'234'567), "1,234,567");
}

TEST(ConsoleText, ColumnsAreWhatATerminalShows) {
  EXPECT_EQ(columns("GET /"), 5U);
  EXPECT_EQ(columns("café"), 4U);
  EXPECT_EQ(columns("cafe\xCC\x81"), 4U) << "combining accent";
  EXPECT_EQ(columns("日本"), 4U);
  EXPECT_EQ(columns("🚀"), 2U);
}

TEST(ConsoleText, FitIsExact) {
  EXPECT_EQ(fit("abc", 5, "…"), "abc  ");
  EXPECT_EQ(fit("abcdef", 5, "…"), "abcd…");
  EXPECT_EQ(fit("日本語", 4, "…"), "日… ") << "half a wide character is not shown";
  EXPECT_EQ(fit("abc", 0, "…"), "");
  for (std::size_t width = 0; width < 12; ++width) EXPECT_EQ(columns(fit("a日b本c語d🚀", width, "…")), width);
}

TEST(ConsoleText, NothingATerminalObeysComesThrough) {
  EXPECT_EQ(terminal_safe("GET /\x1b[2J\x1b[31m"), "GET /\uFFFD[2J\uFFFD[31m");
  EXPECT_EQ(terminal_safe("a\r\nb\tc\x7F"), "a\uFFFD\uFFFDb\uFFFDc\uFFFD");
  EXPECT_EQ(terminal_safe("\xC2\x9B"
                          "31m"),
            "\uFFFD31m")
      << "C1 control sequence introducer";
  EXPECT_EQ(terminal_safe("\xE2\x80\xAE"
                          "evil"),
            "\uFFFDevil")
      << "right-to-left override";
  EXPECT_EQ(terminal_safe("\xFF"), "\uFFFD");
  EXPECT_EQ(terminal_safe("日本 /café"), "日本 /café");
}

}  // namespace
}  // namespace wirespan
