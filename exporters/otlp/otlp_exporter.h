// OTLP over gRPC and HTTP (protobuf or JSON). Both go through libcurl: a unary gRPC call is one HTTP/2 POST with a
// five-byte prefix and trailers, and grpc++ would add seven threads and several MiB to every agent
// (docs/dependencies.md).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/counters.h"
#include "exporters/encode/otlp_json.h"
#include "exporters/encode/otlp_proto.h"
#include "exporters/otlp/backlog.h"
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
// lost.retries_exhausted, lost.backlog_full, lost.interrupted (at shutdown), lost.encoding. What waits for a receiver
// that is away: backlog.spans, backlog.bytes. Spans that came in = sent + lost + waiting, at any time between two
// calls.
class OtlpExporter : public Exporter {
 public:
  [[nodiscard]] static Result<std::unique_ptr<OtlpExporter>> create(OtlpOptions options, Counters& counters, Say say);
  ~OtlpExporter() override;
  OtlpExporter(const OtlpExporter&) = delete;
  OtlpExporter& operator=(const OtlpExporter&) = delete;

  [[nodiscard]] std::string_view name() const override { return options_.name; }
  void wait_rather_than_drop() override { waits_ = true; }
  Status send(std::span<const Span> batch) override;
  std::chrono::milliseconds idle() override;
  Status flush() override;
  [[nodiscard]] bool holds() const override { return !backlog_.empty(); }
  [[nodiscard]] std::uint64_t taken() const override { return batches_sent_.value(); }
  void hurry() override;
  void interrupt() override;

 private:
  using Time = Backlog::Time;
  enum class Pace : std::uint8_t { kCalm, kHurried };

  OtlpExporter(OtlpOptions options, std::unique_ptr<HttpClient> client, Counters& counters, Say say);

  [[nodiscard]] Result<std::string_view> encode(std::span<const Span> batch);
  // nullopt: it has to be sent again, or this was interrupted; nothing is counted yet.
  [[nodiscard]] std::optional<Status> attempt(std::string_view body, std::uint64_t spans, Time give_up);
  // Sends the oldest as long as the receiver takes them and its turn is not over.
  Status drain(Pace pace);
  Status wait_until_out();
  // What would wait for its next attempt beyond its time is lost now.
  Status expire();
  // At the end: all that waits is lost, and further spans with it.
  Status abandon(std::uint64_t further_spans);
  // The last error is returned, those before it are said here.
  void settle(Status& all, Status one);
  void report_backlog();
  void reachable();
  [[nodiscard]] Time due(Pace pace) const;
  // Until the next attempt is due, or `longest` is over. False when interrupted.
  bool wait(Time longest);

  OtlpOptions options_;
  std::unique_ptr<HttpClient> client_;
  OtlpProtoEncoder proto_;
  OtlpJsonEncoder json_;
  ByteBuffer text_;    // of JSON
  std::string frame_;  // of gRPC
  Compressor compressor_;
  Backlog backlog_;
  Backoff backoff_;
  Notices notices_;
  Notices losses_;  // apart, or the two would take turns for as long as an outage lasts
  bool waits_ = false;

  bool in_trouble_ = false;  // the last attempt failed
  Error trouble_;
  Time attempted_{};
  Time next_attempt_{};
  bool may_hurry_ = true;  // the receiver did not say when it wants to be asked again

  Counter& spans_sent_;
  Counter& batches_sent_;
  Counter& bytes_sent_;
  Counter& retries_;
  Counter& partial_success_;
  Counter& refused_;
  Counter& exhausted_;
  Counter& backlog_full_;
  Counter& lost_interrupted_;
  Counter& encoding_;
  Counter& backlog_spans_;
  Counter& backlog_bytes_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool hurry_ = false;
  bool interrupted_ = false;
};

}  // namespace wirespan
