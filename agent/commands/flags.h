// The flags that trace, record and run share, turned into overrides of the configuration.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "agent/config/load.h"
#include "base/result.h"

namespace CLI {
class App;
}

namespace wirespan {

struct Flags {
  std::vector<std::string> pids, cgroups, exe, ports;
  bool all = false;
  std::string config_file;
  std::string limit;  // --for
  std::string json_file, otlp_url;
  bool console = false;
  bool print_config = false;
  std::vector<std::string> command;

  void add_selectors(CLI::App& app);
  void add_outputs(CLI::App& app);

  [[nodiscard]] Result<LoadedConfig> load() const;
  [[nodiscard]] Result<std::optional<std::chrono::milliseconds>> time_limit() const;
};

// "30s", "500ms", "2m", "1h"; a bare number is seconds, as sleep(1) has it.
[[nodiscard]] Result<std::chrono::milliseconds> parse_limit(const std::string& text);

}  // namespace wirespan
