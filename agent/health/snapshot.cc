#include "agent/health/snapshot.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace wirespan {
namespace {

constexpr std::uint64_t kUnitNs = 1000;

}  // namespace

std::size_t LatencyHistogram::slot_of(std::uint64_t ns) {
  const std::uint64_t units = ns / kUnitNs;
  if (units == 0) return 0;
  const auto octave = static_cast<std::size_t>(std::bit_width(units)) - 1;
  const std::uint64_t within = octave >= 2 ? (units >> (octave - 2)) & 3U : (units << (2 - octave)) & 3U;
  return std::min(octave * kPerOctave + within, kSlots - 1);
}

std::uint64_t LatencyHistogram::upper_ns(std::size_t slot) {
  const auto octave = slot / kPerOctave;
  const auto within = slot % kPerOctave;
  return ((kPerOctave + within + 1) * kUnitNs << octave) / kPerOctave;
}

std::uint64_t LatencyHistogram::count() const {
  return std::accumulate(slots_.begin(), slots_.end(), std::uint64_t{0});
}

std::uint64_t LatencyHistogram::quantile(double share) const {
  const std::uint64_t all = count();
  if (all == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kSlots; ++i) {
    seen += slots_[i];
    if (seen >= std::max<std::uint64_t>(wanted, 1)) return upper_ns(i);
  }
  return upper_ns(kSlots - 1);
}

LatencyHistogram LatencyHistogram::since(const LatencyHistogram& before) const {
  LatencyHistogram out;
  for (std::size_t i = 0; i < kSlots; ++i) {
    out.slots_[i] = slots_[i] >= before.slots_[i] ? slots_[i] - before.slots_[i] : slots_[i];
  }
  return out;
}

std::uint64_t HealthSnapshot::counter(std::string_view name) const {
  const auto it = counters.find(name);
  return it == counters.end() ? 0 : it->second;
}

std::string to_json(const HealthSnapshot& snapshot) {
  nlohmann::ordered_json json;
  json["version"] = snapshot.version;
  json["uptime_s"] = snapshot.uptime_s;
  json["stalled"] = snapshot.stalled;
  json["counters"] = snapshot.counters;
  json["services"] = nlohmann::ordered_json::array();
  for (const ServiceHealth& service : snapshot.services) {
    nlohmann::ordered_json latency = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < LatencyHistogram::kSlots; ++i) {
      if (service.latency.slots()[i] != 0) latency[std::to_string(i)] = service.latency.slots()[i];
    }
    json["services"].push_back({{"name", service.name},
                                {"requests", service.requests},
                                {"errors", service.errors},
                                {"calls", service.calls},
                                {"sampled_out", service.sampled_out},
                                {"latency", latency},
                                {"links", service.links}});
  }
  // Names come from the wire.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<HealthSnapshot> health_from_json(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    HealthSnapshot snapshot;
    snapshot.version = json.at("version").get<std::string>();
    snapshot.uptime_s = json.at("uptime_s").get<double>();
    snapshot.stalled = json.at("stalled").get<bool>();
    for (const auto& [name, value] : json.at("counters").items()) {
      snapshot.counters[name] = value.get<std::uint64_t>();
    }
    for (const auto& from : json.at("services")) {
      ServiceHealth service;
      service.name = from.at("name").get<std::string>();
      service.requests = from.at("requests").get<std::uint64_t>();
      service.errors = from.at("errors").get<std::uint64_t>();
      service.calls = from.at("calls").get<std::uint64_t>();
      service.sampled_out = from.at("sampled_out").get<std::uint64_t>();
      for (const auto& [slot, count] : from.at("latency").items()) {
        service.latency.slots().at(std::stoul(slot)) = count.get<std::uint64_t>();
      }
      for (const auto& [method, count] : from.at("links").items()) service.links[method] = count.get<std::uint64_t>();
      snapshot.services.push_back(std::move(service));
    }
    return snapshot;
  } catch (const std::exception& error) {
    return Error{std::string("not what a wirespan says of its health: ") + error.what(), 0, {}};
  }
}

}  // namespace wirespan
