// From a file, the environment and flags to a Config, with the origin of every value.
//
// Stronger first: flags, environment variables, file, defaults. The OpenTelemetry specification lets a configuration
// file silence the environment; wirespan does as agents do, so that one file can be mounted everywhere and a variable
// adjust it. Values in the file may name variables as the specification says: ${NAME}, ${env:NAME}, ${NAME:-default},
// $$ for $.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "base/result.h"

namespace wirespan {

struct Origin {
  enum class Kind : std::uint8_t { kDefault, kFile, kEnvironment, kFlag } kind = Kind::kDefault;
  std::string where;  // "wirespan.yaml:7", "OTEL_SERVICE_NAME", "--port"; "" for defaults

  [[nodiscard]] std::string text() const { return kind == Kind::kDefault ? "default" : where; }
};

struct ConfigOverride {
  std::string key;   // "selectors.ports"
  std::string text;  // as an environment variable would have it: lists with commas
  std::string flag;  // "--port", for messages
};

struct ConfigSources {
  using Lookup = std::function<std::optional<std::string>(std::string_view name)>;

  std::string file;                       // "" for none
  Lookup environment;                     // empty for none
  std::vector<ConfigOverride> overrides;  // of one key: the last wins, lists are put together
  Texts evidence;                         // names allowed in link.evidence; empty: any
};

struct LoadedConfig {
  Config config;
  std::map<std::string, Origin, std::less<>> origins;  // of every key in the schema
  // Variables that were ignored because their value is wrong (the specification wants that, not a refusal).
  Texts warnings;
};

// The error has a line for every mistake in the file and the flags, each "file:line: key: what; allowed: ...".
[[nodiscard]] Result<LoadedConfig> load_config(const ConfigSources& sources);

// The same from text; `name` stands for the file in messages.
[[nodiscard]] Result<LoadedConfig> load_config_text(std::string_view yaml, const std::string& name,
                                                    const ConfigSources& sources);

}  // namespace wirespan
