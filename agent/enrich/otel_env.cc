#include "agent/enrich/otel_env.h"

#include <optional>

namespace wirespan {
namespace {

constexpr std::size_t kMostAttributes = 64;
constexpr std::size_t kMostValue = 1024;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<int> digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const auto high = digit(text[i + 1]);
    const auto low = digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    out.push_back(static_cast<char>(*high * 16 + *low));
    i += 2;
  }
  return out;
}

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
