// The facts of the host that every resource carries. Plain text, read once in live mode and kept in a recording, so
// that a replay elsewhere gives the same spans.
#pragma once

#include <string>

namespace wirespan {

struct HostFacts {
  std::string name;           // uname nodename
  std::string id;             // /etc/machine-id; "" when there is none
  std::string boot_id;        // /proc/sys/kernel/random/boot_id: process start times count from a boot
  std::string arch;           // as semantic conventions spell it: "amd64", "arm64", ...
  std::string os_type;        // "linux"
  std::string kernel;         // uname release
  std::string agent_version;  // of the wirespan that saw it
  std::string agent_cgroup;   // wirespan's own: a unit it shares with a service was not made for that service
};

}  // namespace wirespan
