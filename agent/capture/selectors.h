// Which processes to trace: any selector that matches, children included.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wirespan {

struct Selectors {
  std::vector<std::uint32_t> pids;
  std::vector<std::string> cgroups;    // directories below /sys/fs/cgroup, absolute or relative to it
  std::vector<std::string> exe_globs;  // fnmatch over the executable's path, or its file name when there is no '/'
  std::vector<std::uint16_t> ports;    // whoever listens there (TCP)
  bool all = false;                    // every process but the agent

  [[nodiscard]] bool empty() const {
    return pids.empty() && cgroups.empty() && exe_globs.empty() && ports.empty() && !all;
  }
};

}  // namespace wirespan
