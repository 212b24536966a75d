// wirespan_correlate IN.ndjson[.gz] OUT.ndjson: parent links for a file of spans.
#include <cstdio>

#include "correlator/inference/correlate_file.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: wirespan_correlate IN.ndjson[.gz] OUT.ndjson\n");
    return 2;
  }
  wirespan::Counters counters;
  const wirespan::Status status = wirespan::inference::correlate_file(argv[1], argv[2], {}, counters);
  if (!status) {
    std::fprintf(stderr, "wirespan_correlate: %s\n", status.error().text().c_str());
    return 1;
  }
  for (const auto& [name, value] : counters.snapshot()) {
    std::fprintf(stderr, "%s %llu\n", name.c_str(), static_cast<unsigned long long>(value));
  }
  return 0;
}
