#include "exporters/queue/notices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace wirespan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Notices, AFailureRepeatedAThousandTimesIsOneLineUntilTheIntervalIsOver) {
  std::vector<std::string> lines;
  Notices notices([&](const std::string& line) { lines.push_back(line); }, "exporter otlp: ", std::chrono::hours(1));
  for (int i = 0; i < 1000; ++i) notices.say("connection refused");
  EXPECT_THAT(lines, ElementsAre("exporter otlp: connection refused"));
}

TEST(Notices, TheNextLineSaysHowManyWereHeldBack) {
  std::vector<std::string> lines;
  Notices notices([&](const std::string& line) { lines.push_back(line); }, "", std::chrono::milliseconds(0));
  notices.say("a");
  notices.say("a");
  EXPECT_THAT(lines, ElementsAre("a", "a")) << "no interval, nothing held back";

  lines.clear();
  Notices slow([&](const std::string& line) { lines.push_back(line); }, "", std::chrono::milliseconds(300));
  for (int i = 0; i < 5; ++i) slow.say("a");
  while (lines.size() < 2) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    slow.say("b");
  }
  EXPECT_EQ(lines[0], "a");
  EXPECT_THAT(lines[1], HasSubstr("more notices since the last line)"));
}

TEST(Notices, NobodyListens) {
  Notices notices(Say(), "");
  notices.say("into the void");
}

}  // namespace
}  // namespace wirespan
