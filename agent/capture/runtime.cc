#include "agent/capture/runtime.h"

#include <array>
#include <string_view>

#include "agent/capture/go_build_info.h"

namespace wirespan {
namespace {

struct Named {
  std::string_view prefix;
  std::string_view runtime;
};
constexpr std::array<Named, 11> kByName{{{"python", "python"},
                                         {"pypy", "python"},
                                         {"node", "node"},
                                         {"nodejs", "node"},
                                         {"ruby", "ruby"},
                                         {"php", "php"},
                                         {"java", "jvm"},
                                         {"dotnet", "dotnet"},
                                         {"uwsgi", "python"},
                                         {"bun", "node"},
                                         {"deno", "node"}}};

}  // namespace

std::string runtime_of(std::uint32_t pid, const std::string& exe, const std::vector<std::string>& /*cmdline*/) {
  const std::string_view name = std::string_view(exe).substr(exe.rfind('/') + 1);
  for (const Named& row : kByName) {
    if (name.starts_with(row.prefix)) return std::string(row.runtime);
  }
  // Through /proc: the path may be of another mount namespace, or deleted.
  return go_version_of("/proc/" + std::to_string(pid) + "/exe");
}

}  // namespace wirespan
