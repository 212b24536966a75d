#include "agent/protocols/http1/framing.h"

#include <gtest/gtest.h>

#include <string>

namespace wirespan::http1 {
namespace {

using Kind = Body::Kind;

Head head(std::string_view text) {
  Head out;
  parse_head(text, protocols::HttpHeaderList("", {}), out);
  return out;
}
Kind request(std::string_view fields) {
  return request_body(head("POST / HTTP/1.1\r\n" + std::string(fields) + "\r\n")).kind;
}
Kind response(std::string_view line, std::string_view fields, Asked asked = Asked::kOther) {
  return response_body(head(std::string(line) + "\r\n" + std::string(fields) + "\r\n"), asked).kind;
}

// RFC 9112 6.3, rule by rule.
TEST(Framing, Requests) {
  EXPECT_EQ(request(""), Kind::kNone);
  EXPECT_EQ(request("Content-Length: 0\r\n"), Kind::kNone);
  EXPECT_EQ(request("Content-Length: 9\r\n"), Kind::kLength);
  EXPECT_EQ(request("Content-Length: 9\r\nContent-Length: 8\r\n"), Kind::kUnknown);
  EXPECT_EQ(request("Content-Length: 9\r\nTransfer-Encoding: chunked\r\n"), Kind::kChunked);
  EXPECT_EQ(request("Transfer-Encoding: chunked\r\nContent-Length: bad\r\n"), Kind::kChunked);
  EXPECT_EQ(request("Transfer-Encoding: gzip\r\n"), Kind::kUnknown);
}

TEST(Framing, Responses) {
  EXPECT_EQ(response("HTTP/1.1 200 OK", "Content-Length: 9\r\n"), Kind::kLength);
  EXPECT_EQ(response("HTTP/1.1 200 OK", "Content-Length: 0\r\n"), Kind::kNone);
  EXPECT_EQ(response("HTTP/1.1 200 OK", "Content-Length: 9\r\n", Asked::kHead), Kind::kNone);
  EXPECT_EQ(response("HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n", Asked::kHead), Kind::kNone);
  EXPECT_EQ(response("HTTP/1.1 204 No Content", "Content-Length: 9\r\n"), Kind::kNone);
  EXPECT_EQ(response("HTTP/1.1 304 Not Modified", "Content-Length: 9\r\n"), Kind::kNone);
  EXPECT_EQ(response("HTTP/1.1 100 Continue", ""), Kind::kNone);
  EXPECT_EQ(response("HTTP/1.1 101 Switching Protocols", ""), Kind::kTunnel);
  EXPECT_EQ(response("HTTP/1.1 200 OK", "Content-Length: 9\r\n", Asked::kConnect), Kind::kTunnel);
  EXPECT_EQ(response("HTTP/1.1 407 No", "Content-Length: 9\r\n", Asked::kConnect), Kind::kLength);
  EXPECT_EQ(response("HTTP/1.1 200 OK", ""), Kind::kUntilClose);
  EXPECT_EQ(response("HTTP/1.0 200 OK", "Connection: keep-alive\r\n"), Kind::kUntilClose);
  EXPECT_EQ(response("HTTP/1.1 200 OK", "Transfer-Encoding: gzip\r\n"), Kind::kUntilClose);
  EXPECT_EQ(response("HTTP/1.1 200 OK", "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n"), Kind::kChunked);
  EXPECT_EQ(response("HTTP/1.1 200 OK", "Content-Length: -9\r\n"), Kind::kUnknown);
}

TEST(Framing, Interim) {
  EXPECT_TRUE(is_interim(100));
  EXPECT_TRUE(is_interim(103));
  EXPECT_FALSE(is_interim(101));
  EXPECT_FALSE(is_interim(200));
}

TEST(ChunkLines, SizesAndExtensions) {
  const auto line = [](std::string_view text) { return chunk_line(text); };
  using State = ChunkLine::State;
  EXPECT_EQ(line("1aF\r\nx").size, 0x1afU);
  EXPECT_EQ(line("1aF\r\nx").bytes, 5U);
  EXPECT_EQ(line("0\n").bytes, 2U);
  EXPECT_EQ(line("5;name=\"a;b\"\r\n").size, 5U);
  EXPECT_EQ(line("5  \r\n").state, State::kComplete);
  for (const char* part : {"", "1", "1a", "1a\r", "1;ext"}) EXPECT_EQ(line(part).state, State::kPartial) << part;
  for (const char* bad : {"x\r\n", "\r\n", "-1\r\n", "1x\r\n", "fffffffffffffffff\r\n", "+5\r\n"}) {
    EXPECT_EQ(line(bad).state, State::kBad) << bad;
  }
  EXPECT_EQ(line("1;" + std::string(20000, 'e')).state, State::kBad);
}

TEST(TrailerLines, EmptyOneEnds) {
  EXPECT_TRUE(trailer_line("\r\nX").empty);
  EXPECT_EQ(trailer_line("\r\nX").bytes, 2U);
  EXPECT_TRUE(trailer_line("\n").empty);
  EXPECT_FALSE(trailer_line("X-Sum: 1\r\n\r\n").empty);
  EXPECT_EQ(trailer_line("X-Sum: 1\r\n\r\n").bytes, 10U);
  EXPECT_EQ(trailer_line("X-Sum").bytes, 0U);
  EXPECT_TRUE(trailer_line(std::string(20000, 'x')).bad);
}

TEST(LastChunk, IsSeenAtTheEndOfACallOnly) {
  LastChunkWatch watch;
  watch.add("data\r\n0\r\n\r\n", 5000);
  EXPECT_TRUE(watch.seen());
  watch.reset();
  watch.add("100\r\n\r\n", 5000);
  EXPECT_FALSE(watch.seen());
  watch.reset();
  watch.add("data\r\n", 6);
  watch.add("0\r\n\r\n", 5);
  EXPECT_TRUE(watch.seen());
  watch.reset();
  watch.add("0\r\n\r\n", 5);  // a call of its own
  EXPECT_TRUE(watch.seen());
  watch.reset();
  watch.add("\r\n0\r\n\r\nmore", 5000);
  EXPECT_FALSE(watch.seen());
  watch.reset();
  watch.add("\r\n0", 3);
  watch.add("\n", 900);  // unknown bytes between
  watch.add("\r\n\r\n", 4);
  EXPECT_FALSE(watch.seen());
  watch.reset(true);
  watch.add("X-Sum: 12345\r\n\r\n", 900);
  EXPECT_TRUE(watch.seen());
}

}  // namespace
}  // namespace wirespan::http1
