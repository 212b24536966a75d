#include "agent/capture/conn_reaper.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace wirespan {
namespace {

constexpr std::int64_t kUnixIdleNs = 1'000'000'000;
constexpr std::int64_t kEvictIdleNs = 1'000'000'000;

}  // namespace

void ConnReaper::reap_exited() {
  if (exited_.empty()) return;
  reap_unix([this](const KnownConn& known) { return exited_.contains(known.conn->pid); });
  exited_.clear();
}

void ConnReaper::reap_idle(BootTime now) {
  reap_unix([&](const KnownConn& known) { return now - known.last > kUnixIdleNs; });
}

void ConnReaper::reap_all() {
  reap_unix([](const KnownConn&) { return true; });
}

// Only those suspected: looking at every descriptor of the host takes milliseconds, and a socket on its way between two
// processes is in no table.
void ConnReaper::reap_unix(const std::function<bool(const KnownConn&)>& suspected) {
  if (conns_.unix_sockets() == 0) return;
  std::vector<std::pair<ConnId, std::uint64_t>> idle;
  conns_.visit([&](ConnId id, const KnownConn& known) {
    if (known.conn->transport == Transport::kUnix && suspected(known)) idle.emplace_back(id, known.sock);
  });
  if (idle.empty()) return;
  auto open = object_.open_connections();
  if (!open) return;
  std::sort(open->begin(), open->end());
  for (const auto& [id, sock] : idle) {
    const auto number = static_cast<std::uint64_t>(id);
    if (!std::binary_search(open->begin(), open->end(), number)) {
      object_.control(WS_CONTROL_CLOSE, sock, number, WS_CLOSED);
    }
  }
}

void ConnReaper::evict_idle(BootTime now) {
  std::vector<std::pair<BootTime, ConnId>> idle;
  conns_.visit([&](ConnId id, const KnownConn& known) {
    if (now - known.last > kEvictIdleNs) idle.emplace_back(known.last, id);
  });
  const std::size_t most = std::max<std::size_t>(conns_.size() / 16, 1);
  if (idle.size() > most) {
    std::nth_element(idle.begin(), idle.begin() + static_cast<std::ptrdiff_t>(most), idle.end());
    idle.resize(most);
  }
  for (const auto& [last, id] : idle) {
    const KnownConn* known = conns_.find(id);
    object_.control(WS_CONTROL_CLOSE, known->sock, static_cast<std::uint64_t>(id), WS_FORGOTTEN);
  }
}

}  // namespace wirespan
