// --json FILE: OTLP/JSON lines, each an ExportTraceServiceRequest, as the Collector's file exporter writes them.
#pragma once

#include <memory>
#include <string>

#include "base/counters.h"
#include "base/result.h"
#include "exporters/encode/otlp_json.h"
#include "exporters/output/fd_writer.h"
#include "exporters/queue/exporter.h"

namespace wirespan {

// A full disk or a closed pipe loses spans, counted as "exporters.json.lost.write_failed", and is tried again with the
// next batch.
class JsonFileExporter : public Exporter {
 public:
  // `path` is created or emptied; "-" is stdout.
  [[nodiscard]] static Result<std::unique_ptr<JsonFileExporter>> open(const std::string& path, Counters& counters);
  JsonFileExporter(FdWriter writer, std::string path, Counters& counters);

  [[nodiscard]] std::string_view name() const override { return "json"; }
  Status send(std::span<const Span> batch) override;
  void interrupt() override { writer_.interrupt(); }

 private:
  FdWriter writer_;
  std::string path_;
  OtlpJsonEncoder encoder_;
  ByteBuffer line_;
  Counter& sent_;
  Counter& lost_;
};

}  // namespace wirespan
