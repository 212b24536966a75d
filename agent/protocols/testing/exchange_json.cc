#include "agent/protocols/testing/exchange_json.h"

#include <utility>
#include <variant>
#include <vector>

namespace wirespan::protocols::testing {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Attributes& attributes) {
  Json out = Json::object();
  attributes.visit([&](std::string_view key, const AttributeValue& value, bool in_array) {
    Json one;
    std::visit([&](const auto& v) { one = v; }, value);
    if (in_array) {
      out[std::string(key)].push_back(one);
    } else {
      out[std::string(key)] = one;
    }
  });
  return out;
}

Json to_json(const Message& m) {
  Json out;
  if (!m.name.empty()) out["name"] = m.name;
  out["position"] = m.position;
  out["first_us"] = m.first_byte.time.ns / 1000;
  out["last_us"] = m.last_byte.time.ns / 1000;
  out["attributes"] = to_json(m.attributes);
  for (const auto& [name, value] : m.carried) out["carried"].push_back(name + ": " + value);
  if (!m.error_type.empty()) out["error_type"] = m.error_type;
  if (m.client_error) out["client_error"] = true;
  if (m.server_error) out["server_error"] = true;
  if (!m.expects_response) out["expects_response"] = false;
  if (!m.incomplete.empty()) out["incomplete"] = m.incomplete;
  if (!m.rare_values.empty()) out["rare_values"] = m.rare_values;
  return out;
}

bool same(const Attributes& a, const Attributes& b) {
  if (a.size() != b.size()) return false;
  std::vector<std::pair<std::string_view, AttributeValue>> left;
  a.visit([&](std::string_view key, const AttributeValue& value, bool) { left.emplace_back(key, value); });
  std::size_t at = 0;
  bool equal = true;
  b.visit([&](std::string_view key, const AttributeValue& value, bool) {
    equal = equal && left[at].first == key && left[at].second == value;
    ++at;
  });
  return equal;
}

bool same(const Message& a, const Message& b) {
  return a.name == b.name && a.position == b.position && a.first_byte.time == b.first_byte.time &&
         a.last_byte.time == b.last_byte.time && same(a.attributes, b.attributes) && a.carried == b.carried &&
         a.error_type == b.error_type && a.client_error == b.client_error && a.server_error == b.server_error &&
         a.expects_response == b.expects_response && a.incomplete == b.incomplete && a.rare_values == b.rare_values;
}

}  // namespace

bool same(const Exchange& a, const Exchange& b) {
  const bool responses =
      (a.response == nullptr) == (b.response == nullptr) && (a.response == nullptr || same(*a.response, *b.response));
  return responses && same(*a.request, *b.request) && a.role == b.role && a.conn->id == b.conn->id && a.key == b.key &&
         a.incomplete == b.incomplete && a.ended == b.ended;
}

nlohmann::ordered_json to_json(const Exchange& exchange) {
  Json out;
  out["role"] = exchange.role == SpanRole::kServer ? "server" : "client";
  out["connection"] = static_cast<std::uint64_t>(exchange.conn->id);
  out["key"] = {exchange.key.a, exchange.key.r, exchange.key.stream};
  out["request"] = to_json(*exchange.request);
  if (exchange.response) out["response"] = to_json(*exchange.response);
  if (!exchange.incomplete.empty()) out["incomplete"] = exchange.incomplete;
  out["ended_us"] = exchange.ended.ns / 1000;
  return out;
}

}  // namespace wirespan::protocols::testing
