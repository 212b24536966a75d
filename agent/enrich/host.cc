#include "agent/enrich/host.h"

#include <sys/utsname.h>

#include <array>
#include <fstream>
#include <string>
#include <utility>

namespace wirespan {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line.size() <= 256 ? line : std::string();
}

// The unified hierarchy's path, else systemd's.
std::string own_cgroup() {
  std::ifstream in("/proc/self/cgroup");
  std::string found;
  for (std::string line; std::getline(in, line);) {
    for (const std::string_view prefix : {"0::", "1:name=systemd:"}) {
      if (line.starts_with(prefix) && line.size() > prefix.size() + found.size()) found = line.substr(prefix.size());
    }
  }
  return found;
}

}  // namespace

std::string_view conventional_arch(std::string_view machine) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kNames = {{{"x86_64", "amd64"},
                                                                                           {"aarch64", "arm64"},
                                                                                           {"i386", "x86"},
                                                                                           {"i686", "x86"},
                                                                                           {"armv7l", "arm32"},
                                                                                           {"ppc64le", "ppc64"},
                                                                                           {"ppc64", "ppc64"},
                                                                                           {"s390x", "s390x"}}};
  for (const auto& [from, to] : kNames) {
    if (machine == from) return to;
  }
  return machine;
}

HostFacts read_host_facts(std::string_view agent_version, std::string_view root) {
  HostFacts facts;
  facts.os_type = "linux";
  facts.agent_version = agent_version;
  utsname names{};
  if (uname(&names) == 0) {
    facts.name = static_cast<const char*>(names.nodename);
    facts.kernel = static_cast<const char*>(names.release);
    facts.arch = conventional_arch(static_cast<const char*>(names.machine));
  }
  const std::string base(root);
  facts.id = first_line(base + "/etc/machine-id");
  if (facts.id.empty()) facts.id = first_line(base + "/var/lib/dbus/machine-id");
  facts.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  facts.agent_cgroup = own_cgroup();
  return facts;
}

}  // namespace wirespan
