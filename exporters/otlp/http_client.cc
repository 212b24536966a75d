#include "exporters/otlp/http_client.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>

#include "base/text.h"
#include "exporters/encode/otlp_fields.h"
#include "exporters/otlp/curl.h"

namespace wirespan {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return out;
}

constexpr std::string_view kBlank = " \t\r\n";

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& reply = *static_cast<HttpReply*>(user);
  const std::string_view line(data, size * count);
  const auto colon = line.find(':');
  if (colon != std::string_view::npos && reply.headers.size() < HttpClient::kMaxHeaders) {
    reply.headers.emplace_back(lower(trim(line.substr(0, colon))), trim(line.substr(colon + 1), kBlank));
  }
  return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& reply = *static_cast<HttpReply*>(user);
  reply.body.append(data, std::min(size * count, HttpClient::kMaxBody - reply.body.size()));
  return size * count;
}

std::string hint_for(CURLcode code, const HttpClientOptions& options) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
      return "Is a collector listening there? Set OTEL_EXPORTER_OTLP_ENDPOINT or --otlp to its address.";
    case CURLE_COULDNT_RESOLVE_HOST:
      return "Check the host name in OTEL_EXPORTER_OTLP_ENDPOINT or --otlp.";
    case CURLE_OPERATION_TIMEDOUT:
      return "The collector is overloaded or unreachable; OTEL_EXPORTER_OTLP_TIMEOUT sets how long to wait.";
    case CURLE_PEER_FAILED_VERIFICATION:
      return "Set OTEL_EXPORTER_OTLP_CERTIFICATE to the CA that signed the collector's certificate.";
    case CURLE_SSL_CONNECT_ERROR:
      return "Does the collector speak TLS there, and does it ask for a client certificate "
             "(OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)? Without TLS use http://.";
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return options.http2
                 ? "Is that a gRPC endpoint (often port 4317)? For HTTP set OTEL_EXPORTER_OTLP_PROTOCOL."
                 : "Is that an HTTP endpoint (often port 4318)? For gRPC set OTEL_EXPORTER_OTLP_PROTOCOL=grpc.";
    default:
      return {};
  }
}

// libcurl 7.88 (Debian 12) wraps a kept connection into HTTP/2 twice when that was by prior knowledge, and fails
// (github.com/curl/curl/pull/10643, fixed in 8.0): there each batch gets a connection of its own.
bool loses_http2_on_reuse(const Curl& curl) {
  const unsigned version = curl.version_info(CURLVERSION_NOW)->version_num;
  return version >= 0x075800 && version < 0x080000;
}

bool is_loopback(const Curl& curl, const std::string& url) {
  const CurlUrl parsed(curl, url.c_str(), 0);
  if (!parsed.valid()) return false;
  const std::string name = parsed.get(CURLUPART_HOST);
  return name == "localhost" || name == "[::1]" || name.starts_with("127.");
}

Status readable(const std::string& path, std::string_view variable) {
  if (path.empty() || ::access(path.c_str(), R_OK) == 0) return {};
  Error error = errno_error("read " + path);
  error.hint = std::string(variable) + " has to name a PEM file.";
  return error;
}

}  // namespace

struct HttpClient::Handles {
  const Curl& curl;
  CURLM* multi = nullptr;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::array<char, CURL_ERROR_SIZE> error{};

  explicit Handles(const Curl& functions) : curl(functions) {}
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() {
    if (multi != nullptr && easy != nullptr) curl.multi_remove_handle(multi, easy);
    if (easy != nullptr) curl.easy_cleanup(easy);
    if (multi != nullptr) curl.multi_cleanup(multi);
    curl.slist_free_all(headers);
  }
};

std::string_view HttpReply::header(std::string_view name) const {
  const auto found = std::find_if(headers.rbegin(), headers.rend(), [&](const auto& h) { return h.first == name; });
  return found == headers.rend() ? std::string_view() : std::string_view(found->second);
}

Result<std::unique_ptr<HttpClient>> HttpClient::create(HttpClientOptions options) {
  const auto loaded = Curl::load();
  if (!loaded) return loaded.error();
  const Curl& curl = **loaded;
  for (const Status& status : {readable(options.ca_file, "OTEL_EXPORTER_OTLP_CERTIFICATE"),
                               readable(options.client_certificate_file, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
                               readable(options.client_key_file, "OTEL_EXPORTER_OTLP_CLIENT_KEY")}) {
    if (!status) return status.error();
  }
  auto handles = std::make_unique<Handles>(curl);
  handles->multi = curl.multi_init();
  handles->easy = curl.easy_init();
  if (handles->multi == nullptr || handles->easy == nullptr) return Error{"libcurl: out of memory", 0, {}};
  CURL* easy = handles->easy;
  for (const std::string& header : options.headers) {
    handles->headers = curl.slist_append(handles->headers, header.c_str());
  }
  // Waiting for "100 Continue" costs a second where the server does not know it.
  handles->headers = curl.slist_append(handles->headers, "Expect:");

  curl.easy_setopt(easy, CURLOPT_URL, options.url.c_str());
  curl.easy_setopt(easy, CURLOPT_POST, 1L);
  curl.easy_setopt(easy, CURLOPT_HTTPHEADER, handles->headers);
  curl.easy_setopt(easy, CURLOPT_USERAGENT, ("wirespan/" + std::string(scope_version())).c_str());
  curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(options.timeout.count()));
  curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.timeout.count()));
  curl.easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, &on_header);
  curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, &on_body);
  curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, handles->error.data());
  curl.easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  const bool tls = options.url.compare(0, 6, "https:") == 0;
  curl.easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   options.http2 ? static_cast<long>(tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
                                 : static_cast<long>(CURL_HTTP_VERSION_1_1));
  // A proxy for the outside world (http_proxy, https_proxy, no_proxy) does not know this host's loopback, and passes
  // HTTP/2 on only through a tunnel.
  if (is_loopback(curl, options.url)) curl.easy_setopt(easy, CURLOPT_PROXY, "");
  if (options.http2) curl.easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
  if (options.http2 && !tls && loses_http2_on_reuse(curl)) curl.easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  if (!options.ca_file.empty()) curl.easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  if (!options.client_certificate_file.empty()) {
    curl.easy_setopt(easy, CURLOPT_SSLCERT, options.client_certificate_file.c_str());
  }
  if (!options.client_key_file.empty()) curl.easy_setopt(easy, CURLOPT_SSLKEY, options.client_key_file.c_str());
  return std::unique_ptr<HttpClient>(new HttpClient(std::move(options), std::move(handles)));
}

HttpClient::HttpClient(HttpClientOptions options, std::unique_ptr<Handles> handles)
    : options_(std::move(options)), handles_(std::move(handles)) {}

HttpClient::~HttpClient() = default;

void HttpClient::interrupt() {
  interrupted_.store(true);
  handles_->curl.multi_wakeup(handles_->multi);
}

Result<HttpReply> HttpClient::post(std::string_view body) {
  HttpReply reply;
  const Curl& curl = handles_->curl;
  CURL* easy = handles_->easy;
  handles_->error.front() = '\0';
  curl.easy_setopt(easy, CURLOPT_HEADERDATA, &reply);
  curl.easy_setopt(easy, CURLOPT_WRITEDATA, &reply);
  curl.easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
  curl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl.multi_add_handle(handles_->multi, easy);

  bool done = false;
  CURLcode code = CURLE_OK;
  while (!done && !interrupted()) {
    int running = 0;
    curl.multi_perform(handles_->multi, &running);
    int queued = 0;
    while (const CURLMsg* message = curl.multi_info_read(handles_->multi, &queued)) {
      if (message->msg != CURLMSG_DONE) continue;
      done = true;
      code = message->data.result;
    }
    // libcurl shortens this by its own timeouts.
    if (!done) curl.multi_poll(handles_->multi, nullptr, 0, 10'000, nullptr);
  }
  curl.multi_remove_handle(handles_->multi, easy);
  if (!done) return Error{"interrupted", 0, {}};
  if (code != CURLE_OK) {
    const char* detail = handles_->error.front() != '\0' ? handles_->error.data() : curl.easy_strerror(code);
    return Error{options_.url + ": " + detail, 0, hint_for(code, options_)};
  }
  curl.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
  return reply;
}

}  // namespace wirespan
