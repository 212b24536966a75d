#include "agent/protocols/http1/head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace wirespan::http1 {
namespace {

Head parsed(std::string_view text) {
  Head head;
  parse_head(text, protocols::HttpHeaderList("http.request.header.", {}), head);
  return head;
}

TEST(StartLine, OnlyHttp1) {
  using L = StartLine;
  const std::pair<std::string, L> cases[] = {
      {"GET / HTTP/1.1\r\n", L::kRequest},
      {"GET / HTTP/1.0\n", L::kRequest},
      {"M-SEARCH * HTTP/1.1\r\n", L::kRequest},
      {"CONNECT a:1 HTTP/1.1\r\n", L::kRequest},
      {"GET http://a/b HTTP/1.1\r\n", L::kRequest},
      {"GET /a b HTTP/1.1\r\n", L::kRequest},  // a space in the target: senders get it wrong (RFC 9112 3.2)
      {"HTTP/1.1 200 OK\r\n", L::kResponse},
      {"HTTP/1.0 404\r\n", L::kResponse},
      {"HTTP/1.1 200\n", L::kResponse},
      {"", L::kPartial},
      {"G", L::kPartial},
      {"GET", L::kPartial},
      {"GET ", L::kPartial},
      {"GET /long", L::kPartialRequest},
      {"BREW /long", L::kPartial},
      {"GET / HTT", L::kPartial},
      {"HTTP/1.1 2", L::kPartial},
      {"HT", L::kPartial},
      {"PRI * HTTP/2.0\r\n", L::kNone},
      {"GET / HTTP/2\r\n", L::kNone},
      {"GET /\r\n", L::kNone},  // HTTP/0.9
      {"GET  HTTP/1.1\r\n", L::kNone},
      {"HTTP/2 200\r\n", L::kNone},
      {"HTTP/1.1 20x OK\r\n", L::kNone},
      {"HTTP/1.1200 OK\r\n", L::kNone},
      {"HTTP/1.1 0000\r\n", L::kNone},
      {std::string("\x16\x03\x01\x02\x00\x01", 6), L::kNone},
      {"*1\r\n$4\r\nPING\r\n", L::kNone},
      {"PING\r\n", L::kNone},
      {"SSH-2.0-x\r\n", L::kNone},
      {"{\"a\": 1}", L::kNone},
      {"EHLO mail\r\n", L::kNone},
      {"RTSP/1.0 200 OK\r\n", L::kNone},
      {"DESCRIBE rtsp://a RTSP/1.0\r\n", L::kNone},
      {"GET /\x01 HTTP/1.1\r\n", L::kNone},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(start_line(text), expected) << text;
}

TEST(StartLine, EveryBeginningOfALineIsPartial) {
  for (const std::string line :
       {"OPTIONS /a?b=c HTTP/1.1\r\n", "X-METHOD http://h/ HTTP/1.0\r\n", "HTTP/1.1 503 No\r\n"}) {
    for (std::size_t size = 0; size < line.size(); ++size) {
      EXPECT_NE(start_line(line.substr(0, size)), StartLine::kNone) << line.substr(0, size);
    }
  }
}

TEST(HeadEnd, FoundFromAnywhereBefore) {
  const std::string text = "GET / HTTP/1.1\r\nA: b\r\n\r\nbody";
  const std::size_t end = text.find("body");
  for (std::size_t from = 0; from <= end - 4; ++from) EXPECT_EQ(head_end(text, from), end) << from;
  EXPECT_EQ(head_end("a\n\nb", 0), 3U);
  EXPECT_EQ(head_end("a\n\r\nb", 0), 4U);
  EXPECT_EQ(head_end("a\r\nb\r\n", 0), std::nullopt);
  EXPECT_EQ(head_end("", 0), std::nullopt);
}

TEST(ParseHead, Request) {
  const Head head = parsed(
      "POST /a HTTP/1.1\r\nHost: h:1\r\nuser-AGENT:  x y \r\nContent-Length: 12\r\ntraceparent: 00-a\r\n"
      "Tracestate: a=1\r\ntracestate: b=2\r\nUpgrade: h2c\r\nBroken line\r\n: no name\r\n\r\n");
  EXPECT_TRUE(head.is_request);
  EXPECT_EQ(head.facts.method, "POST");
  EXPECT_EQ(head.target, "/a");
  EXPECT_EQ(head.facts.authority, "h:1");
  EXPECT_EQ(head.facts.user_agent, "x y");
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_EQ(head.upgrade, "h2c");
  using Field = std::pair<std::string_view, std::string_view>;
  EXPECT_THAT(head.carried, testing::ElementsAre(Field("traceparent", "00-a"), Field("tracestate", "a=1"),
                                                 Field("tracestate", "b=2")));
}

TEST(ParseHead, FoldedFieldIsOneField) {
  const Head head = parsed("GET / HTTP/1.1\nX-Request-Id: a\n\tb\nHost: h\n\n");
  ASSERT_EQ(head.carried.size(), 1U);
  EXPECT_EQ(head.carried[0].second, "a\n\tb");
  EXPECT_EQ(head.facts.authority, "h");
}

TEST(ParseHead, CapturesOnlyWhatIsAsked) {
  const protocols::HttpHeaderList wanted("http.request.header.", {"X-Tenant"});
  Head head;
  parse_head("GET / HTTP/1.1\r\nX-Tenant: a\r\nCookie: secret\r\nx-tenant: b\r\n\r\n", wanted, head);
  using Field = std::pair<std::string_view, std::string_view>;
  EXPECT_THAT(head.captured, testing::ElementsAre(Field("http.request.header.x-tenant", "a"),
                                                  Field("http.request.header.x-tenant", "b")));
}

TEST(ParseHead, ConfiguredIdsAreCarried) {
  const protocols::HttpHeaderList wanted("http.request.header.", {}, {"X-Order"});
  Head head;
  parse_head("GET / HTTP/1.1\r\nx-ORDER: 4711\r\nX-Orders: 1\r\n\r\n", wanted, head);
  using Field = std::pair<std::string_view, std::string_view>;
  EXPECT_THAT(head.carried, testing::ElementsAre(Field("x-order", "4711")));
}

TEST(ParseHead, CutHeadGivesItsWholeLines) {
  const Head head = parsed("GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 12");
  EXPECT_TRUE(head.line_complete);
  EXPECT_EQ(head.facts.authority, "h");
  EXPECT_FALSE(head.content_length);  // perhaps 123
  const Head line = parsed("GET /abc");
  EXPECT_FALSE(line.line_complete);
  EXPECT_EQ(line.target, "/abc");
}

TEST(ParseHead, Lengths) {
  const auto length = [](std::string_view fields) {
    return parsed("GET / HTTP/1.1\r\n" + std::string(fields) + "\r\n\r\n");
  };
  EXPECT_EQ(length("Content-Length: 5").content_length, 5U);
  EXPECT_EQ(length("Content-Length: 5, 5").content_length, 5U);
  EXPECT_EQ(length("Content-Length: 5\r\nContent-Length: 5").content_length, 5U);
  EXPECT_FALSE(length("Content-Length: 5\r\nContent-Length: 5").bad_length);
  for (const char* bad :
       {"Content-Length: -1", "Content-Length: +1", "Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5, 6",
        "Content-Length: 0x10", "Content-Length: ", "Content-Length: ,", "Content-Length: 99999999999999999999",
        "Content-Length: 18446744073709551616", "Content-Length: 1 2"}) {
    EXPECT_TRUE(length(bad).bad_length) << bad;
  }
}

TEST(ParseHead, FinalCodingDecides) {
  const auto head = [](std::string_view fields) {
    return parsed("POST / HTTP/1.1\r\n" + std::string(fields) + "\r\n\r\n");
  };
  EXPECT_TRUE(head("Transfer-Encoding: gzip, Chunked").chunked);
  EXPECT_TRUE(head("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked").chunked);
  EXPECT_FALSE(head("Transfer-Encoding: chunked, gzip").chunked);
  EXPECT_FALSE(head("Transfer-Encoding: xchunked").chunked);
  EXPECT_TRUE(head("Transfer-Encoding: identity").transfer_encoding);
}

}  // namespace
}  // namespace wirespan::http1
