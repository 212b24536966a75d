#include "exporters/otlp/otlp_exporter.h"

#include <algorithm>
#include <ctime>
#include <random>
#include <utility>
#include <vector>

namespace wirespan {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// While somebody waits for a flush an unreachable receiver is tried this often.
constexpr milliseconds kHurriedBackoff{200};

std::string_view content_type(OtlpProtocol protocol) {
  switch (protocol) {
    case OtlpProtocol::kGrpc:
      return "application/grpc";
    case OtlpProtocol::kHttpProtobuf:
      return "application/x-protobuf";
    case OtlpProtocol::kHttpJson:
      return "application/json";
  }
  return {};
}

std::string_view encoding_name(OtlpCompression compression) {
  switch (compression) {
    case OtlpCompression::kNone:
      return "identity";
    case OtlpCompression::kGzip:
      return "gzip";
    case OtlpCompression::kZstd:
      return "zstd";
  }
  return {};
}

HttpClientOptions client_options(const OtlpOptions& options) {
  HttpClientOptions client{.url = options.url,
                           .headers = {},
                           .http2 = options.protocol == OtlpProtocol::kGrpc,
                           .timeout = options.timeout,
                           .ca_file = options.ca_file,
                           .client_certificate_file = options.client_certificate_file,
                           .client_key_file = options.client_key_file};
  const auto add = [&](std::string_view header, std::string_view value) {
    client.headers.push_back(std::string(header) + ": " + std::string(value));
  };
  add("Content-Type", content_type(options.protocol));
  if (options.protocol == OtlpProtocol::kGrpc) {
    add("TE", "trailers");
    add("grpc-timeout", std::to_string(options.timeout.count()) + "m");
    if (options.compression != OtlpCompression::kNone) add("grpc-encoding", encoding_name(options.compression));
  } else if (options.compression != OtlpCompression::kNone) {
    add("Content-Encoding", encoding_name(options.compression));
  }
  for (const auto& [name, value] : options.headers) add(name, value);
  return client;
}

}  // namespace

Result<std::unique_ptr<OtlpExporter>> OtlpExporter::create(OtlpOptions options, Counters& counters, Say say) {
  auto client = HttpClient::create(client_options(options));
  if (!client) return client.error();
  return std::unique_ptr<OtlpExporter>(
      new OtlpExporter(std::move(options), *std::move(client), counters, std::move(say)));
}

OtlpExporter::OtlpExporter(OtlpOptions options, std::unique_ptr<HttpClient> client, Counters& counters, Say say)
    : options_(std::move(options)),
      client_(std::move(client)),
      compressor_(options_.compression),
      backoff_(options_.first_backoff, options_.longest_backoff, std::random_device()()),
      notices_(std::move(say), "exporter " + options_.name + ": "),
      spans_sent_(counters.get("exporters." + options_.name + ".spans.sent")),
      batches_sent_(counters.get("exporters." + options_.name + ".batches.sent")),
      bytes_sent_(counters.get("exporters." + options_.name + ".bytes.sent")),
      retries_(counters.get("exporters." + options_.name + ".retries")),
      partial_success_(counters.get("exporters." + options_.name + ".lost.partial_success")),
      refused_(counters.get("exporters." + options_.name + ".lost.refused")),
      exhausted_(counters.get("exporters." + options_.name + ".lost.retries_exhausted")),
      lost_interrupted_(counters.get("exporters." + options_.name + ".lost.interrupted")),
      encoding_(counters.get("exporters." + options_.name + ".lost.encoding")) {}

Result<std::string_view> OtlpExporter::encode(std::span<const Span> batch) {
  std::string_view message;
  if (options_.protocol == OtlpProtocol::kHttpJson) {
    text_.clear();
    json_.encode(batch, text_);
    message = text_.view();
  } else {
    message = proto_.encode(batch);
  }
  auto body = compressor_.compress(message);
  if (!body || options_.protocol != OtlpProtocol::kGrpc) return body;
  // Length-prefixed message: is it compressed, its length in big-endian (PROTOCOL-HTTP2.md).
  frame_.clear();
  frame_.push_back(options_.compression == OtlpCompression::kNone ? 0 : 1);
  for (const unsigned shift : {24U, 16U, 8U, 0U}) frame_.push_back(static_cast<char>(body->size() >> shift & 0xFFU));
  frame_.append(*body);
  return std::string_view(frame_);
}

Status OtlpExporter::send(std::span<const Span> batch) {
  const auto body = encode(batch);
  if (!body) {
    encoding_.add(batch.size());
    return body.error();
  }
  const auto give_up = steady_clock::now() + options_.retry_for;
  backoff_.reset();
  for (;;) {
    const auto reply = client_->post(*body);
    if (client_->interrupted()) {
      lost_interrupted_.add(batch.size());
      return Error{"stopped before " + std::to_string(batch.size()) + " spans were out", 0, {}};
    }
    OtlpVerdict verdict;
    if (reply) {
      verdict = options_.protocol == OtlpProtocol::kGrpc ? judge_grpc(*reply)
                                                         : judge_http(*reply, options_.protocol, std::time(nullptr));
    } else {
      verdict.what = OtlpVerdict::What::kRetry;
      verdict.why = reply.error().what;
      verdict.hint = reply.error().hint;
    }

    if (verdict.what == OtlpVerdict::What::kAccepted) {
      reachable();
      const std::uint64_t rejected = std::min<std::uint64_t>(verdict.rejected_spans, batch.size());
      spans_sent_.add(batch.size() - rejected);
      batches_sent_.add();
      bytes_sent_.add(body->size());
      partial_success_.add(rejected);
      if (rejected != 0) {
        return Error{"the receiver rejected " + std::to_string(rejected) + " spans: " + verdict.why, 0, {}};
      }
      if (!verdict.why.empty()) notices_.say("the receiver warns: " + verdict.why);
      return {};
    }
    if (verdict.what == OtlpVerdict::What::kRefused) {
      reachable();
      refused_.add(batch.size());
      return Error{"spans lost, refused by " + options_.url + ": " + verdict.why, 0, verdict.hint};
    }

    in_trouble_ = true;
    const auto pause = verdict.wait.value_or(backoff_.next());
    if (steady_clock::now() + pause >= give_up) {
      exhausted_.add(batch.size());
      return Error{"spans lost, retried without success: " + verdict.why, 0, verdict.hint};
    }
    // One text for all attempts, so that an outage of an hour is a handful of lines.
    notices_.say(Error{verdict.why + "; retrying", 0, verdict.hint}.text());
    retries_.add();
    if (!wait(pause, !verdict.wait)) {
      lost_interrupted_.add(batch.size());
      return Error{"stopped before " + std::to_string(batch.size()) + " spans were out: " + verdict.why, 0, {}};
    }
  }
}

void OtlpExporter::reachable() {
  if (std::exchange(in_trouble_, false)) notices_.say("answers again");
}

bool OtlpExporter::wait(milliseconds time, bool may_hurry) {
  const auto start = steady_clock::now();
  std::unique_lock lock(mutex_);
  const auto over = [&] {
    if (interrupted_) return true;
    const auto until = may_hurry && hurry_ ? std::min(time, kHurriedBackoff) : time;
    return steady_clock::now() - start >= until;
  };
  while (!over()) wake_.wait_until(lock, start + (may_hurry && hurry_ ? std::min(time, kHurriedBackoff) : time));
  return !interrupted_;
}

Status OtlpExporter::flush() {
  const std::lock_guard lock(mutex_);
  hurry_ = false;
  return {};
}

void OtlpExporter::hurry() {
  {
    const std::lock_guard lock(mutex_);
    hurry_ = true;
  }
  wake_.notify_all();
}

void OtlpExporter::interrupt() {
  {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
  }
  client_->interrupt();
  wake_.notify_all();
}

}  // namespace wirespan
