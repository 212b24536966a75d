// Exchanges as JSON, for golden files: everything the correlator gets but run-dependent ids.
#pragma once

#include <nlohmann/json.hpp>

#include "model/exchange.h"

namespace wirespan::protocols::testing {

[[nodiscard]] nlohmann::ordered_json to_json(const Exchange& exchange);

// As equal as their JSON, but quickly: split tests compare hundreds of thousands.
[[nodiscard]] bool same(const Exchange& a, const Exchange& b);

}  // namespace wirespan::protocols::testing
