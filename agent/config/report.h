// A configuration shown, compared, documented and handed on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/load.h"

namespace wirespan {

// The effective configuration as YAML that can be loaded again, each value with its origin as a comment. Secrets are
// masked.
[[nodiscard]] std::string print_config(const LoadedConfig& loaded);

struct ConfigChange {
  std::string key;
  std::string from;  // as YAML, secrets masked
  std::string to;
  bool live = false;  // false: only after a restart
};
[[nodiscard]] std::vector<ConfigChange> diff_config(const Config& before, const Config& after);

// `after` with every key that needs a restart as it is in `before`: what a reload may take over.
[[nodiscard]] Config live_part(const Config& before, const Config& after);

// docs/configuration.md.
[[nodiscard]] std::string config_reference();

// The value that a standard variable OTEL_EXPORTER_OTLP_* would have to have for what export.otlp says; nullopt when it
// is not set or not such a variable. So the OTLP exporter, which knows those variables, needs to know nothing else.
[[nodiscard]] std::optional<std::string> otlp_variable(const LoadedConfig& loaded, std::string_view name);

// export.to, or where it is empty what follows from what is set; `otherwise` when nothing is. Never has "none".
[[nodiscard]] Texts exporters_of(const Config& config, std::string_view otherwise);

}  // namespace wirespan
