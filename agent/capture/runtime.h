// What runs a process: decides which evidence about its threads can be believed.
#pragma once

#include <cstdint>
#include <string>

namespace wirespan {

// "go1.22.1", "jvm", "node", "python", "ruby", "php", "dotnet", or "". Reads the executable's ELF sections and
// /proc/PID/maps only where its name does not tell.
[[nodiscard]] std::string runtime_of(std::uint32_t pid, const std::string& exe);

}  // namespace wirespan
