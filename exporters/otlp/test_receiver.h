// An HTTP/1.1 server for tests: answers what the test says, counts what it got.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace wirespan::test {

struct ReceivedRequest {
  std::string path;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string header(std::string_view name) const;
};

struct Reply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // kClose: without an answer; kCut: all of it but the last byte, then closed.
  enum class Instead : std::uint8_t { kAnswer, kClose, kHang, kCut } instead = Instead::kAnswer;
};

class TestReceiver {
 public:
  using Handler = std::function<Reply(const ReceivedRequest& request, std::size_t number)>;

  // Listens on 127.0.0.1, at once; `port` 0: any. `handler` is called on the server's thread.
  explicit TestReceiver(Handler handler, std::uint16_t port = 0);
  ~TestReceiver();
  TestReceiver(const TestReceiver&) = delete;
  TestReceiver& operator=(const TestReceiver&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1/traces"; }
  [[nodiscard]] std::vector<ReceivedRequest> requests();
  void wait_for(std::size_t requests);

 private:
  void serve();
  bool serve_one(int connection, std::string& buffer);

  Handler handler_;
  int listener_ = -1;
  int stop_fd_ = -1;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ReceivedRequest> requests_;
  std::thread thread_;
};

// Bound and closed again: nobody listens there.
[[nodiscard]] std::uint16_t unused_port();

}  // namespace wirespan::test
