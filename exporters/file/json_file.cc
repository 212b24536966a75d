#include "exporters/file/json_file.h"

#include <cerrno>
#include <cstddef>
#include <utility>

namespace wirespan {

Result<std::unique_ptr<JsonFileExporter>> JsonFileExporter::open(const std::string& path, Counters& counters) {
  auto writer = FdWriter::open(path);
  if (!writer) {
    Error error = writer.error();
    error.hint = "Give a path that can be written, or - for stdout.";
    return error;
  }
  return std::make_unique<JsonFileExporter>(*std::move(writer), path, counters);
}

JsonFileExporter::JsonFileExporter(FdWriter writer, std::string path, Counters& counters)
    : writer_(std::move(writer)),
      path_(std::move(path)),
      sent_(counters.get("exporters.json.spans.sent")),
      lost_(counters.get("exporters.json.lost.write_failed")) {}

Status JsonFileExporter::send(std::span<const Span> batch) {
  line_.clear();
  encoder_.encode(batch, line_);
  line_.append("\n");
  const Status written = writer_.write(line_.view());
  if (written) {
    sent_.add(batch.size());
    return {};
  }
  lost_.add(batch.size());
  Error error = written.error();
  error.what = "spans lost, " + error.what + " " + (path_ == "-" ? std::string("stdout") : path_);
  if (error.code == ENOSPC || error.code == EDQUOT)
    error.hint = "Free space there; writing goes on when there is some.";
  if (error.code == EPIPE) error.hint = "Its reader has gone.";
  return error;
}

}  // namespace wirespan
