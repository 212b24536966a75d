#include "agent/protocols/fastcgi/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace wirespan::fastcgi {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::string pairs(const std::vector<std::pair<std::string, std::string>>& all) {
  std::string out;
  const auto length = [&](std::size_t size) {
    if (size < 128) {
      out.push_back(static_cast<char>(size));
      return;
    }
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
      out.push_back(static_cast<char>((size >> shift) | (shift == 24U ? 0x80U : 0U)));
    }
  };
  for (const auto& [name, value] : all) {
    length(name.size());
    length(value.size());
    out += name + value;
  }
  return out;
}

class FastCgiHead : public testing::Test {
 protected:
  const RequestHead& params(const std::string& bytes) {
    text_ = bytes;
    parse_params(text_, wanted_, request_);
    return request_;
  }
  const ResponseHead& response(const std::string& text, bool complete = true) {
    text_ = text;
    parse_response(text_, complete, wanted_, response_);
    return response_;
  }

 private:
  protocols::HttpHeaderList wanted_{"http.header.", {"X-Shop", "Content-Type"}, {"x-order-id"}};
  std::string text_;
  RequestHead request_;
  ResponseHead response_;
};

TEST_F(FastCgiHead, VariablesOfNginx) {
  const RequestHead& head = params(pairs({{"QUERY_STRING", "a=b"},
                                          {"REQUEST_METHOD", "POST"},
                                          {"CONTENT_LENGTH", "12"},
                                          {"SCRIPT_NAME", "/index.php"},
                                          {"REQUEST_URI", "/users/42?a=b"},
                                          {"SERVER_PROTOCOL", "HTTP/2.0"},
                                          {"REQUEST_SCHEME", "https"},
                                          {"REMOTE_ADDR", "192.0.2.7"},
                                          {"SERVER_NAME", "_"},
                                          {"HTTP_HOST", "shop.example"},
                                          {"HTTP_USER_AGENT", "t/1"},
                                          {"HTTP_COOKIE", std::string(300, 'c')},
                                          {"HTTP_X_SHOP", "7"}}));
  EXPECT_EQ(head.facts.method, "POST");
  EXPECT_EQ(head.facts.path, "/users/42");
  EXPECT_EQ(head.facts.query, "a=b");
  EXPECT_EQ(head.facts.version, "2");
  EXPECT_EQ(head.facts.scheme, "https");
  EXPECT_EQ(head.facts.authority, "shop.example");
  EXPECT_EQ(head.facts.user_agent, "t/1");
  EXPECT_EQ(head.facts.client, "192.0.2.7");
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_THAT(head.captured, ElementsAre(Pair("http.header.x-shop", "7")));
}

TEST_F(FastCgiHead, IdentitiesComeAsInHttp) {
  const RequestHead& head = params(pairs({{"HTTP_TRACEPARENT", "00-1"},
                                          {"HTTP_B3", "0"},
                                          {"HTTP_X_REQUEST_ID", "r"},
                                          {"HTTP_X_ORDER_ID", "o"},
                                          {"HTTP_PROXY", "no"}}));
  EXPECT_THAT(head.carried, ElementsAre(Pair("traceparent", "00-1"), Pair("b3", "0"), Pair("x-request-id", "r"),
                                        Pair("x-order-id", "o")));
}

TEST_F(FastCgiHead, WithoutRequestUriAndHost) {
  const RequestHead& head = params(pairs({{"SCRIPT_NAME", "/index.php"},
                                          {"PATH_INFO", "/users/7"},
                                          {"QUERY_STRING", "q=1"},
                                          {"SERVER_NAME", "::1"},
                                          {"SERVER_PORT", "8080"},
                                          {"HTTPS", "on"}}));
  EXPECT_EQ(head.facts.path, "/index.php/users/7");
  EXPECT_EQ(head.facts.query, "q=1");
  EXPECT_EQ(head.facts.authority, "[::1]:8080");
  EXPECT_EQ(head.facts.scheme, "https");
  EXPECT_EQ(params(pairs({{"HTTPS", "off"}})).facts.scheme, "http");
}

TEST_F(FastCgiHead, WhatWasCutIsLeftOut) {
  const std::string all = pairs({{"REQUEST_METHOD", "GET"}, {"REQUEST_URI", "/orders/12345"}});
  for (std::size_t size = 0; size < all.size(); ++size) EXPECT_EQ(params(all.substr(0, size)).facts.path, "") << size;
  EXPECT_EQ(params(all.substr(0, all.size() - 1)).facts.method, "GET");
  // Lengths that promise more than there is.
  EXPECT_EQ(params("\xff\xff\xff\xff\xff\xff\xff\xffREQUEST_METHODGET").facts.method, "");
}

TEST_F(FastCgiHead, Statuses) {
  EXPECT_EQ(response("Content-type: text/html\r\n\r\n").status, 200U);
  EXPECT_EQ(response("Location: /a\r\n\r\n").status, 302U);
  EXPECT_EQ(response("Status: 404 Not Found\r\nContent-Length: 5\r\n\r\n").status, 404U);
  EXPECT_EQ(response("Status: 404\nContent-Length: 5\n\n").content_length, 5U);
  EXPECT_EQ(response("Status: 201 Created\r\nLocation: /a\r\n\r\n").status, 201U);
  EXPECT_EQ(response("Status: 2x1\r\n\r\n").status, 200U);
  EXPECT_EQ(response("X-Shop: 1\r\n", false).status, 0U);
  EXPECT_EQ(response("Status: 500 Oh\r\nX", false).status, 500U);
  EXPECT_THAT(response("X-Shop: 1\r\n\r\n").captured, ElementsAre(Pair("http.header.x-shop", "1")));
  EXPECT_THAT(response("").captured, IsEmpty());
}

}  // namespace
}  // namespace wirespan::fastcgi
