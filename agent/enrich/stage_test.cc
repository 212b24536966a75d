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
  set_network_attributes(c, SpanRole::kClient, false, a);
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
  set_network_attributes(c, SpanRole::kClient, true, a);
  EXPECT_FALSE(a.find("server.address"));
  EXPECT_FALSE(a.find("server.port"));
  EXPECT_EQ(a.text("network.peer.address"), "10.0.0.6");
  Attributes server;
  set_network_attributes(c, SpanRole::kServer, true, server);
  EXPECT_FALSE(server.find("client.address"));
}

TEST(Network, Ipv6AndMapped) {
  Connection c;
  c.local = ip6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 80);
  c.remote = ip6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, 4000);
  Attributes a;
  set_network_attributes(c, SpanRole::kServer, false, a);
  EXPECT_EQ(a.text("network.type"), "ipv6");
  EXPECT_EQ(a.text("network.peer.address"), "2001:db8::2");
  c.remote = ip6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}, 4000);
  Attributes mapped;
  set_network_attributes(c, SpanRole::kServer, false, mapped);
  EXPECT_EQ(mapped.text("network.type"), "ipv4");
  EXPECT_EQ(mapped.text("network.peer.address"), "127.0.0.1");
}

TEST(Network, UnixSocket) {
  Connection c;
  c.transport = Transport::kUnix;
  c.remote.family = Address::Family::kUnix;
  c.remote.path = "/run/app.sock";
  Attributes client;
  set_network_attributes(c, SpanRole::kClient, false, client);
  EXPECT_EQ(client.text("network.transport"), "unix");
  EXPECT_EQ(client.text("network.peer.address"), "/run/app.sock");
  EXPECT_FALSE(client.find("network.type"));
  EXPECT_FALSE(client.find("network.peer.port"));
  std::swap(c.local, c.remote);
  Attributes server;
  set_network_attributes(c, SpanRole::kServer, false, server);
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

std::string_view text(const Span& span, std::string_view key) {
  const auto found = span.find(key);
  return found ? std::get<std::string_view>(*found) : std::string_view();
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
  EXPECT_EQ(text(out.spans[0], "network.peer.address"), "10.0.0.6");
  EXPECT_EQ(out.spans[1].attributes.size(), 1U) << "nothing of the span before";
  EXPECT_EQ(out.spans[1].shared, nullptr);
  span.attributes.set("url.query", "token=abc");
  enrich.take(std::move(span));
  ASSERT_EQ(out.spans.size(), 3U);
  EXPECT_EQ(out.spans[2].attributes.text("url.query"), "token=REDACTED");
}

TEST(EnrichStage, SpansOfAConnectionShareWhatItSays) {
  Collect out;
  Counters counters;
  EnrichStage enrich(out, {}, counters);
  std::vector<std::shared_ptr<Connection>> connections;
  for (std::uint16_t i = 0; i < 5000; ++i) {  // more than are kept
    auto& c = connections.emplace_back(std::make_shared<Connection>());
    c->id = ConnId{i + 1U};
    c->local = ip4(10, 0, 0, 5, i);
    c->remote = ip4(10, 0, 0, 6, 80);
  }
  for (int round = 0; round < 2; ++round) {
    for (const auto& c : connections) {
      Span span;
      span.connection = c;
      span.role = SpanRole::kClient;
      enrich.accept(span);
      enrich.accept(span);
      span.role = SpanRole::kServer;
      enrich.accept(span);
      span.attributes.set("client.address", "192.0.2.1");
      enrich.accept(span);
      ASSERT_EQ(out.spans.size(), 4U);
      EXPECT_EQ(out.spans[0].shared, out.spans[1].shared);
      for (const Span& s : out.spans) {
        EXPECT_EQ(std::get<std::int64_t>(*s.find("network.local.port")), c->local.port);
      }
      EXPECT_EQ(text(out.spans[1], "server.address"), "10.0.0.6");
      EXPECT_EQ(text(out.spans[2], "client.address"), "10.0.0.6");
      EXPECT_EQ(text(out.spans[3], "client.address"), "192.0.2.1");
      EXPECT_FALSE(out.spans[3].shared->find("client.address"));
      out.spans.clear();
    }
  }
}

TEST(EnrichStage, AddressesAreHiddenWhenAskedFor) {
  Collect out;
  Counters counters;
  EnrichStage enrich(out, {}, counters);
  auto connection = std::make_shared<Connection>();
  connection->remote = ip4(10, 0, 0, 6, 80);
  Span span;
  span.connection = connection;
  span.role = SpanRole::kServer;
  enrich.accept(span);
  enrich.set_rules({.keys = {"client.address", "network.peer.address"}});
  enrich.accept(span);
  EXPECT_EQ(text(out.spans[0], "client.address"), "10.0.0.6");
  EXPECT_EQ(text(out.spans[1], "client.address"), "REDACTED");
  EXPECT_EQ(text(out.spans[1], "network.peer.address"), "REDACTED");
}

}  // namespace
}  // namespace wirespan
