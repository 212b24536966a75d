#include "agent/enrich/otel_env.h"

#include <optional>

#include "base/text.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostAttributes = 64;
constexpr std::size_t kMostValue = 1024;

std::optional<std::string_view> value_of(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    const std::string_view view = entry;
    if (view.size() > name.size() && view.starts_with(name) && view[name.size()] == '=') {
      return view.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

}  // namespace

bool parse_resource_attributes(std::string_view text, std::vector<std::pair<std::string, std::string>>& out) {
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view pair = trim(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos || out.size() == kMostAttributes) return false;
    const std::string_view key = trim(pair.substr(0, equals));
    auto value = percent_decode(trim(pair.substr(equals + 1)));
    if (key.empty() || key.size() > 255 || !value || value->size() > kMostValue) return false;
    out.emplace_back(key, std::move(*value));
  }
  return true;
}

OtelEnv parse_otel_env(const std::vector<std::string>& environment) {
  OtelEnv out;
  if (const auto text = value_of(environment, "OTEL_RESOURCE_ATTRIBUTES")) {
    std::vector<std::pair<std::string, std::string>> all;
    if (parse_resource_attributes(*text, all)) {
      for (auto& [key, value] : all) {
        if (key == "service.name") {
          out.service = std::move(value);
        } else {
          out.attributes.emplace_back(std::move(key), std::move(value));
        }
      }
    }
  }
  // OTEL_SERVICE_NAME goes before service.name in the attributes.
  if (const auto name = value_of(environment, "OTEL_SERVICE_NAME"); name && !trim(*name).empty()) {
    out.service = trim(*name);
  }
  return out;
}

}  // namespace wirespan
