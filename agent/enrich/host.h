// Reads the facts of the host this runs on.
#pragma once

#include <string_view>

#include "model/host.h"

namespace wirespan {

// Never fails: what cannot be read stays empty. `root` is "" or where the host's file system is mounted (a container
// with the host under /host), without a slash at its end.
[[nodiscard]] HostFacts read_host_facts(std::string_view agent_version, std::string_view root = "");

// uname's machine as host.arch spells it: "x86_64" -> "amd64".
[[nodiscard]] std::string_view conventional_arch(std::string_view machine);

}  // namespace wirespan
