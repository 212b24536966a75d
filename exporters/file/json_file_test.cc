#include "exporters/file/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "exporters/queue/export_queue.h"
#include "exporters/testing/sample.h"

namespace wirespan {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(JsonFile, ALineForEachBatch) {
  std::string path = "/tmp/wirespan-json-file-XXXXXX";
  ::close(::mkstemp(path.data()));
  Counters counters;
  auto exporter = JsonFileExporter::open(path, counters);
  ASSERT_TRUE(exporter);
  const auto process = sample::process("shop");
  const std::vector<Span> batch = {sample::span(process, SpanRole::kServer, 1, 0, "GET /", {0, 1}),
                                   sample::span(process, SpanRole::kServer, 2, 0, "GET /", {0, 1})};
  EXPECT_TRUE((*exporter)->send(batch));
  EXPECT_TRUE((*exporter)->send({batch.data(), 1}));
  const auto lines = lines_of(path);
  ::unlink(path.c_str());
  ASSERT_EQ(lines.size(), 2U);
  for (const std::string& line : lines) {
    EXPECT_THAT(line, testing::StartsWith(R"({"resourceSpans":[{"resource":)"));
    EXPECT_THAT(line, testing::EndsWith("}]}]}]}"));
  }
  EXPECT_EQ(counters.get("exporters.json.spans.sent").value(), 3U);
}

TEST(JsonFile, AFullDiskIsCountedAndSaidOnceAndDoesNotStopAnything) {
  Counters counters;
  std::mutex mutex;
  std::vector<std::string> said;
  ExportQueue queue({.batch_spans = 10}, counters, [&](const std::string& line) {
    const std::lock_guard lock(mutex);
    said.push_back(line);
  });
  auto exporter = JsonFileExporter::open("/dev/full", counters);
  ASSERT_TRUE(exporter);
  queue.add(*std::move(exporter));
  const auto process = sample::process("shop");
  for (std::uint64_t id = 1; id <= 100; ++id)
    queue.accept(sample::span(process, SpanRole::kServer, id, 0, "GET /", {0, 1}));
  queue.stop(std::chrono::seconds(60));
  EXPECT_EQ(counters.get("exporters.json.lost.write_failed").value(), 100U);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_THAT(said[0], testing::HasSubstr("No space left on device. Free space there"));
}

TEST(JsonFile, SaysWhyItCannotBeOpened) {
  Counters counters;
  const auto exporter = JsonFileExporter::open("/nonexistent/x.json", counters);
  ASSERT_FALSE(exporter);
  EXPECT_THAT(exporter.error().text(), testing::HasSubstr("No such file or directory. Give a path"));
}

}  // namespace
}  // namespace wirespan
