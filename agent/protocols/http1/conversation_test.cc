#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "agent/protocols/testing/recording.h"
#include "agent/protocols/testing/replay.h"

namespace wirespan::http1 {
namespace {

using protocols::testing::Outcome;
using protocols::testing::parse_recording;
using protocols::testing::Recording;
using protocols::testing::replay;
using protocols::testing::ReplayOptions;

Recording recording(std::string text) {
  auto parsed = parse_recording("wirespan-conversation 1\n" + text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().text());
  return parsed ? *parsed : Recording();
}

TEST(Http1, GetOnKeepAlive) {
  const Recording r = recording(R"(
1 > 100 "GET /users/42?q=secret HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: t/1\r\n\r\n"
1 < 300 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
1 > 500 "GET /missing HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n"
1 < 700 "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
1 x 900
)");
  const Outcome out = replay(r);
  EXPECT_THAT(out.mistakes, testing::IsEmpty());
  const auto exchanges = out.json();
  ASSERT_EQ(exchanges.size(), 2U) << exchanges.dump(2);
  const auto& first = exchanges[0];
  EXPECT_EQ(first["request"]["name"], "GET /users/{id}");
  EXPECT_EQ(first["request"]["attributes"]["url.query"], "q=REDACTED");
  EXPECT_EQ(first["request"]["attributes"]["server.port"], 8080);
  EXPECT_EQ(first["response"]["attributes"]["http.response.status_code"], 200);
  EXPECT_EQ(first["response"]["attributes"]["http.response.body.size"], 5);
  EXPECT_EQ(first["response"]["first_us"], 300);
  EXPECT_FALSE(first.contains("incomplete"));
  EXPECT_EQ(exchanges[1]["response"]["client_error"], true);
  EXPECT_FALSE(exchanges[1]["response"].contains("server_error"));
}

}  // namespace
}  // namespace wirespan::http1
