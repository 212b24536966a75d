// What a cgroup path tells about who runs a process. Pure.
//
// Paths met: systemd units and their slices; Docker, containerd, CRI-O and podman with either cgroup driver, on cgroup
// v1 and v2, alone or below Kubernetes' kubepods; LXC and systemd-nspawn, which put the container's name there.
#pragma once

#include <string>
#include <string_view>

namespace wirespan {

struct CgroupFacts {
  std::string unit;  // systemd service without ".service", unescaped; "" when none or when it only starts others
  std::string container_id;    // 64 hex digits
  std::string container_name;  // where the path has one: LXC, nspawn
  std::string pod_uid;         // Kubernetes
};

[[nodiscard]] CgroupFacts parse_cgroup(std::string_view path);

}  // namespace wirespan
