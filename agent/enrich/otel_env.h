// What a process says about itself in OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES (OpenTelemetry specification,
// "Resource SDK"). Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace wirespan {

struct OtelEnv {
  std::string service;                                          // "" when it does not say
  std::vector<std::pair<std::string, std::string>> attributes;  // without service.name; at most 64
};

// `environment` has entries "NAME=value". A malformed OTEL_RESOURCE_ATTRIBUTES is dropped whole, as the specification
// asks.
[[nodiscard]] OtelEnv parse_otel_env(const std::vector<std::string>& environment);

// "key=value,key=value", values percent-encoded. False when malformed; `out` then has what was before the error.
[[nodiscard]] bool parse_resource_attributes(std::string_view text,
                                             std::vector<std::pair<std::string, std::string>>& out);

}  // namespace wirespan
