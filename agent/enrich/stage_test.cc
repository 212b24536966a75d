#include "agent/enrich/stage.h"

#include <gtest/gtest.h>

#include <vector>

#include "agent/enrich/network.h"

namespace wirespan {
namespace {

Address ip4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint16_t port) {
  Address out;
  out.family = Address::Family::kIpv4;
  out.ip = {a, b, c, d};
  out.port = port;
  return out;
}

Address ip6(std::array<std::uint8_t, 16> ip, std::uint16_t port) {
  Address out;
  out.family = Address::Family::kIpv6;
  out.ip = ip;
  out.port = port;
  return out;
}

std::int64_t number(const Attributes& a, std::string_view key) {
  const auto found = a.find(key);
  return found ? std::get<std::int64_t>(*found) : -1;
}

TEST(Network, TcpClient) {
  Connection c;
  c.local = ip4(10, 0, 0, 5, 40000);
  c.remote = ip4(192, 168, 100, 255, 8080);
  Attributes a;
  add_network_attributes(c, SpanRole::kClient, a);
  EXPECT_EQ(a.text("network.transport"), "tcp");
  EXPECT_EQ(a.text("network.type"), "ipv4");
  EXPECT_EQ(a.text("network.peer.address"), "192.168.100.255");
  EXPECT_EQ(number(a, "network.peer.port"), 8080);
  EXPECT_EQ(a.text("network.local.address"), "10.0.0.5");
  EXPECT_EQ(number(a, "network.local.port"), 40000);
  EXPECT_EQ(a.text("server.address"), "192.168.100.255");
  EXPECT_EQ(number(a, "server.port"), 8080);
  EXPECT_FALSE(a.find("client.address"));
}

TEST(Network, WhatTheProtocolKnowsStays) {
  Connection c;
  c.local = ip4(10, 0, 0, 5, 40000);
  c.remote = ip4(10, 0, 0, 6, 8080);
  Attributes a;
  a.set("server.address", "orders.example");
  a.set("http.request.header.x-forwarded-for", "198.51.100.1");
  add_network_attributes(c, SpanRole::kClient, a);
  EXPECT_EQ(a.text("server.address"), "orders.example");
  EXPECT_FALSE(a.find("server.port"));
  Attributes server;
  server.set("http.request.header.x-forwarded-for", "198.51.100.1");
  add_network_attributes(c, SpanRole::kServer, server);
  EXPECT_EQ(server.text("client.address"), "10.0.0.6") << "anybody can write X-Forwarded-For";
}

TEST(Network, Ipv6AndMapped) {
  Connection c;
  c.local = ip6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 80);
  c.remote = ip6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, 4000);
  Attributes a;
  add_network_attributes(c, SpanRole::kServer, a);
  EXPECT_EQ(a.text("network.type"), "ipv6");
  EXPECT_EQ(a.text("network.peer.address"), "2001:db8::2");
  c.remote = ip6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}, 4000);
  Attributes mapped;
  add_network_attributes(c, SpanRole::kServer, mapped);
  EXPECT_EQ(mapped.text("network.type"), "ipv4");
  EXPECT_EQ(mapped.text("network.peer.address"), "127.0.0.1");
}

TEST(Network, UnixSocket) {
  Connection c;
  c.transport = Transport::kUnix;
  c.remote.family = Address::Family::kUnix;
  c.remote.path = "/run/app.sock";
  Attributes client;
  add_network_attributes(c, SpanRole::kClient, client);
  EXPECT_EQ(client.text("network.transport"), "unix");
  EXPECT_EQ(client.text("network.peer.address"), "/run/app.sock");
  EXPECT_FALSE(client.find("network.type"));
  EXPECT_FALSE(client.find("network.peer.port"));
  std::swap(c.local, c.remote);
  Attributes server;
  add_network_attributes(c, SpanRole::kServer, server);
  EXPECT_EQ(server.text("network.local.address"), "/run/app.sock");
  EXPECT_FALSE(server.find("network.peer.address"));
}

TEST(Network, AddressTextIsWhatInetNtopWrites) {
  for (const auto& a :
       {ip4(0, 0, 0, 0, 1), ip4(255, 255, 255, 255, 1), ip4(1, 10, 100, 9, 1), ip4(200, 20, 2, 99, 1)}) {
    EXPECT_EQ(address_text(a), a.ip_text());
  }
  EXPECT_EQ(address_text(Address{}), "");
}

struct Collect : Sink<Span> {
  void accept(const Span& span) override { spans.push_back(span); }
  std::vector<Span> spans;
};

TEST(EnrichStage, AddsAndHidesAndLeavesTheRest) {
  Collect out;
  Counters counters;
  EnrichStage enrich(out, {}, counters);
  auto connection = std::make_shared<Connection>();
  connection->local = ip4(10, 0, 0, 5, 40000);
  connection->remote = ip4(10, 0, 0, 6, 80);
  Span span;
  span.id = SpanId::from_u64(7);
  span.name = "GET /x";
  span.connection = connection;
  span.attributes.set("url.query", "token=abc");
  enrich.accept(span);
  span.connection = nullptr;
  span.attributes.clear();
  span.attributes.set("http.response.status_code", 204);
  enrich.accept(span);
  ASSERT_EQ(out.spans.size(), 2U);
  EXPECT_EQ(out.spans[0].id, span.id);
  EXPECT_EQ(out.spans[0].attributes.text("url.query"), "token=REDACTED");
  EXPECT_EQ(out.spans[0].attributes.text("network.peer.address"), "10.0.0.6");
  EXPECT_EQ(out.spans[1].attributes.size(), 1U) << "nothing of the span before";
  span.attributes.set("url.query", "token=abc");
  enrich.take(std::move(span));
  ASSERT_EQ(out.spans.size(), 3U);
  EXPECT_EQ(out.spans[2].attributes.text("url.query"), "token=REDACTED");
}

}  // namespace
}  // namespace wirespan
