// The connections user space knows, by id. Bounded: the kernel's table is, and every entry there is at most one here.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/event.h"

namespace wirespan {

struct KnownConn {
  std::shared_ptr<Connection> conn;
  std::uint64_t sock = 0;  // the kernel's key
  BootTime last{};         // last event
  bool spent = false;      // the kernel may hold back further calls of this turn: in spent()
};

// One thread.
class ConnTable {
 public:
  // nullptr when not known. The pointer is valid until the next insert or erase.
  KnownConn* find(ConnId id) {
    const auto it = conns_.find(id);
    return it == conns_.end() ? nullptr : &it->second;
  }
  KnownConn& insert(ConnId id) { return conns_[id]; }
  void erase(ConnId id) {
    const auto it = conns_.find(id);
    if (it == conns_.end()) return;
    if (it->second.conn && it->second.conn->transport == Transport::kUnix) --unix_;
    conns_.erase(it);
  }
  // To be called once for a connection that turned out to be a Unix socket.
  void count_unix() { ++unix_; }
  [[nodiscard]] std::size_t unix_sockets() const { return unix_; }
  [[nodiscard]] std::size_t size() const { return conns_.size(); }

  // Connections whose turn is used up; each is there once.
  void set_spent(ConnId id, KnownConn& known, bool spent) {
    if (spent && !known.spent) spent_.push_back(id);
    known.spent = spent;
  }
  // Hands out the list; connections that are to stay are set spent again.
  [[nodiscard]] std::vector<ConnId> take_spent() { return std::exchange(spent_, {}); }

  template <class Visitor>
  void visit(Visitor&& visitor) {
    for (auto& [id, known] : conns_) visitor(id, known);
  }

 private:
  struct Hash {
    std::size_t operator()(ConnId id) const { return mix64(static_cast<std::uint64_t>(id)); }
  };
  std::unordered_map<ConnId, KnownConn, Hash> conns_;
  std::vector<ConnId> spent_;
  std::size_t unix_ = 0;
};

}  // namespace wirespan
