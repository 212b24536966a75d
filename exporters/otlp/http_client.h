// One POST at a time over a kept connection, HTTP/1.1 or HTTP/2, that another thread can cut off. libcurl inside.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace wirespan {

struct HttpReply {
  long status = 0;
  // Names in lower case, HTTP/2 trailers included, in order; at most kMaxHeaders.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // the first kMaxBody bytes

  [[nodiscard]] std::string_view header(std::string_view name) const;  // the last of that name, "" when absent
};

struct HttpClientOptions {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  bool http2 = false;                // without TLS by prior knowledge (RFC 9113, 3.3), with it by ALPN
  std::chrono::milliseconds timeout{10'000};
  std::string ca_file;
  std::string client_certificate_file;
  std::string client_key_file;
};

// post() on one thread; interrupt() from any.
class HttpClient {
 public:
  static constexpr std::size_t kMaxHeaders = 64;
  static constexpr std::size_t kMaxBody = 64U << 10U;

  // Errors: a certificate or key that cannot be read.
  [[nodiscard]] static Result<std::unique_ptr<HttpClient>> create(HttpClientOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // An error means there was no complete reply: not reachable, cut, timed out, not trusted, interrupted.
  [[nodiscard]] Result<HttpReply> post(std::string_view body);
  // Ends a post in progress, and fails all later ones.
  void interrupt();
  [[nodiscard]] bool interrupted() const { return interrupted_.load(); }

 private:
  struct Handles;
  explicit HttpClient(HttpClientOptions options, std::unique_ptr<Handles> handles);

  HttpClientOptions options_;
  std::unique_ptr<Handles> handles_;
  std::atomic<bool> interrupted_{false};
};

}  // namespace wirespan
