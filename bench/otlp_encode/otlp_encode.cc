// What a span costs on its way out, one core: hand-over to the queue, encoding, compression. A span has fifteen
// attributes; a batch is 512 spans of eight processes. Prints one JSON line.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "exporters/encode/otlp_json.h"
#include "exporters/encode/otlp_proto.h"
#include "exporters/otlp/compressor.h"
#include "exporters/queue/export_queue.h"
#include "exporters/testing/sample.h"

namespace wirespan {
namespace {

constexpr std::size_t kBatch = 512;
constexpr std::size_t kProcesses = 8;
constexpr int kRounds = 400;

std::vector<Span> make_batch() {
  std::vector<ProcessInfoPtr> processes;
  for (std::size_t i = 0; i < kProcesses; ++i) {
    processes.push_back(sample::process("service-" + std::to_string(i), static_cast<std::uint32_t>(i + 1)));
  }
  std::vector<Span> batch;
  for (std::size_t i = 0; i < kBatch; ++i) {
    batch.push_back(sample::typical_http(processes[i * 7 % kProcesses], mix64(i)));
    batch.back().trace = TraceId::from_u64(mix64(i / 4 + 1), mix64(i / 4 + 2));
  }
  return batch;
}

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// CPU time of this thread, the least of five runs: what the code costs when nobody else wants the core.
template <class Work>
double ns_per_span(Work&& work) {
  double best = 1e18;
  for (int run = 0; run < 5; ++run) {
    const double start = cpu_ns();
    for (int round = 0; round < kRounds; ++round) work();
    best = std::min(best, (cpu_ns() - start) / (kRounds * static_cast<double>(kBatch)));
  }
  return best;
}

// Takes batches and forgets them.
class Discard : public Exporter {
 public:
  std::string_view name() const override { return "discard"; }
  Status send(std::span<const Span>) override { return {}; }
};

double queue_ns(const std::vector<Span>& batch, bool take) {
  Counters counters;
  ExportQueue queue({}, counters, {});
  queue.add(std::make_unique<Discard>());
  std::vector<Span> own = batch;
  return ns_per_span([&] {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (take) {
        queue.take(std::move(own[i]));
      } else {
        queue.accept(batch[i]);
      }
    }
  });
}

void run() {
  const std::vector<Span> batch = make_batch();
  OtlpProtoEncoder proto;
  OtlpJsonEncoder json;
  ByteBuffer text;
  const double proto_ns = ns_per_span([&] { (void)proto.encode(batch); });
  const double json_ns = ns_per_span([&] {
    text.clear();
    json.encode(batch, text);
  });
  const std::string_view message = proto.encode(batch);
  Compressor gzip(OtlpCompression::kGzip);
  Compressor zstd(OtlpCompression::kZstd);
  const double gzip_ns = ns_per_span([&] { (void)gzip.compress(message); });
  const double zstd_ns = ns_per_span([&] { (void)zstd.compress(message); });
  const auto per_span = [](std::string_view bytes) { return static_cast<double>(bytes.size()) / kBatch; };
  std::printf(
      "{\"ns_per_span\": {\"queue_accept\": %.0f, \"queue_take\": %.0f, \"protobuf\": %.0f, \"json\": %.0f, \"gzip\": "
      "%.0f, "
      "\"zstd\": %.0f}, \"bytes_per_span\": {\"protobuf\": %.0f, \"json\": %.0f, \"gzip\": %.0f, \"zstd\": %.0f}}\n",
      queue_ns(batch, false), queue_ns(batch, true), proto_ns, json_ns, gzip_ns, zstd_ns, per_span(message),
      per_span(text.view()), per_span(*gzip.compress(message)), per_span(*zstd.compress(message)));
}

}  // namespace
}  // namespace wirespan

int main() {
  wirespan::run();
}
