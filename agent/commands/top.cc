#include "agent/commands/top.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <thread>

#include "agent/commands/flags.h"
#include "agent/health/server.h"
#include "agent/health/top_view.h"
#include "exporters/otlp/curl.h"

namespace wirespan {
namespace {

constexpr long kTimeoutMs = 3000;
constexpr std::size_t kMostBytes = 32U << 20U;

TopOptions for_terminal() {
  TopOptions options;
  winsize size{};
  options.colour = isatty(STDOUT_FILENO) == 1;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    options.width = size.ws_col;
    options.rows = size.ws_row > 6 ? size.ws_row - 5U : 1U;
  }
  return options;
}

std::size_t append(char* data, std::size_t /*one*/, std::size_t size, void* to) {
  auto& out = *static_cast<std::string*>(to);
  if (out.size() + size > kMostBytes) return 0;
  out.append(data, size);
  return size;
}

Result<HealthSnapshot> ask(const Curl& curl, CURL* easy, const HealthAddress& address) {
  std::string body;
  const std::string host = address.path.empty() ? address.host + ":" + std::to_string(address.port) : "localhost";
  const std::string url =
      "http://" + (address.host == "::1" ? "[::1]:" + std::to_string(address.port) : host) + "/services";
  curl.easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl.easy_setopt(easy, CURLOPT_PROXY, "");
  if (!address.path.empty()) curl.easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, address.path.c_str());
  curl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
  curl.easy_setopt(easy, CURLOPT_WRITEDATA, &body);
  const CURLcode code = curl.easy_perform(easy);
  if (code != CURLE_OK) {
    return Error{"ask " + (address.path.empty() ? url : address.path) + ": " + curl.easy_strerror(code), 0,
                 "Does an agent run there with health.listen set?"};
  }
  return health_from_json(body);
}

}  // namespace

void TopScreen::show(HealthSnapshot now) {
  // Home, and clear what lies below: a whole screen at once does not flicker.
  if (redraw_) std::cout << "\x1b[H\x1b[J";
  std::cout << top_view(before_, now, for_terminal()) << std::flush;
  before_ = std::move(now);
}

namespace commands {

int top(const TopFlags& flags) {
  const auto failed = [](const Error& error) {
    std::cerr << "wirespan top: " << error.text() << "\n";
    return 1;
  };
  const auto address = parse_health_address(flags.connect);
  if (!address) return failed(address.error());
  const auto interval = parse_limit(flags.interval);
  if (!interval) return failed(interval.error());
  const auto curl = Curl::load();
  if (!curl) return failed(curl.error());
  const std::unique_ptr<CURL, decltype(Curl::easy_cleanup)> easy((*curl)->easy_init(), (*curl)->easy_cleanup);
  if (!easy) return failed({"start libcurl", 0, {}});
  TopScreen screen(!flags.once && isatty(STDOUT_FILENO) == 1);
  while (std::cout.good()) {
    auto now = ask(**curl, easy.get(), *address);
    if (!now) return failed(now.error());
    screen.show(std::move(*now));
    if (flags.once) return 0;
    std::this_thread::sleep_for(*interval);
  }
  return 0;
}

}  // namespace commands
}  // namespace wirespan
