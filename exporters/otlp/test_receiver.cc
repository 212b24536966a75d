#include "exporters/otlp/test_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>
#include <stdexcept>

namespace wirespan::test {
namespace {

int listen_on(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);  // NOLINT(*-reinterpret-cast)
  if (::bind(fd, generic, length) != 0 || ::listen(fd, 16) != 0 || ::getsockname(fd, generic, &length) != 0) {
    ::close(fd);
    throw std::runtime_error("cannot listen on 127.0.0.1");
  }
  port = ntohs(address.sin_port);
  return fd;
}

void send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

std::string ReceivedRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

TestReceiver::TestReceiver(Handler handler, std::uint16_t port) : handler_(std::move(handler)), port_(port) {
  listener_ = listen_on(port_);
  stop_fd_ = ::eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { serve(); });
}

TestReceiver::~TestReceiver() {
  const std::uint64_t one = 1;
  (void)!::write(stop_fd_, &one, sizeof one);
  thread_.join();
  ::close(listener_);
  ::close(stop_fd_);
}

std::vector<ReceivedRequest> TestReceiver::requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void TestReceiver::wait_for(std::size_t requests) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return requests_.size() >= requests; });
}

void TestReceiver::serve() {
  std::map<int, std::string> connections;
  for (;;) {
    std::vector<pollfd> polled = {{stop_fd_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const auto& [fd, buffer] : connections) polled.push_back({fd, POLLIN, 0});
    ::poll(polled.data(), polled.size(), -1);
    if (polled[0].revents != 0) break;
    if (polled[1].revents != 0) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection >= 0) connections[connection];
    }
    for (std::size_t i = 2; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      const int fd = polled[i].fd;
      if (serve_one(fd, connections[fd])) continue;
      ::close(fd);
      connections.erase(fd);
    }
  }
  for (const auto& [fd, buffer] : connections) ::close(fd);
}

// False: the connection is done.
bool TestReceiver::serve_one(int connection, std::string& buffer) {
  std::array<char, 65536> part;
  const ssize_t count = ::recv(connection, part.data(), part.size(), 0);
  if (count <= 0) return false;
  buffer.append(part.data(), static_cast<std::size_t>(count));
  const auto head_end = buffer.find("\r\n\r\n");
  if (head_end == std::string::npos) return true;

  ReceivedRequest request;
  const auto line_end = buffer.find("\r\n");
  const std::string line = buffer.substr(0, line_end);
  const auto path_at = line.find(' ') + 1;
  request.path = line.substr(path_at, line.rfind(' ') - path_at);
  for (auto at = line_end + 2; at < head_end + 2;) {
    const auto end = buffer.find("\r\n", at);
    const auto colon = buffer.find(':', at);
    std::string name = buffer.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers.emplace_back(name, buffer.substr(colon + 2, end - colon - 2));
    at = end + 2;
  }
  std::size_t length = 0;
  const std::string text = request.header("content-length");
  std::from_chars(text.data(), text.data() + text.size(), length);
  if (buffer.size() < head_end + 4 + length) return true;
  request.body = buffer.substr(head_end + 4, length);
  buffer.erase(0, head_end + 4 + length);

  std::size_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = requests_.size();
    requests_.push_back(request);
  }
  changed_.notify_all();
  const Reply reply = handler_(request, number);
  if (reply.instead == Reply::Instead::kClose) return false;
  if (reply.instead == Reply::Instead::kHang) return true;
  std::string answer = "HTTP/1.1 " + std::to_string(reply.status) + " Said\r\n";
  for (const auto& [name, value] : reply.headers) answer += name + ": " + value + "\r\n";
  answer += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
  if (reply.instead == Reply::Instead::kCut) {
    send_all(connection, std::string_view(answer).substr(0, answer.size() - 1));
    return false;
  }
  send_all(connection, answer);
  return true;
}

std::uint16_t unused_port() {
  std::uint16_t port = 0;
  ::close(listen_on(port));
  return port;
}

}  // namespace wirespan::test
