#include "agent/commands/flags.h"

#include <CLI/CLI.hpp>
#include <cmath>

#include "agent/commands/settings.h"
#include "correlator/evidence/evidence.h"

namespace wirespan {

void Flags::add_selectors(CLI::App& app) {
  app.add_option("--pid", pids, "trace this process and its children (repeatable)");
  app.add_option("--cgroup", cgroups, "trace every process in this cgroup: a path below /sys/fs/cgroup (repeatable)");
  app.add_option("--exe", exe, "trace processes whose executable matches this glob (repeatable)");
  app.add_option("--port", ports, "trace processes that listen on this TCP port (repeatable)");
  app.add_flag("--all", all, "trace every process of the host");
  app.add_option("--config", config_file, "YAML file; see docs/configuration.md");
  app.add_option("--for", limit, "stop after this time: 30s, 5m, ...");
}

void Flags::add_outputs(CLI::App& app) {
  app.add_option("--json", json_file, "write OTLP/JSON lines to this file, - for standard output");
  app.add_option("--otlp", otlp_url, "send OTLP to this URL (http://host:4318, grpc://host:4317)");
  app.add_flag("--console", console, "print every trace as a tree");
  app.add_flag("--print-config", print_config, "print the effective configuration and where each value comes from");
}

Result<LoadedConfig> Flags::load() const {
  ConfigSources sources;
  sources.file = config_file;
  sources.environment = environment;
  for (const auto& evidence : all_evidence()) sources.evidence.emplace_back(evidence->name());
  sources.evidence.emplace_back("inferred");
  const auto set = [&](std::string_view key, const std::vector<std::string>& values, std::string_view flag) {
    for (const std::string& value : values) sources.overrides.push_back({std::string(key), value, std::string(flag)});
  };
  set("selectors.pids", pids, "--pid");
  set("selectors.cgroups", cgroups, "--cgroup");
  set("selectors.exe", exe, "--exe");
  set("selectors.ports", ports, "--port");
  if (all) set("selectors.all", {"true"}, "--all");
  if (!json_file.empty()) {
    set("export.file.path", {json_file}, "--json");
    set("export.to", {"file"}, "--json");
  }
  if (!otlp_url.empty()) set("export.to", {"otlp"}, "--otlp");
  if (console) set("export.to", {"console"}, "--console");
  return load_config(sources);
}

Result<std::optional<std::chrono::milliseconds>> Flags::time_limit() const {
  if (limit.empty()) return std::optional<std::chrono::milliseconds>();
  const auto parsed = parse_limit(limit);
  if (!parsed) return parsed.error();
  return std::optional<std::chrono::milliseconds>(*parsed);
}

Result<std::chrono::milliseconds> parse_limit(const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const double factor = unit == "ms"                  ? 1
                        : unit == "s" || unit.empty() ? 1e3
                        : unit == "m"                 ? 60e3
                        : unit == "h"                 ? 3600e3
                                                      : 0;
  if (used == 0 || factor == 0 || !std::isfinite(value) || value < 0 || value * factor > 1e12) {
    return Error{"--for " + text + " is not a time", 0, "Write it as 500ms, 30s, 5m or 1h."};
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(value * factor));
}

}  // namespace wirespan
