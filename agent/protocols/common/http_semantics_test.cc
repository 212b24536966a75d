#include "agent/protocols/common/http_semantics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agent/protocols/common/http_fields.h"
#include "agent/protocols/common/identifiers.h"

namespace wirespan::protocols {
namespace {

struct Asked {
  std::string_view method = "GET";
  std::string_view target = "/";
  std::string_view host = "shop.example";
  Direction direction = Direction::kReceived;
};

class HttpSemanticsTest : public testing::Test {
 protected:
  Message request(const Asked& asked, HttpRequestFacts facts = {}) {
    Message m;
    auto conn = std::make_shared<Connection>();
    conn->remote.family = Address::Family::kIpv4;
    conn->remote.ip = {192, 0, 2, 7};
    conn->remote.port = 8081;
    m.conn = conn;
    m.direction = asked.direction;
    facts.method = asked.method;
    facts.scheme = "http";
    facts.authority = asked.host;
    facts.version = "1.1";
    if (!split_target(asked.target, facts)) facts.path = {};
    HttpSemantics(options).request(m, facts);
    return m;
  }
  Options options;
};

TEST_F(HttpSemanticsTest, ServerSpan) {
  const Message m = request({.target = "/users/42?token=abc&empty=&flag", .host = "shop.example:8080"});
  EXPECT_EQ(m.name, "GET /users/{id}");
  EXPECT_EQ(m.attributes.text("http.request.method"), "GET");
  EXPECT_EQ(m.attributes.text("url.path"), "/users/42");
  EXPECT_EQ(m.attributes.text("url.query"), "token=REDACTED&empty=&REDACTED");
  EXPECT_EQ(m.attributes.text("url.scheme"), "http");
  EXPECT_EQ(m.attributes.text("http.route"), "/users/{id}");
  EXPECT_EQ(m.attributes.text("server.address"), "shop.example");
  EXPECT_EQ(std::get<std::int64_t>(*m.attributes.find("server.port")), 8080);
  EXPECT_FALSE(m.attributes.find("url.full"));
  EXPECT_FALSE(m.attributes.find("url.template"));
}

TEST_F(HttpSemanticsTest, ClientSpanHasFullUrlWithoutCredentials) {
  const Message m = request({.target = "http://user:pw@api.example:99/a/7?k=v#f", .direction = Direction::kSent});
  EXPECT_EQ(m.attributes.text("url.full"), "http://REDACTED:REDACTED@api.example:99/a/7?k=REDACTED");
  EXPECT_EQ(m.attributes.text("url.template"), "/a/{id}");
  EXPECT_EQ(m.attributes.text("server.address"), "api.example");
  EXPECT_FALSE(m.attributes.find("http.route"));
  EXPECT_EQ(request({.target = "/x", .host = "", .direction = Direction::kSent}).attributes.text("url.full"),
            "http://192.0.2.7:8081/x");
  EXPECT_EQ(
      request({.target = "/x", .host = "[2001:db8::1]:80", .direction = Direction::kSent}).attributes.text("url.full"),
      "http://[2001:db8::1]/x");
}

TEST_F(HttpSemanticsTest, UnknownMethodsAreOther) {
  const Message m = request({.method = "BREW", .target = "/pot"});
  EXPECT_EQ(m.attributes.text("http.request.method"), "_OTHER");
  EXPECT_EQ(m.attributes.text("http.request.method_original"), "BREW");
  EXPECT_EQ(m.name, "HTTP /pot");
  EXPECT_EQ(request({.method = "get"}).attributes.text("http.request.method"), "_OTHER");
  EXPECT_EQ(request({.method = "QUERY"}).attributes.text("http.request.method"), "QUERY");
  options.known_methods = {"BREW"};
  EXPECT_EQ(request({.method = "BREW"}).attributes.text("http.request.method"), "BREW");
  EXPECT_EQ(request({.method = "GET"}).attributes.text("http.request.method"), "_OTHER");
}

TEST_F(HttpSemanticsTest, FourFormsOfTarget) {
  EXPECT_EQ(request({.method = "OPTIONS", .target = "*"}).attributes.text("url.path"), "*");
  EXPECT_EQ(request({.method = "OPTIONS", .target = "*"}).name, "OPTIONS");
  const Message tunnel = request({.method = "CONNECT", .target = "db.example:5432"});
  EXPECT_EQ(tunnel.name, "CONNECT");
  EXPECT_EQ(tunnel.attributes.text("server.address"), "db.example");
  EXPECT_EQ(std::get<std::int64_t>(*tunnel.attributes.find("server.port")), 5432);
  EXPECT_FALSE(tunnel.attributes.find("url.path"));
  EXPECT_EQ(request({.target = "HTTPS://other.example"}).attributes.text("url.path"), "/");
  EXPECT_EQ(std::get<std::int64_t>(*request({.target = "https://other.example"}).attributes.find("server.port")), 443);
}

TEST_F(HttpSemanticsTest, ProxiesTellTheOriginalRequest) {
  HttpRequestFacts facts;
  facts.forwarded = "for=\"[2001:db8:cafe::17]:4711\";proto=https;host=shop.example:8443, for=10.0.0.1";
  Message m = request({.host = "10.0.0.5"}, facts);
  EXPECT_EQ(m.attributes.text("url.scheme"), "https");
  EXPECT_EQ(m.attributes.text("server.address"), "shop.example");
  EXPECT_EQ(m.attributes.text("client.address"), "2001:db8:cafe::17");

  facts = {};
  facts.x_forwarded_for = "203.0.113.9, 10.0.0.2";
  facts.x_forwarded_proto = "https";
  facts.x_forwarded_host = "www.example";
  m = request({.host = "10.0.0.5"}, facts);
  EXPECT_EQ(m.attributes.text("client.address"), "203.0.113.9");
  EXPECT_EQ(m.attributes.text("server.address"), "www.example");
  EXPECT_EQ(std::get<std::int64_t>(*m.attributes.find("server.port")), 443);
  // What a client sends about itself says nothing about the span of that client.
  m = request({.host = "10.0.0.5", .direction = Direction::kSent}, facts);
  EXPECT_FALSE(m.attributes.find("client.address"));
  EXPECT_EQ(m.attributes.text("server.address"), "10.0.0.5");

  facts = {};
  facts.forwarded = "for=unknown";
  facts.x_forwarded_for = "_hidden";
  EXPECT_FALSE(request({}, facts).attributes.find("client.address"));
}

TEST_F(HttpSemanticsTest, SecretsInPathsAndQueriesAreNotExported) {
  Message m = request({.target = "/pay;jsessionid=5F00AA/x?a=1&b=two"});
  EXPECT_EQ(m.attributes.text("url.path"), "/pay;jsessionid=REDACTED/x");
  EXPECT_EQ(m.attributes.text("url.query"), "a=REDACTED&b=REDACTED");
  options.query_values = true;
  m = request({.target = "/x?a=1&b=two"});
  EXPECT_EQ(m.attributes.text("url.query"), "a=1&b=two");
}

TEST_F(HttpSemanticsTest, HostileInputStaysSmallAndValid) {
  const std::string path = "/" + std::string(100000, '\xff');
  const std::string query(100000, '&');
  const std::string target = path + "?" + query;
  const std::string host(100000, 'h');
  const Message m = request({.target = target, .host = host});
  EXPECT_LE(m.attributes.text("url.path").size(), 2048U);
  EXPECT_LE(m.attributes.text("url.query").size(), 4096U);
  EXPECT_FALSE(m.attributes.find("server.address"));
  EXPECT_LE(m.name.size(), 600U);
}

TEST_F(HttpSemanticsTest, ErrorsAreByRole) {
  const auto flags = [&](unsigned status) {
    Message m;
    HttpSemantics(options).response(m, status);
    return std::make_tuple(m.client_error, m.server_error, m.error_type);
  };
  EXPECT_EQ(flags(200), std::make_tuple(false, false, ""));
  EXPECT_EQ(flags(302), std::make_tuple(false, false, ""));
  EXPECT_EQ(flags(404), std::make_tuple(true, false, "404"));
  EXPECT_EQ(flags(503), std::make_tuple(true, true, "503"));
}

TEST(HttpFields, AreFoundInAnyCase) {
  EXPECT_EQ(http_field("HOST").field, HttpField::kHost);
  EXPECT_EQ(http_field("content-Length").field, HttpField::kContentLength);
  EXPECT_EQ(http_field("Traceparent").name, "traceparent");
  for (const char* name : {"traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid",
                           "x-b3-sampled", "x-b3-flags", "uber-trace-id", "x-amzn-trace-id", "sw8", "x-request-id",
                           "x-correlation-id", "grpc-trace-bin"}) {
    EXPECT_EQ(http_field(name).field, HttpField::kCarried) << name;
    EXPECT_EQ(http_field(name).name, name);
  }
  for (const char* name : {"", "x", "baggage", "hose", "accept", "x-b3-spanic", "a-name-longer-than-all-of-ours"}) {
    EXPECT_EQ(http_field(name).field, HttpField::kOther) << name;
  }
}

TEST(HttpCarried, IsBounded) {
  Message m;
  for (int i = 0; i < 100; ++i) add_carried(m, "tracestate", "k=v");
  EXPECT_EQ(m.carried.size(), 32U);
  Message large;
  add_carried(large, "tracestate", std::string(100000, 'x'));
  EXPECT_TRUE(large.carried.empty());
}

TEST(HttpCarried, WhatStaysTheSameFromHopToHopIsRare) {
  const auto values = [](const char* name, const char* value) {
    Message m;
    add_carried(m, name, value);
    return m.rare_values;
  };
  for (const char* name : {"x-request-id", "x-correlation-id", "x-order"}) {
    EXPECT_EQ(values(name, "7f3a9c0012"), std::vector{token_hash("7f3a9c0012")}) << name;
  }
  EXPECT_TRUE(values("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").empty());
  // Hop for hop only the segment, the span and the endpoint change.
  EXPECT_EQ(values("sw8", "1-MTYwMDAwMDAwMC4x-c2VnMQ==-3-YQ==-Yg==-Yw==-ZA=="),
            values("sw8", "1-MTYwMDAwMDAwMC4x-c2VnMg==-0-ZQ==-Zg==-Zw==-aA=="));
  EXPECT_FALSE(values("sw8", "1-MTYwMDAwMDAwMC4x-c2VnMQ==-3-YQ==-Yg==-Yw==-ZA==").empty());
}

}  // namespace
}  // namespace wirespan::protocols
