// OTLP over gRPC and HTTP (protobuf or JSON). Both go through libcurl: a unary gRPC call is one HTTP/2 POST with a
// five-byte prefix and trailers, and grpc++ would add seven threads and several MiB to every agent
// (docs/dependencies.md).
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "base/counters.h"
#include "exporters/encode/otlp_json.h"
#include "exporters/encode/otlp_proto.h"
#include "exporters/otlp/backoff.h"
#include "exporters/otlp/compressor.h"
#include "exporters/otlp/http_client.h"
#include "exporters/otlp/options.h"
#include "exporters/otlp/verdict.h"
#include "exporters/queue/exporter.h"
#include "exporters/queue/notices.h"

namespace wirespan {

// Counters, all below "exporters.NAME.": spans.sent, batches.sent, bytes.sent, retries, and of spans lost
// lost.partial_success (the receiver took the batch without them), lost.refused (an answer that a retry cannot change),
// lost.retries_exhausted, lost.interrupted (at shutdown), lost.encoding.
class OtlpExporter : public Exporter {
 public:
  [[nodiscard]] static Result<std::unique_ptr<OtlpExporter>> create(OtlpOptions options, Counters& counters, Say say);

  [[nodiscard]] std::string_view name() const override { return options_.name; }
  Status send(std::span<const Span> batch) override;
  Status flush() override;
  void hurry() override;
  void interrupt() override;

 private:
  OtlpExporter(OtlpOptions options, std::unique_ptr<HttpClient> client, Counters& counters, Say say);

  [[nodiscard]] Result<std::string_view> encode(std::span<const Span> batch);
  // False when interrupted.
  bool wait(std::chrono::milliseconds time, bool may_hurry);
  void reachable();

  OtlpOptions options_;
  std::unique_ptr<HttpClient> client_;
  OtlpProtoEncoder proto_;
  OtlpJsonEncoder json_;
  ByteBuffer text_;    // of JSON
  std::string frame_;  // of gRPC
  Compressor compressor_;
  Backoff backoff_;
  Notices notices_;
  bool in_trouble_ = false;

  Counter& spans_sent_;
  Counter& batches_sent_;
  Counter& bytes_sent_;
  Counter& retries_;
  Counter& partial_success_;
  Counter& refused_;
  Counter& exhausted_;
  Counter& lost_interrupted_;
  Counter& encoding_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool hurry_ = false;
  bool interrupted_ = false;
};

}  // namespace wirespan
