#include "agent/config/report.h"

#include <algorithm>

#include "agent/config/schema.h"
#include "agent/config/values.h"

namespace wirespan {
namespace {

using config::Key;

std::string yaml_of(const Key& key, const Config& from) {
  Config copy = from;
  return config::to_yaml(key.slot(copy), key.form, key.secret);
}

// To compare: masked values are all alike.
std::string exact(const Key& key, const Config& from) {
  Config copy = from;
  return config::to_yaml(key.slot(copy), key.form, false);
}

// Writes the lines "export:", "  otlp:" that lead from one section to the next.
void open_section(std::string_view section, std::string_view before, std::string& out) {
  std::size_t common = 0;
  while (true) {
    const auto end = std::min(section.find('.', common), section.size());
    if (section.substr(0, end) != before.substr(0, end) || (end < before.size() && before[end] != '.')) break;
    if (end == section.size()) return;
    common = end + 1;
  }
  for (std::size_t start = common; start < section.size();) {
    const auto end = std::min(section.find('.', start), section.size());
    const auto depth = static_cast<std::size_t>(
        std::count(section.begin(), section.begin() + static_cast<std::ptrdiff_t>(start), '.'));
    out.append(2 * depth, ' ').append(section.substr(start, end - start)).append(":\n");
    start = end + 1;
  }
}

std::string_view form_name(const Key& key) {
  switch (key.form) {
    case config::Form::kSize:
      return "size";
    case config::Form::kDuration:
      return "duration";
    default:
      return "";
  }
}

}  // namespace

std::string print_config(const LoadedConfig& loaded) {
  std::string out;
  std::string_view section;
  for (const Key& key : config::schema()) {
    const std::string_view here = config::section_of(key.name);
    open_section(here, section, out);
    section = here;
    const auto depth = static_cast<std::size_t>(std::count(key.name.begin(), key.name.end(), '.'));
    std::string line(2 * depth, ' ');
    line.append(key.name.substr(here.empty() ? 0 : here.size() + 1)).append(": ").append(yaml_of(key, loaded.config));
    if (line.size() < 48) line.append(48 - line.size(), ' ');
    const auto origin = loaded.origins.find(key.name);
    out.append(line)
        .append("  # ")
        .append(origin == loaded.origins.end() ? "default" : origin->second.text())
        .append("\n");
  }
  return out;
}

std::vector<ConfigChange> diff_config(const Config& before, const Config& after) {
  std::vector<ConfigChange> changes;
  for (const Key& key : config::schema()) {
    if (exact(key, before) == exact(key, after)) continue;
    changes.push_back({std::string(key.name), yaml_of(key, before), yaml_of(key, after), key.live});
  }
  return changes;
}

Config live_part(const Config& before, const Config& after) {
  Config merged = after;
  for (const Key& key : config::schema()) {
    if (key.live) continue;
    Config old = before;
    const config::Slot to = key.slot(merged);
    std::visit([from = key.slot(old)](auto* value) { *value = *std::get<decltype(value)>(from); }, to);
  }
  return merged;
}

std::string config_reference() {
  std::string out =
      "# Configuration\n\n"
      "`wirespan run --config FILE` and `wirespan trace --config FILE` read YAML. Stronger first: command line, "
      "environment,\n"
      "file, default. (The OpenTelemetry specification lets a configuration file silence the environment; wirespan "
      "does as\n"
      "agents do, so that one file can be mounted everywhere and a variable adjust it.) `--print-config` shows what "
      "holds and\n"
      "where each value comes from.\n\n"
      "- Unknown keys and wrong values are refused with file, line and what is allowed. A wrong value in a variable "
      "is\n"
      "  reported and ignored, as the specification asks.\n"
      "- Values may name variables: `${NAME}`, `${env:NAME}`, `${NAME:-default}`; `$$` is a dollar sign.\n"
      "- Sizes are bytes: `4096`, `4KiB`, `8MiB`. Durations have a unit: `250ms`, `10s`, `5m`, `1h`; without one they "
      "are\n"
      "  milliseconds.\n"
      "- SIGHUP reads the file again. Keys marked *live* change at once, the others are reported and need a restart.\n"
      "- Lists in variables are separated by commas; maps are `a=b,c=d` with percent-encoded values.\n\n"
      "This page is made of the table in `agent/config/schema.cc`; a test holds it to that "
      "(`build/dev/config_reference >\n"
      "docs/configuration.md`).\n";
  LoadedConfig defaults;
  std::string_view section = "-";
  for (const Key& key : config::schema()) {
    const std::string_view here = config::section_of(key.name).empty() ? key.name : config::section_of(key.name);
    if (here != section) {
      out += "\n## " + std::string(here) + "\n\n| key | default | allowed | |\n|---|---|---|---|\n";
      section = here;
    }
    const bool top = config::section_of(key.name).empty();
    const std::string_view name = top ? key.name : key.name.substr(here.size() + 1);
    std::string note(key.doc);
    const auto add = [&note](const std::string& text) { note += (note.empty() ? "" : " ") + text; };
    if (!form_name(key).empty() && note.empty()) note = form_name(key);
    std::string variables;
    for (const std::string_view variable : key.environment) {
      variables += (variables.empty() ? "`" : ", `") + std::string(variable) + "`";
    }
    if (!variables.empty()) add("Variable: " + variables + ".");
    if (key.live) add("*live*");
    out += "| `" + std::string(name) + "` | `" + yaml_of(key, defaults.config) + "` | " + config::allowed(key) + " | " +
           note + " |\n";
  }
  return out;
}

std::optional<std::string> otlp_variable(const LoadedConfig& loaded, std::string_view name) {
  constexpr std::string_view kPrefix = "OTEL_EXPORTER_OTLP_";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  for (const Key& key : config::schema()) {
    if (!key.name.starts_with("export.otlp.") || key.environment.empty() || key.environment.front() != name) continue;
    const auto origin = loaded.origins.find(key.name);
    if (origin == loaded.origins.end() || origin->second.kind == Origin::Kind::kDefault) return std::nullopt;
    Config copy = loaded.config;
    const config::Slot slot = key.slot(copy);
    if (const auto* map = std::get_if<TextMap*>(&slot)) return config::to_line(**map);
    if (const auto* text = std::get_if<std::string*>(&slot)) return **text;
    if (const auto* duration = std::get_if<Milliseconds*>(&slot)) return std::to_string((*duration)->count());
    if (const auto* flag = std::get_if<bool*>(&slot)) return **flag ? "true" : "false";
  }
  return std::nullopt;
}

Texts exporters_of(const Config& config, std::string_view otherwise) {
  Texts out = config.exporting.to;
  const bool chosen = !out.empty();
  std::erase(out, "none");
  if (chosen) return out;
  const auto& otlp = config.exporting.otlp;
  if (!otlp.endpoint.empty() || !otlp.traces_endpoint.empty()) out.emplace_back("otlp");
  if (!config.exporting.file.path.empty()) out.emplace_back("file");
  if (out.empty()) out.emplace_back(otherwise);
  return out;
}

}  // namespace wirespan
