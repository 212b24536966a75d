#include "agent/health/top_view.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>
#include <vector>

namespace wirespan {
namespace {

// Names come from the wire and from processes: nothing a terminal would obey.
std::string safe(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f || (c & '\x80') != 0 ? '?' : c;
  return out;
}

std::string fit(std::string text, std::size_t width) {
  if (text.size() > width) {
    text.resize(width);
    if (width > 1) text.back() = '~';
  }
  return text + std::string(width - text.size(), ' ');
}

template <class... Values>
std::string form(const char* format, Values... values) {
  std::array<char, 256> out{};
  const int size = std::snprintf(out.data(), out.size(), format, values...);
  return {out.data(), std::min(static_cast<std::size_t>(std::max(size, 0)), out.size() - 1)};
}

std::string duration(std::uint64_t ns) {
  if (ns == 0) return "-";
  const auto us = static_cast<double>(ns) / 1e3;
  if (us < 1000) return form("%.0f us", us);
  if (us < 1e6) return form("%.3g ms", us / 1e3);
  return form("%.3g s", us / 1e6);
}

struct Row {
  const ServiceHealth* now;
  ServiceHealth fresh;  // since the snapshot before
};

std::uint64_t fresh_of(std::uint64_t now, std::uint64_t before) {
  return now >= before ? now - before : now;
}

Row row_of(const ServiceHealth& now, const HealthSnapshot& before) {
  Row row{&now, now};
  const auto it = std::find_if(before.services.begin(), before.services.end(),
                               [&](const ServiceHealth& s) { return s.name == now.name; });
  if (it == before.services.end()) return row;
  row.fresh.requests = fresh_of(now.requests, it->requests);
  row.fresh.errors = fresh_of(now.errors, it->errors);
  row.fresh.calls = fresh_of(now.calls, it->calls);
  row.fresh.sampled_out = fresh_of(now.sampled_out, it->sampled_out);
  row.fresh.latency = now.latency.since(it->latency);
  for (auto& [method, count] : row.fresh.links) {
    const auto old = it->links.find(method);
    if (old != it->links.end()) count = fresh_of(count, old->second);
  }
  return row;
}

// "98 % thread 90, turn 8": of calls, since the start, for shares of a second mean little.
std::string links_of(const ServiceHealth& service) {
  if (service.calls == 0) return "";
  std::vector<std::pair<std::uint64_t, std::string_view>> methods;
  std::uint64_t linked = 0;
  for (const auto& [method, count] : service.links) {
    if (method.empty()) continue;
    linked += count;
    methods.emplace_back(count, method);
  }
  std::sort(methods.rbegin(), methods.rend());
  const auto percent = [&](std::uint64_t n) {
    return 100.0 * static_cast<double>(n) / static_cast<double>(service.calls);
  };
  std::string out = form("%3.0f%% ", percent(linked));
  for (std::size_t i = 0; i < methods.size() && i < 4; ++i) {
    out.append(i == 0 ? "" : ", ").append(safe(methods[i].second)).append(form(" %.0f", percent(methods[i].first)));
  }
  return out;
}

std::uint64_t losses(const HealthSnapshot& snapshot) {
  std::uint64_t sum = 0;
  for (const auto& [name, value] : snapshot.counters) {
    // Those that count bytes end in ".bytes" or "_bytes"; but that one counts the spans for which there were too many.
    const bool bytes = name.ends_with("bytes") && !name.ends_with(".queue_full_bytes");
    if (name.find(".lost.") != std::string::npos && !bytes) sum += value;
  }
  return sum;
}

}  // namespace

std::string top_view(const HealthSnapshot& before, const HealthSnapshot& now, const TopOptions& options) {
  const double seconds = std::max(now.uptime_s - before.uptime_s, 0.001);
  const auto rate = [&](std::uint64_t n) { return static_cast<double>(n) / seconds; };
  const auto fresh = [&](std::string_view name) { return fresh_of(now.counter(name), before.counter(name)); };
  std::string out = form(
      "wirespan %s  up %.0f s  agent %.1f%% of a core (BPF %.1f%%)  %.1f MB + maps %.1f MB  %.0f events/s  lost %llu "
      "(+%llu)\n",
      safe(now.version).c_str(), now.uptime_s, rate(fresh("self.cpu_ms")) / 10, rate(fresh("self.bpf_ns")) / 1e7,
      static_cast<double>(now.counter("self.rss_kib")) / 1024, static_cast<double>(now.counter("self.map_kib")) / 1024,
      rate(fresh("capture.records")), static_cast<unsigned long long>(losses(now)),
      static_cast<unsigned long long>(fresh_of(losses(now), losses(before))));
  if (now.counter("governor.rung") != 0) {
    out += form("governor: rung %llu, %.3g%% of time captured, %.0f requests/s only counted\n",
                static_cast<unsigned long long>(now.counter("governor.rung")),
                static_cast<double>(now.counter("governor.share_ppm")) / 1e4,
                rate(fresh("governor.sampled_out.requests")));
  }
  if (now.stalled) out += "capture is stalled\n";
  const std::size_t name_width = std::clamp<std::size_t>(options.width / 4, 12, 32);
  const std::string head =
      fit("SERVICE", name_width) + "    REQ/S   ERR%       P50       P99   CALLS/S  COUNTED/S  LINKED, BY";
  out += options.colour ? "\x1b[7m" + fit(head, options.width) + "\x1b[0m\n" : head + "\n";

  std::vector<Row> rows;
  for (const ServiceHealth& service : now.services) rows.push_back(row_of(service, before));
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    const auto weight = [](const Row& r) { return r.fresh.requests + r.fresh.sampled_out + r.fresh.calls; };
    return weight(a) != weight(b) ? weight(a) > weight(b) : a.now->name < b.now->name;
  });
  if (rows.size() > options.rows) rows.resize(options.rows);
  for (const Row& row : rows) {
    const ServiceHealth& f = row.fresh;
    const double errors = f.requests == 0 ? 0 : 100.0 * static_cast<double>(f.errors) / static_cast<double>(f.requests);
    std::string line = fit(safe(row.now->name), name_width);
    line +=
        form(" %8.1f %6.1f %9s %9s %9.1f %10.1f  ", rate(f.requests), errors, duration(f.latency.quantile(0.5)).c_str(),
             duration(f.latency.quantile(0.99)).c_str(), rate(f.calls), rate(f.sampled_out));
    line += links_of(*row.now);
    if (line.size() > options.width) line.resize(options.width);
    out += line + "\n";
  }
  return out;
}

}  // namespace wirespan
