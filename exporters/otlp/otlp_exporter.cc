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
// A long backlog goes out in turns of this, between which the queue in front is served: 20 of its batches a second are
// taken however slow the receiver is, short of one request taking longer.
constexpr milliseconds kTurn{50};

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
      backlog_(options_.backlog_bytes,
               options_.compression == OtlpCompression::kNone ? Backlog::Packing::kZstd : Backlog::Packing::kNone),
      backoff_(options_.first_backoff, options_.longest_backoff, std::random_device()()),
      notices_(say, "exporter " + options_.name + ": "),
      losses_(std::move(say), "exporter " + options_.name + ": "),
      spans_sent_(counters.get("exporters." + options_.name + ".spans.sent")),
      batches_sent_(counters.get("exporters." + options_.name + ".batches.sent")),
      bytes_sent_(counters.get("exporters." + options_.name + ".bytes.sent")),
      retries_(counters.get("exporters." + options_.name + ".retries")),
      partial_success_(counters.get("exporters." + options_.name + ".lost.partial_success")),
      refused_(counters.get("exporters." + options_.name + ".lost.refused")),
      exhausted_(counters.get("exporters." + options_.name + ".lost.retries_exhausted")),
      backlog_full_(counters.get("exporters." + options_.name + ".lost.backlog_full")),
      lost_interrupted_(counters.get("exporters." + options_.name + ".lost.interrupted")),
      encoding_(counters.get("exporters." + options_.name + ".lost.encoding")),
      backlog_spans_(counters.get("exporters." + options_.name + ".backlog.spans")),
      backlog_bytes_(counters.get("exporters." + options_.name + ".backlog.bytes")) {}

OtlpExporter::~OtlpExporter() {
  if (!backlog_.empty()) losses_.say(abandon(0).error().text());
}

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
  // Behind others it waits its turn: idle() follows.
  if (backlog_.empty()) {
    if (auto settled = attempt(*body, batch.size(), give_up)) return *std::move(settled);
  }
  if (client_->interrupted()) return abandon(batch.size());
  const std::uint64_t dropped = backlog_.push(*body, batch.size(), give_up);
  report_backlog();
  Status status = expire();
  if (dropped != 0) {
    backlog_full_.add(dropped);
    settle(status, Error{"spans lost, the receiver is away for longer than export.otlp.backlog holds them", 0, {}});
  }
  if (waits_) settle(status, wait_until_out());
  return status;
}

std::optional<Status> OtlpExporter::attempt(std::string_view body, std::uint64_t spans, Time give_up) {
  if (in_trouble_) retries_.add();
  const auto reply = client_->post(body);
  if (client_->interrupted()) return std::nullopt;
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
    const std::uint64_t rejected = std::min<std::uint64_t>(verdict.rejected_spans, spans);
    spans_sent_.add(spans - rejected);
    batches_sent_.add();
    bytes_sent_.add(body.size());
    partial_success_.add(rejected);
    if (rejected != 0) {
      return Error{"the receiver rejected " + std::to_string(rejected) + " spans: " + verdict.why, 0, {}};
    }
    if (!verdict.why.empty()) notices_.say("the receiver warns: " + verdict.why);
    return Status();
  }
  if (verdict.what == OtlpVerdict::What::kRefused) {
    reachable();
    refused_.add(spans);
    return Error{"spans lost, refused by " + options_.url + ": " + verdict.why, 0, verdict.hint};
  }

  in_trouble_ = true;
  attempted_ = steady_clock::now();
  next_attempt_ = attempted_ + verdict.wait.value_or(backoff_.next());
  may_hurry_ = !verdict.wait;
  trouble_ = Error{verdict.why, 0, verdict.hint};
  // One text for all attempts, so that an outage of an hour is a handful of lines.
  if (next_attempt_ < give_up) notices_.say(Error{verdict.why + "; retrying", 0, verdict.hint}.text());
  return std::nullopt;
}

Status OtlpExporter::drain(Pace pace) {
  Status all = expire();
  const auto end = steady_clock::now() + kTurn;
  while (!backlog_.empty() && steady_clock::now() >= due(pace)) {
    const std::uint64_t spans = backlog_.oldest_spans();
    const auto body = backlog_.body();
    std::optional<Status> settled;
    if (body) {
      settled = attempt(*body, spans, backlog_.oldest_give_up());
    } else {
      encoding_.add(spans);
      settled = body.error();
    }
    if (settled) {
      backlog_.pop();
      report_backlog();
      settle(all, *std::move(settled));
    } else {
      settle(all, client_->interrupted() ? abandon(0) : expire());
    }
    if (steady_clock::now() >= end) break;
  }
  return all;
}

void OtlpExporter::settle(Status& all, Status one) {
  if (one) return;
  if (!all) losses_.say(all.error().text());
  all = std::move(one);
}

Status OtlpExporter::expire() {
  std::uint64_t lost = 0;
  const Time next = std::max(steady_clock::now(), next_attempt_);
  while (!backlog_.empty() && backlog_.oldest_give_up() <= next) {
    lost += backlog_.oldest_spans();
    backlog_.pop();
  }
  if (lost == 0) return {};
  report_backlog();
  exhausted_.add(lost);
  return Error{"spans lost, retried without success: " + trouble_.what, 0, trouble_.hint};
}

Status OtlpExporter::abandon(std::uint64_t further_spans) {
  const std::uint64_t lost = backlog_.spans() + further_spans;
  backlog_.clear();
  report_backlog();
  lost_interrupted_.add(lost);
  return Error{
      "stopped before " + std::to_string(lost) + " spans were out" + (in_trouble_ ? ": " + trouble_.what : ""), 0, {}};
}

void OtlpExporter::report_backlog() {
  backlog_spans_.set(backlog_.spans());
  backlog_bytes_.set(backlog_.bytes());
}

void OtlpExporter::reachable() {
  backoff_.reset();
  next_attempt_ = {};
  if (std::exchange(in_trouble_, false)) notices_.say("answers again");
}

milliseconds OtlpExporter::idle() {
  if (const Status drained = drain(Pace::kCalm); !drained) losses_.say(drained.error().text());
  if (backlog_.empty()) return kNever;
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(due(Pace::kCalm) - steady_clock::now()));
}

Status OtlpExporter::flush() {
  {
    const std::lock_guard lock(mutex_);
    hurry_ = true;
  }
  Status status;
  if (!backlog_.empty()) {
    status = wait(steady_clock::now() + kHurriedBackoff) ? drain(Pace::kHurried) : abandon(0);
  }
  const std::lock_guard lock(mutex_);
  hurry_ = false;
  return status;
}

Status OtlpExporter::wait_until_out() {
  Status all;
  while (!backlog_.empty()) {
    settle(all, wait(Time::max()) ? drain(Pace::kHurried) : abandon(0));
  }
  return all;
}

OtlpExporter::Time OtlpExporter::due(Pace pace) const {
  const bool hurried = pace == Pace::kHurried && may_hurry_;
  return hurried ? std::min(next_attempt_, attempted_ + kHurriedBackoff) : next_attempt_;
}

bool OtlpExporter::wait(Time longest) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (interrupted_) return false;
    const Time until = std::min(longest, due(hurry_ ? Pace::kHurried : Pace::kCalm));
    if (steady_clock::now() >= until) return true;
    wake_.wait_until(lock, until);
  }
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
