#include "agent/capture/runtime.h"

#include <array>
#include <fstream>
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

// Programs that embed a runtime (servers, launchers with names of their own) map its library.
constexpr std::array<Named, 7> kByLibrary{{{"/libjvm.so", "jvm"},
                                           {"/libnode.so", "node"},
                                           {"/libpython", "python"},
                                           {"/libruby", "ruby"},
                                           {"/libphp", "php"},
                                           {"/mod_php", "php"},
                                           {"/libcoreclr.so", "dotnet"}}};
constexpr std::size_t kMostMaps = 1U << 20U;

// "python3.11", "php-fpm8.2"; but node_exporter is no Node.
bool is_version(std::string_view rest) {
  for (const std::string_view part : {"-fpm", "-cgi"}) {
    if (rest.starts_with(part)) rest.remove_prefix(part.size());
  }
  return rest.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::string runtime_of_libraries(const std::string& maps) {
  std::ifstream in(maps);
  std::size_t read = 0;
  for (std::string line; read < kMostMaps && std::getline(in, line);) {
    read += line.size();
    const std::size_t slash = line.rfind('/');
    if (slash == std::string::npos) continue;
    const std::string_view file = std::string_view(line).substr(slash);
    for (const Named& row : kByLibrary) {
      if (file.starts_with(row.prefix)) return std::string(row.runtime);
    }
  }
  return {};
}

}  // namespace

std::string runtime_of(std::uint32_t pid, const std::string& exe) {
  const std::string_view name = std::string_view(exe).substr(exe.rfind('/') + 1);
  for (const Named& row : kByName) {
    if (name.starts_with(row.prefix) && is_version(name.substr(row.prefix.size()))) return std::string(row.runtime);
  }
  // Through /proc: the path may be of another mount namespace, or deleted.
  const std::string root = "/proc/" + std::to_string(pid);
  if (std::string go = go_version_of(root + "/exe"); !go.empty()) return go;
  return runtime_of_libraries(root + "/maps");
}

}  // namespace wirespan
