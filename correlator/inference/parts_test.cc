#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "correlator/inference/calibration.h"
#include "correlator/inference/delay_density.h"
#include "correlator/inference/span_file.h"

namespace wirespan::inference {
namespace {

TEST(DelayDensity, SumsToOneOverAllDelays) {
  DelayDensity density;
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> delay(6, 1);
  for (int i = 0; i < 500; ++i) density.add(static_cast<std::int64_t>(delay(random)), 1);
  density.refresh();
  double sum = 0;
  for (std::int64_t ticks = -2000; ticks < 200'000; ++ticks)
    sum += std::exp(static_cast<double>(density.log_density(ticks)));
  EXPECT_NEAR(sum, 1.0, 0.03);
}

TEST(DelayDensity, PrefersWhatItHasSeenAndForbidsNothing) {
  DelayDensity density;
  for (int i = 0; i < 200; ++i) {
    density.add(150 + i % 10, 1);
    density.add(9'000 + i, 1);  // a second mode
  }
  density.refresh();
  EXPECT_GT(density.log_density(155), density.log_density(600) + 3);
  EXPECT_GT(density.log_density(9'100), density.log_density(3'000) + 3);
  EXPECT_TRUE(std::isfinite(density.log_density(std::int64_t{1} << 60)));
  EXPECT_TRUE(std::isfinite(density.log_density(-(std::int64_t{1} << 60))));
}

TEST(Calibration, FollowsWhatItObservesAndNeverFalls) {
  Calibration calibration;
  for (int i = 0; i < 4000; ++i) {
    calibration.observe(1.0F, 2, i % 10 != 0, 1);  // claimed certain, right nine times in ten
    calibration.observe(0.7F, 2, i % 2 == 0, 1);
  }
  calibration.refresh();
  EXPECT_NEAR(calibration.probability(1.0F, 2), 0.9F, 0.02F);
  float last = 0;
  for (float share = 0; share <= 1.0F; share += 0.01F) {
    const float p = calibration.probability(share, 2);
    EXPECT_GE(p, last - 1e-5F) << share;
    last = p;
  }
}

class SpanFileTest : public ::testing::Test {
 protected:
  ~SpanFileTest() override { std::filesystem::remove(path_); }
  std::string write(const std::string& text, bool gzip) {
    if (gzip) {
      gzFile f = gzopen(path_.c_str(), "wb");
      gzwrite(f, text.data(), static_cast<unsigned>(text.size()));
      gzclose(f);
    } else {
      std::ofstream(path_) << text;
    }
    return path_;
  }
  std::string path_ = std::filesystem::temp_directory_path() /
                      ("wirespan_span_file_" + std::to_string(std::random_device()()) + ".ndjson");
};

constexpr const char* kLine =
    R"({"span_id": "ab", "kind": "client", "service": "s \"q\"", "peer_service": "t", "op": "x", "start_us": -5, "end_us": 7, "io": null, "tid_start": 12, "unknown": true})";

TEST_F(SpanFileTest, ReadsPlainAndCompressedAlike) {
  for (const bool gzip : {false, true}) {
    auto file = read_span_file(write(std::string(kLine) + "\n\n" + kLine, gzip));
    ASSERT_TRUE(file) << file.error().text();
    ASSERT_EQ(file->spans.size(), 2U);
    const FileSpan& span = file->spans[1];
    EXPECT_EQ(span.id, "ab");
    EXPECT_TRUE(span.client);
    EXPECT_EQ(span.service, R"(s \"q\")");
    EXPECT_EQ(span.start_us, -5);
    EXPECT_EQ(span.end_us, 7);
    EXPECT_EQ(span.tid_start, 12);
    EXPECT_EQ(span.io, "");
  }
}

TEST_F(SpanFileTest, LinesAcrossBlocksAreWhole) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text.append(kLine).append("\n");
  auto file = read_span_file(write(text, true));
  ASSERT_TRUE(file);
  ASSERT_EQ(file->spans.size(), 20'000U);
  for (const FileSpan& s : file->spans) ASSERT_EQ(s.op, "x");
}

TEST_F(SpanFileTest, RefusesWhatIsNoSpanAndNamesTheLine) {
  for (const char* bad :
       {"{", "{}", "[1]", "{\"span_id\":\"a\"}",
        "{\"span_id\":\"a\",\"kind\":\"client\",\"start_us\":\"x\",\"end_us\":1}", "{\"span_id\":\"a", "nonsense"}) {
    auto file = read_span_file(write(std::string(kLine) + "\n" + bad, false));
    ASSERT_FALSE(file) << bad;
    EXPECT_NE(file.error().what.find("line 2"), std::string::npos) << file.error().what;
  }
  EXPECT_FALSE(read_span_file("/nonexistent/file"));
}

}  // namespace
}  // namespace wirespan::inference
