// What inference can tell at all about files of spans with known parents: of the stretches it solved wrongly, in how
// many does its own model hold the answer for likelier than the truth? There no better search would have found the
// truth. Prints one JSON line a file.
//   bench_correlator_limit FILE.ndjson[.gz]...
#include <cstdio>
#include <string>
#include <unordered_map>

#include "correlator/inference/correlate_file.h"
#include "correlator/inference/testing/span_lines.h"

namespace wirespan::inference {
namespace {

int run(const std::string& path) {
  const auto file = read_span_file(path);
  if (!file) {
    std::fprintf(stderr, "%s\n", file.error().text().c_str());
    return 1;
  }
  std::unordered_map<std::string, std::uint64_t> ids;
  for (std::size_t i = 0; i < file->spans.size(); ++i) ids.emplace(file->spans[i].id, i + 1);
  std::unordered_map<std::uint64_t, std::uint64_t> parents;
  for (const std::string& line : testing::lines_of(path)) {
    const auto parent = ids.find(testing::field(line, "true_parent_span_id"));
    if (testing::field(line, "kind") == "client" && parent != ids.end()) {
      parents[ids[testing::field(line, "span_id")]] = parent->second;
    }
  }
  Counters counters;
  Inference inference({}, counters, [](const Decision&) {});
  inference.compare_with([&](std::uint64_t call) {
    const auto it = parents.find(call);
    return it != parents.end() ? it->second : 0;
  });
  play(*file, inference);
  const Comparison& c = inference.comparison();
  std::printf("{\"file\":\"%s\",\"wrong_stretches\":%zu,\"answer_likelier\":%zu,\"log_difference\":%.1f}\n",
              path.substr(path.rfind('/') + 1).c_str(), c.wrong, c.answer_likelier, c.difference);
  return 0;
}

}  // namespace
}  // namespace wirespan::inference

int main(int argc, char** argv) {
  int status = argc < 2 ? 2 : 0;
  for (int i = 1; i < argc; ++i) status |= wirespan::inference::run(argv[i]);
  return status;
}
