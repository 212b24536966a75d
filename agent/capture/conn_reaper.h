// Ends connections in the kernel's table whose end nobody tells: Unix sockets that nobody has open any more, and, where
// the table is full, those unused for longest.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_set>

#include "agent/capture/bpf_object.h"
#include "agent/capture/conn_table.h"
#include "base/clock.h"

namespace wirespan {

// One thread.
class ConnReaper {
 public:
  ConnReaper(BpfObject& object, ConnTable& conns) : object_(object), conns_(conns) {}

  void exited(std::uint32_t pid) {
    if (conns_.unix_sockets() != 0) exited_.insert(pid);
  }
  // Unix sockets of processes that are gone, at once; of all that have been unused for a while; all of them.
  void reap_exited();
  void reap_idle(BootTime now);
  void reap_all();
  // The kernel's table is full: the connections unused for longest make room. They come back as older ones.
  void evict_idle(BootTime now);

 private:
  void reap_unix(const std::function<bool(const KnownConn&)>& suspected);

  BpfObject& object_;
  ConnTable& conns_;
  std::unordered_set<std::uint32_t> exited_;  // since the last time
};

}  // namespace wirespan
