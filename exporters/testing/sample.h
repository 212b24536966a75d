// Spans for the exporters' tests and benchmark.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/span.h"

namespace wirespan::sample {

inline constexpr std::uint64_t kMillisecond = 1'000'000;
// 2024-07-03T09:46:40.125Z
inline constexpr std::uint64_t kStart = 1'720'000'000'125'000'000;

inline ProcessInfoPtr process(std::string_view service, std::uint32_t pid = 1234) {
  auto info = std::make_shared<ProcessInfo>();
  info->pid = pid;
  info->service = service;
  info->resource.set("service.name", service);
  info->resource.set("process.pid", pid);
  return info;
}

// `parent` 0: a root. Times in microseconds after kStart.
struct Times {
  std::uint64_t start_us;
  std::uint64_t end_us;
};
inline Span span(const ProcessInfoPtr& process, SpanRole role, std::uint64_t id, std::uint64_t parent,
                 std::string_view name, Times times, std::int64_t status = 200) {
  Span out;
  out.trace = TraceId::from_u64(0x4bf92f3577b34da6, 0xa3ce929d0e0e4736);
  out.id = SpanId::from_u64(id);
  if (parent != 0) out.parent = {.id = SpanId::from_u64(parent), .method = "peer", .confidence = 1};
  out.role = role;
  out.name = name;
  out.start = {kStart + times.start_us * 1000};
  out.end = {kStart + times.end_us * 1000};
  out.attributes.set("http.response.status_code", status);
  if (status >= 500) out.status = SpanStatus::kError;
  out.process = process;
  return out;
}

// A request as the agent sees most: fifteen attributes.
inline Span typical_http(const ProcessInfoPtr& process, std::uint64_t id) {
  Span out = span(process, SpanRole::kServer, id, id + 1, "GET /api/v1/users/{id}/orders", {0, 812});
  out.attributes.set("http.request.method", "GET");
  out.attributes.set("url.path", "/api/v1/users/12345/orders");
  out.attributes.set("url.scheme", "http");
  out.attributes.set("http.route", "/api/v1/users/{id}/orders");
  out.attributes.set("server.address", "shop.example.internal");
  out.attributes.set("server.port", 8080);
  out.attributes.set("client.address", "10.12.13.14");
  out.attributes.set("network.peer.address", "10.12.13.14");
  out.attributes.set("network.peer.port", 40312);
  out.attributes.set("network.local.address", "10.12.13.15");
  out.attributes.set("network.local.port", 8080);
  out.attributes.set("network.protocol.version", "1.1");
  out.attributes.set("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) hey/0.0.1");
  out.attributes.set("http.response.body.size", 5120);
  return out;
}

// Everything a span can carry, and text nobody checked.
inline Span rich() {
  auto info = std::make_shared<ProcessInfo>();
  info->service = "shop";
  info->resource.set("service.name", "shop");
  info->resource.add("process.command_args", "python");
  info->resource.add("process.command_args", "shop.py");
  Span out =
      span(info, SpanRole::kClient, 0x00f067aa0ba902b7, 0x1111111111111111, "GET \"quoted\"\n", {100, 3100}, 503);
  out.parent = {.id = SpanId::from_u64(0x1111111111111111), .method = "thread", .confidence = 0.75};
  out.trace_state = "vendor=value";
  out.status_message = "upstream said \xFF no";
  out.attributes.set("url.path", "/caf\xC3\xA9/\xC0\xAF");
  out.attributes.set("wirespan.ratio", 0.5);
  out.attributes.set("http.request.resend", true);
  out.attributes.set("below.zero", std::int64_t{-7});
  out.attributes.add("http.request.header.accept", "text/html");
  out.attributes.add("http.request.header.accept", "application/json");
  out.events.push_back({.time = {kStart + 200'000}, .name = "first_byte"});
  SpanLink link;
  link.trace = TraceId::from_u64(7, 8);
  link.span = SpanId::from_u64(9);
  link.attributes.set("wirespan.link.method", "timing");
  link.attributes.set("wirespan.link.confidence", 0.62);
  out.links.push_back(link);
  return out;
}

}  // namespace wirespan::sample
