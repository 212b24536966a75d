// https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
#include <cinttypes>
#include <cstdio>

#include "agent/health/snapshot.h"

namespace wirespan {
namespace {

// Label values: backslash, quote and line feed escaped.
std::string label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string metric_name(std::string_view counter) {
  std::string out = "wirespan_";
  for (const char c : counter) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    out += fine ? c : '_';
  }
  return out;
}

class Page {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    out.append("# TYPE ").append(name).append(" ").append(type).append("\n");
    if (!help.empty()) out.append("# HELP ").append(name).append(" ").append(help).append("\n");
  }
  void sample(std::string_view name, const std::string& labels, std::uint64_t value) {
    out.append(name);
    if (!labels.empty()) out.append("{").append(labels).append("}");
    out.append(" ").append(std::to_string(value)).append("\n");
  }
  std::string out;
};

std::string of_service(const ServiceHealth& service) {
  return "service=\"" + label(service.name) + "\"";
}

void durations(const ServiceHealth& service, Page& page) {
  std::uint64_t seen = 0;
  // A bucket an octave: a page of a thousand services stays small.
  for (std::size_t i = 0; i < LatencyHistogram::kSlots; ++i) {
    seen += service.latency.slots()[i];
    if (i % LatencyHistogram::kPerOctave != LatencyHistogram::kPerOctave - 1) continue;
    char bound[32];
    std::snprintf(bound, sizeof bound, "%.9g", static_cast<double>(LatencyHistogram::upper_ns(i)) / 1e9);
    page.sample("wirespan_service_duration_seconds_bucket", of_service(service) + ",le=\"" + bound + "\"", seen);
  }
  page.sample("wirespan_service_duration_seconds_bucket", of_service(service) + ",le=\"+Inf\"", seen);
  page.sample("wirespan_service_duration_seconds_count", of_service(service), seen);
}

}  // namespace

std::string to_openmetrics(const HealthSnapshot& snapshot) {
  Page page;
  page.family("wirespan_build", "info", "");
  page.sample("wirespan_build_info", "version=\"" + label(snapshot.version) + "\"", 1);
  page.family("wirespan_uptime_seconds", "gauge", "");
  char uptime[32];
  std::snprintf(uptime, sizeof uptime, "wirespan_uptime_seconds %.3f\n", snapshot.uptime_s);
  page.out += uptime;
  // Counters and gauges are kept alike: their type is not known here.
  for (const auto& [name, value] : snapshot.counters) {
    if (name.starts_with("links.")) continue;  // below, with labels
    page.family(metric_name(name), "unknown", "");
    page.sample(metric_name(name), "", value);
  }
  page.family("wirespan_service_requests", "counter",
              "Requests served: seen as spans, or only counted while the governor samples");
  for (const ServiceHealth& service : snapshot.services) {
    page.sample("wirespan_service_requests_total", of_service(service) + ",seen=\"span\"", service.requests);
    page.sample("wirespan_service_requests_total", of_service(service) + ",seen=\"counted\"", service.sampled_out);
  }
  page.family("wirespan_service_errors", "counter", "Of the requests seen as spans");
  for (const ServiceHealth& service : snapshot.services) {
    page.sample("wirespan_service_errors_total", of_service(service), service.errors);
  }
  page.family("wirespan_service_calls", "counter", "Calls made, by how their parent is known; empty: it is not");
  for (const ServiceHealth& service : snapshot.services) {
    for (const auto& [method, count] : service.links) {
      page.sample("wirespan_service_calls_total", of_service(service) + ",method=\"" + label(method) + "\"", count);
    }
  }
  page.family("wirespan_service_duration_seconds", "histogram",
              "Of requests; of those only counted, to the first byte of the answer");
  for (const ServiceHealth& service : snapshot.services) durations(service, page);
  page.out += "# EOF\n";
  return std::move(page.out);
}

}  // namespace wirespan
