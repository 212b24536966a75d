#include "agent/health/server.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>
#include <utility>

namespace wirespan {
namespace {

constexpr int kBacklog = 16;
constexpr int kTimeoutSeconds = 5;
constexpr ev_ssize_t kMostBytes = 16384;  // of a request

// Held by value in the system's own types, whose unions differ by family.
struct SocketName {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&storage);  // NOLINT(*-reinterpret-cast)
  }
};

template <class Name>
SocketName name_of(const Name& name) {
  SocketName out;
  std::memcpy(&out.storage, &name, sizeof name);
  out.size = sizeof name;
  return out;
}

SocketName socket_name(const HealthAddress& address) {
  if (!address.path.empty()) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    address.path.copy(static_cast<char*>(name.sun_path), sizeof(name.sun_path) - 1);
    return name_of(name);
  }
  if (address.host.find(':') != std::string::npos) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(address.port);
    inet_pton(AF_INET6, address.host.c_str(), &name.sin6_addr);
    return name_of(name);
  }
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(address.port);
  inet_pton(AF_INET, address.host.c_str(), &name.sin_addr);
  return name_of(name);
}

// True if somebody accepts connections there.
bool answers(const SocketName& name) {
  const int fd = ::socket(name.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool yes = fd >= 0 && ::connect(fd, name.get(), name.size) == 0;
  if (fd >= 0) ::close(fd);
  return yes;
}

Result<int> listen_on(const HealthAddress& address) {
  const SocketName name = socket_name(address);
  const std::string where = address.path.empty() ? address.host + ":" + std::to_string(address.port) : address.path;
  struct stat file{};
  if (!address.path.empty() && ::lstat(address.path.c_str(), &file) == 0) {
    if (!S_ISSOCK(file.st_mode)) return Error{where + " is not a socket", EEXIST, "Remove it, or name another file."};
    if (answers(name)) return Error{"somebody listens on " + where, EADDRINUSE, "Is another wirespan running?"};
    ::unlink(address.path.c_str());
  }
  const int fd = ::socket(name.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno_error("make a socket");
  const int one = 1;
  if (address.path.empty()) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  // Not even for a moment anybody else's. No other thread makes files while the agent starts.
  const mode_t before = ::umask(0177);
  const bool bound = ::bind(fd, name.get(), name.size) == 0;
  const int why = errno;
  ::umask(before);
  if (bound && ::listen(fd, kBacklog) == 0) return fd;
  errno = bound ? errno : why;
  Error error = errno_error("listen on " + where);
  ::close(fd);
  return error;
}

}  // namespace

Result<HealthAddress> parse_health_address(const std::string& text) {
  constexpr std::string_view kUnix = "unix:";
  const Error refused{"health.listen: \"" + text + "\" is not an address of this host only", 0,
                      "Write unix:/path/of/socket, 127.0.0.1:PORT or [::1]:PORT."};
  HealthAddress address;
  if (text.starts_with(kUnix)) {
    address.path = text.substr(kUnix.size());
    if (!address.path.starts_with('/') || address.path.size() >= sizeof(sockaddr_un::sun_path)) return refused;
    return address;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return refused;
  address.host = text.substr(0, colon);
  if (address.host == "localhost") address.host = "127.0.0.1";
  if (address.host == "[::1]") address.host = "::1";
  const std::string port = text.substr(colon + 1);
  const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  in_addr loopback{};
  const bool four = inet_pton(AF_INET, address.host.c_str(), &loopback) == 1 && ntohl(loopback.s_addr) >> 24U == 127;
  if (failed != std::errc() || end != port.data() + port.size() || (!four && address.host != "::1")) return refused;
  return address;
}

struct HealthServer::State {
  HealthAddress address;
  std::function<HealthSnapshot()> ask;
  event_base* base = nullptr;
  evhttp* http = nullptr;
  event* stop = nullptr;
  int stop_fd = -1;
  std::uint16_t port = 0;
  std::thread thread;

  static void answer(evhttp_request* request, int status, const char* reason, const char* type,
                     const std::string& body) {
    evkeyvalq* headers = evhttp_request_get_output_headers(request);
    evhttp_add_header(headers, "Content-Type", type);
    // A page of another origin may not read it, should a browser run on this host.
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evbuffer* out = evbuffer_new();
    evbuffer_add(out, body.data(), body.size());
    evhttp_send_reply(request, status, reason, out);
    evbuffer_free(out);
  }
  static void healthz(evhttp_request* request, void* self) {
    const HealthSnapshot snapshot = static_cast<State*>(self)->ask();
    const auto rung = std::to_string(snapshot.counter("governor.rung"));
    if (snapshot.stalled) {
      return answer(request, HTTP_SERVUNAVAIL, "Service Unavailable", "text/plain; charset=utf-8",
                    "stalled: capture has not moved for seconds\n");
    }
    answer(request, HTTP_OK, "OK", "text/plain; charset=utf-8", "ok, governor on rung " + rung + "\n");
  }
  static void metrics(evhttp_request* request, void* self) {
    answer(request, HTTP_OK, "OK", "application/openmetrics-text; version=1.0.0; charset=utf-8",
           to_openmetrics(static_cast<State*>(self)->ask()));
  }
  static void services(evhttp_request* request, void* self) {
    answer(request, HTTP_OK, "OK", "application/json", to_json(static_cast<State*>(self)->ask()));
  }

  ~State() {
    if (thread.joinable()) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = ::write(stop_fd, &one, sizeof one);
      thread.join();
    }
    if (http != nullptr) evhttp_free(http);
    if (stop != nullptr) event_free(stop);
    if (base != nullptr) event_base_free(base);
    if (stop_fd >= 0) ::close(stop_fd);
    if (!address.path.empty() && http != nullptr) ::unlink(address.path.c_str());
  }
};

HealthServer::HealthServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HealthServer::~HealthServer() = default;
std::uint16_t HealthServer::port() const {
  return state_->port;
}

Result<std::unique_ptr<HealthServer>> HealthServer::start(const HealthAddress& address,
                                                          std::function<HealthSnapshot()> ask) {
  const auto fd = listen_on(address);
  if (!fd) return fd.error();
  auto state = std::make_unique<State>();
  state->address = address;
  state->ask = std::move(ask);
  state->stop_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  state->base = event_base_new();
  state->http = state->base == nullptr ? nullptr : evhttp_new(state->base);
  if (state->http == nullptr || state->stop_fd < 0 || evhttp_accept_socket(state->http, *fd) != 0) {
    ::close(*fd);
    return Error{"start the health server", ENOMEM, {}};
  }
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(*fd, reinterpret_cast<sockaddr*>(&bound), &size) == 0) {  // NOLINT(*-reinterpret-cast)
    state->port = ntohs(bound.sin_port);                                      // at the same place in IPv6
  }
  evhttp_set_allowed_methods(state->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
  evhttp_set_timeout(state->http, kTimeoutSeconds);
  evhttp_set_max_headers_size(state->http, kMostBytes);
  evhttp_set_max_body_size(state->http, kMostBytes);
  evhttp_set_cb(state->http, "/healthz", State::healthz, state.get());
  evhttp_set_cb(state->http, "/metrics", State::metrics, state.get());
  evhttp_set_cb(state->http, "/services", State::services, state.get());
  state->stop = event_new(
      state->base, state->stop_fd, EV_READ,
      [](evutil_socket_t, short, void* base) { event_base_loopbreak(static_cast<event_base*>(base)); }, state->base);
  event_add(state->stop, nullptr);
  state->thread = std::thread([base = state->base] { event_base_dispatch(base); });
  return std::unique_ptr<HealthServer>(new HealthServer(std::move(state)));
}

}  // namespace wirespan
