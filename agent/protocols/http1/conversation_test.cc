// Conversations written by hand: what real servers rarely do, and what hostile ones might.
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
using testing::ElementsAre;
using testing::IsEmpty;

Recording recording(const std::string& text) {
  auto parsed = parse_recording("wirespan-conversation 1\n" + text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().text());
  return parsed ? *parsed : Recording();
}

std::string status_of(const Exchange& e) {
  if (e.response == nullptr) return "none";
  const auto status = e.response->attributes.find("http.response.status_code");
  return status ? std::to_string(std::get<std::int64_t>(*status)) : "?";
}

// "GET /a 200" for each exchange, with what is incomplete about it.
std::vector<std::string> brief(const Outcome& out) {
  EXPECT_THAT(out.mistakes, IsEmpty());
  std::vector<std::string> lines;
  for (const ExchangePtr& e : out.exchanges) {
    std::string line = e->request->name + " " + status_of(*e);
    if (!e->request->incomplete.empty()) line += " request:" + std::string(e->request->incomplete);
    if (e->response != nullptr && !e->response->incomplete.empty()) {
      line += " response:" + std::string(e->response->incomplete);
    }
    if (!e->incomplete.empty()) line += " " + std::string(e->incomplete);
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> play(const std::string& text, const ReplayOptions& options = {}) {
  return brief(replay(recording(text), options));
}

std::int64_t number(const Message& m, std::string_view key) {
  const auto value = m.attributes.find(key);
  return value ? std::get<std::int64_t>(*value) : -1;
}

TEST(Http1, GetOnKeepAlive) {
  const Outcome out = replay(recording(R"(
1 > 100 "GET /users/42?q=secret HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: t/1\r\n\r\n"
1 < 300 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
1 > 500 "GET /missing HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n"
1 < 700 "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
1 x 900
)"));
  EXPECT_THAT(brief(out), ElementsAre("GET /users/{id} 200", "GET /missing 404"));
  const auto first = out.json()[0];
  EXPECT_EQ(first["request"]["attributes"]["url.query"], "q=REDACTED");
  EXPECT_EQ(first["request"]["attributes"]["server.port"], 8080);
  EXPECT_EQ(first["response"]["attributes"]["http.response.body.size"], 5);
  EXPECT_EQ(first["response"]["first_us"], 300);
}

TEST(Http1, TimesAreThoseOfTheFirstAndLastByte) {
  const Outcome out = replay(recording(R"(
1 > 100 "POST /a HTTP/1.1\r\nHo"
1 > 110 "st: h\r\nContent-Length: 10\r\n\r\n012"
1 > 120 "345"
1 > 130 "6789"
1 < 200 "HTTP/1.1 "
1 < 210 "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
1 < 220 "3\r\nabc\r\n"
1 < 230 "0\r\nX: y\r\n"
1 < 240 "\r\n"
1 > 300 "GET /b HTTP/1.1\r\n\r\n"
1 x 400
)"));
  EXPECT_THAT(brief(out), ElementsAre("POST /a 200", "GET /b none no_response"));
  const Exchange& e = *out.exchanges[0];
  EXPECT_EQ(e.request->first_byte.time.ns, 100'000U);
  EXPECT_EQ(e.request->last_byte.time.ns, 130'000U);
  EXPECT_EQ(e.response->first_byte.time.ns, 200'000U);
  EXPECT_EQ(e.response->last_byte.time.ns, 240'000U);
  EXPECT_EQ(e.ended.ns, 240'000U);
  EXPECT_EQ(number(*e.request, "http.request.body.size"), 10);
  EXPECT_EQ(number(*e.response, "http.response.body.size"), 19);
}

TEST(Http1, RequestHeadersAskedForAreCaptured) {
  ReplayOptions options;
  options.protocol.request_headers = {"X-Tenant", "accept"};
  options.protocol.response_headers = {"Server"};
  const auto out = replay(recording(R"(
1 > 1 "GET / HTTP/1.1\r\nX-Tenant: a\r\nx-tenant: \xff\r\nCookie: no\r\n\r\n"
1 < 2 "HTTP/1.1 204 No\r\nServer: s\r\nSet-Cookie: no\r\n\r\n"
)"),
                          options)
                       .json()[0];
  EXPECT_EQ(out["request"]["attributes"]["http.request.header.x-tenant"], nlohmann::json({"a", "?"}));
  EXPECT_FALSE(out["request"]["attributes"].contains("http.request.header.accept"));
  EXPECT_EQ(out["response"]["attributes"]["http.response.header.server"], nlohmann::json({"s"}));
  EXPECT_EQ(out.dump().find("Cookie"), std::string::npos);
}

TEST(Http1, ContinueAndHintsAreNotTheAnswer) {
  EXPECT_THAT(play(R"(
1 > 10 "PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
1 < 20 "HTTP/1.1 100 Continue\r\n\r\n"
1 > 30 "abc"
1 < 40 "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
)"),
              ElementsAre("PUT /a 201"));
}

TEST(Http1, BodylessAnswers) {
  EXPECT_THAT(play(R"(
1 > 10 "HEAD /a HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
1 > 30 "GET /b HTTP/1.1\r\nIf-None-Match: x\r\n\r\n"
1 < 40 "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"
1 > 50 "DELETE /c HTTP/1.1\r\n\r\n"
1 < 60 "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
1 > 70 "GET /d HTTP/1.1\r\n\r\n"
1 < 80 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)"),
              ElementsAre("HEAD /a 200", "GET /b 304", "DELETE /c 204", "GET /d 200"));
}

TEST(Http1, Http10EndsWithTheConnection) {
  const std::string call = R"(
1 > 10 "GET /a HTTP/1.0\r\n\r\n"
1 < 20 "HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 500 this is a body\r\n\r\n"
1 < 30 "more"
)";
  EXPECT_THAT(play(call + "1 x 40\n"), ElementsAre("GET /a 200"));
  EXPECT_THAT(play(call + "1 r 40\n"), ElementsAre("GET /a 200 response:cut connection_reset"));
  const Outcome out = replay(recording(call + "1 x 40\n"));
  EXPECT_EQ(number(*out.exchanges[0]->response, "http.response.body.size"), 35);
  EXPECT_EQ(out.exchanges[0]->response->last_byte.time.ns, 30'000U);
}

// RFC 9112 6.3, rule 3: the attack is to have the two ends disagree; we must not be the third opinion.
TEST(Http1, TransferEncodingOverridesContentLength) {
  EXPECT_THAT(play(R"(
1 > 10 "POST /a HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
1 < 30 "HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n"
)"),
              ElementsAre("POST /a 200", "GET /b 201"));
}

TEST(Http1, TwoLengthsAreAnError) {
  EXPECT_THAT(play(R"(
1 > 10 "POST /a HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
1 x 30
)"),
              ElementsAre("POST /a 400 request:head"));
}

TEST(Http1, EmptyLinesBetweenMessages) {
  EXPECT_THAT(play(R"(
1 > 10 "\r\n\r\nPOST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
1 > 30 "\r\nGET /b HTTP/1.1\r\n\r\n"
1 < 40 "HTTP/1.1 201 OK\r\nContent-Length: 0\r\n\r\n"
)"),
              ElementsAre("POST /a 200", "GET /b 201"));
}

TEST(Http1, BareLineFeedsAndFolds) {
  EXPECT_THAT(play(R"(
1 > 10 "GET /a HTTP/1.1\nHost: h\nX: a\n b\n\nGET /b HTTP/1.1\n\n"
1 < 20 "HTTP/1.1 200 OK\nContent-Length:\n 2\n\nokHTTP/1.1 201 OK\nContent-Length: 0\n\n"
)"),
              ElementsAre("GET /a 200", "GET /b 201"));
}

TEST(Http1, EarlyAnswer) {
  const Outcome out = replay(recording(R"(
1 > 10 "POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"
1 < 20 "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
1 > 30 "defghi"
1 > 40 "GET /b HTTP/1.1\r\n\r\n"
1 < 50 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)"));
  EXPECT_THAT(brief(out), ElementsAre("POST /a 413", "GET /b 200"));
  EXPECT_EQ(out.exchanges[0]->request->last_byte.time.ns, 30'000U);
  EXPECT_EQ(out.exchanges[0]->ended.ns, 20'000U);
}

TEST(Http1, UpgradeHandsTheConnectionOver) {
  const Outcome out = replay(recording(R"(
1 > 10 "GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
1 < 20 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"
1 > 30 "\x81\x85mask!...."
1 < 40 "\x81\x05again"
1 > 50 "\x81\x85"
1 < 60 "\x88\x00"
1 > 70 "\x81\x85"
1 < 80 "\x88\x00"
1 x 90
)"));
  EXPECT_THAT(brief(out), ElementsAre("GET /chat 101"));
  EXPECT_EQ(out.exchanges[0]->ended.ns, 20'000U);
  EXPECT_THAT(out.verdicts, ElementsAre(std::pair(ConnId{1}, Verdict::kIgnore)));
}

TEST(Http1, RefusedUpgradeStaysHttp) {
  EXPECT_THAT(play(R"(
1 > 10 "GET /chat HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"
1 > 30 "GET /b HTTP/1.1\r\n\r\n"
1 < 40 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)"),
              ElementsAre("GET /chat 200", "GET /b 200"));
}

TEST(Http1, TunnelIsLookedAtAnew) {
  EXPECT_THAT(play(R"(
1 > 10 "CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n"
1 < 20 "HTTP/1.1 200 Connection established\r\n\r\n"
1 > 30 "GET /inner HTTP/1.1\r\n\r\n"
1 < 40 "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
)"),
              ElementsAre("CONNECT 200", "GET /inner 404"));
  EXPECT_THAT(play(R"(
1 > 10 "CONNECT a.example:80 HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
1 > 30 "GET /b HTTP/1.1\r\n\r\n"
1 < 40 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)"),
              ElementsAre("CONNECT 403", "GET /b 200"));
}

TEST(Http1, ProxyHeaderBeforeTheFirstRequest) {
  EXPECT_THAT(play(R"(
1 > 10 "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
1 > 20 "GET /a HTTP/1.1\r\n\r\n"
1 < 30 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)"),
              ElementsAre("GET /a 200"));
}

TEST(Http1, CutEverywhere) {
  EXPECT_THAT(play(R"(1 > 10 "GET /a HTTP/1.1\r\nHost: h\r\n"
1 x 20
)"),
              ElementsAre("GET /a none request:head no_response"));
  EXPECT_THAT(play(R"(1 > 10 "POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"
1 x 20
)"),
              ElementsAre("POST /a none request:cut connection_closed"));
  EXPECT_THAT(play(R"(1 > 10 "GET /a HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Le"
1 r 30
)"),
              ElementsAre("GET /a 200 response:head connection_reset"));
  EXPECT_THAT(play(R"(1 > 10 "GET /a HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
1 x 30
)"),
              ElementsAre("GET /a 200 response:cut connection_closed"));
  EXPECT_THAT(play(R"(1 > 10 "GET /a HTTP/1.1\r\n\r\n")"), ElementsAre("GET /a none shutdown"));
}

// A body that is full of messages.
TEST(Http1, JoinedInABodyOfMessages) {
  const std::string fake = R"("GET /fake HTTP/1.1\r\nHost: h\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"*30)";
  const std::string text = R"(
1 > 10 "GET /download HTTP/1.1\r\nHost: h\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" )" +
                           fake + "\n1 < 30 " + fake + "\n1 < 40 " + fake + R"( "tail"
1 < 50 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
1 > 60 "GET /after HTTP/1.1\r\nHost: h\r\n\r\n"
1 < 70 "HTTP/1.1 204 OK\r\n\r\n"
1 x 80
)";
  for (const SpanRole role : {SpanRole::kServer, SpanRole::kClient}) {
    for (std::size_t from = 2; from <= 5; ++from) {
      ReplayOptions options;
      options.role = role;
      options.adopted = true;
      options.from = from;
      EXPECT_THAT(play(text, options), ElementsAre("GET /after 204")) << from;
    }
  }
}

// Idle when we came: the very first request is whole, with nothing before it to show that it is one.
TEST(Http1, JoinedIdle) {
  const std::string text = R"(
1 > 10 "GET /before HTTP/1.1\r\nHost: h\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
1 > 60 "GET /first HTTP/1.1\r\nHost: h\r\n\r\n"
1 < 70 "HTTP/1.1 204 OK\r\n\r\n"
1 x 80
)";
  ReplayOptions options;
  options.adopted = true;
  options.from = 2;
  EXPECT_THAT(play(text, options), ElementsAre("GET /first 204"));
}

TEST(Http1, HeadCutByCaptureEndsWithTheTurn) {
  const std::string text = R"(
1 > 10 "GET /a HTTP/1.1\r\nHost: h\r\nCookie: " "c"*3000 "\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nSet-Cookie: " "c"*3000 "\r\nContent-Length: 5\r\n\r\nhello"
1 > 30 "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"
1 < 40 "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
1 x 50
)";
  ReplayOptions options;
  options.captured = 1024;
  const Outcome out = replay(recording(text), options);
  EXPECT_THAT(brief(out), ElementsAre("GET /a 200 request:head response:head", "GET /b 404"));
  EXPECT_EQ(out.exchanges[0]->ended.ns, 20'000U);
  EXPECT_THAT(out.verdicts, ElementsAre(std::pair(ConnId{1}, Verdict::kMore)));
}

TEST(Http1, TargetLongerThanWhatIsCaptured) {
  const std::string text = R"(
1 > 10 "GET /find?q=" "q"*3000 " HTTP/1.1\r\nHost: h\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
2 > 10 "GET /" "p"*3000 " HTTP/1.1\r\nHost: h\r\n\r\n"
2 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)";
  ReplayOptions options;
  options.captured = 1024;
  EXPECT_THAT(play(text, options), ElementsAre("GET /find 200 request:head", "GET 200 request:head"));
}

TEST(Http1, ChunkedEndsByItsTailWhenSizesWereNotCaptured) {
  const std::string text = R"(
1 > 10 "GET /a HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5dc\r\n" "x"*1500 "\r\n"
1 < 30 "5dc\r\n" "y"*1500 "\r\n"
1 < 40 "5dc\r\n" "z"*1500 "\r\n0\r\n\r\n"
1 > 99 "GET /b HTTP/1.1\r\n\r\n"
1 < 120 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
)";
  ReplayOptions options;
  options.captured = 1024;
  options.by_turn = true;
  for (const bool tail : {true, false}) {
    options.tail = tail;
    const Outcome out = replay(recording(text), options);
    EXPECT_THAT(brief(out), ElementsAre("GET /a 200", "GET /b 200"));
    EXPECT_EQ(out.exchanges[0]->response->last_byte.time.ns, 40'000U);
    EXPECT_EQ(number(*out.exchanges[0]->response, "http.response.body.size"), 3 * 1507 + 5);
  }
}

TEST(Http1, BrokenChunksEndWithTheTurn) {
  EXPECT_THAT(play(R"(
1 > 10 "GET /a HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc"
1 > 30 "GET /b HTTP/1.1\r\n\r\n"
1 < 40 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nabc"
1 > 50 "GET /c HTTP/1.1\r\n\r\n"
1 < 60 "HTTP/1.1 204 OK\r\n\r\n"
)"),
              ElementsAre("GET /a 200", "GET /b 200", "GET /c 204"));
}

TEST(Http1, MoreCaptureIsAskedForPipelines) {
  const Outcome out = replay(recording(R"(
1 > 10 "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 204 OK\r\n\r\nHTTP/1.1 404 OK\r\nContent-Length: 0\r\n\r\n"
)"));
  EXPECT_THAT(brief(out), ElementsAre("GET /a 204", "GET /b 404"));
  EXPECT_THAT(out.verdicts, ElementsAre(std::pair(ConnId{1}, Verdict::kMore)));
}

TEST(Http1, AnswerSeenBeforeItsRequest) {
  // As a client with a reading and a writing thread is seen: order of events is not order of times.
  const std::string text = R"(
1 < 200 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
1 > 100 "GET /a HTTP/1.1\r\n\r\n"
1 < 400 "HTTP/1.1 404 OK\r\nContent-Length: 0\r\n\r\n"
1 > 300 "GET /b HTTP/1.1\r\n\r\n"
)";
  ReplayOptions options;
  options.role = SpanRole::kClient;
  EXPECT_THAT(play(text, options), ElementsAre("GET /a 200", "GET /b 404"));
}

TEST(Http1, AnswerWithoutRequestIsSaidAfterASecond) {
  const Outcome out = replay(recording(R"(
1 < 200 "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
)"));
  EXPECT_THAT(brief(out), ElementsAre("HTTP 408 request:head lost"));
  EXPECT_EQ(out.counters.at("protocols.peer_missed"), 1U);
}

TEST(Http1, OtherProtocolsAreIgnored) {
  const Outcome out = replay(recording(R"(
1 > 10 "*1\r\n$4\r\nPING\r\n"
1 < 20 "+PONG\r\n"
1 > 30 "*1\r\n$4\r\nPING\r\n"
1 < 40 "+PONG\r\n"
1 > 50 "*1\r\n$4\r\nPING\r\n"
1 < 60 "+PONG\r\n"
1 > 70 "GET / HTTP/1.1\r\n\r\n"
2 > 10 "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)"));
  EXPECT_THAT(out.exchanges, IsEmpty());
  EXPECT_THAT(out.verdicts, ElementsAre(std::pair(ConnId{1}, Verdict::kIgnore)));
  EXPECT_EQ(out.counters.at("protocols.ignored.not_recognised"), 1U);
}

// --- bounds ----------------------------------------------------------------------------------------------------------

// As much as the test can afford of an endless header: memory must not grow with it.
TEST(Http1, EndlessHeader) {
  protocols::testing::Stages stages;
  auto conn = std::make_shared<Connection>();
  conn->id = ConnId{1};
  const std::string line = "X-Header-" + std::string(1000, 'h') + ": " + std::string(60000, 'v') + "\r\n";
  std::uint64_t position = 0;
  const auto send = [&](std::string_view bytes) {
    event::Data data;
    data.conn = conn;
    data.direction = Direction::kReceived;
    data.time = {position + 1};
    data.position = position;
    data.length = static_cast<std::uint32_t>(bytes.size());
    data.captured = as_bytes(bytes);
    stages.streams.accept(data);
    position += bytes.size();
  };
  send("GET /a HTTP/1.1\r\n");
  std::size_t most = 0;
  while (position < (std::uint64_t{1} << 30U)) {
    send(line);
    most = std::max(most, stages.detector.buffered_bytes());
  }
  EXPECT_LT(most, 256U << 10U);
  stages.streams.accept(event::Closed{conn, {position + 1}, event::Closed::How::kClosed});
  ASSERT_EQ(stages.log.finished().size(), 1U);
  EXPECT_EQ(stages.log.finished()[0]->request->name, "GET /a");
  EXPECT_EQ(stages.log.finished()[0]->request->incomplete, "head");
  EXPECT_EQ(stages.detector.connections(), 0U);
}

// Its end, the next request and that one's head were lost: what comes then says nothing of when this answer was over.
TEST(Http1, BodyWhoseEndWasLostIsNotOverWhenTheLossShows) {
  ReplayOptions options;
  options.deliver = [](std::size_t index, const Event& event, Streams& streams) {
    if (index < 2 || index > 4 || std::holds_alternative<event::Opened>(event)) streams.accept(event);
  };
  const Outcome out = replay(recording(R"(
1 > 10 "GET /a HTTP/1.1\r\n\r\n"
1 < 20 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
1 < 30 "done\n"
1 > 40 "GET /b HTTP/1.1\r\n\r\n"
1 < 900000 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
1 < 900010 "done\n"
)"),
                             options);
  EXPECT_THAT(brief(out), ElementsAre("GET /a 200 response:lost"));
  EXPECT_EQ(out.exchanges[0]->ended.ns, 20'000U);
}

TEST(Http1, HeadByteByByteIsNotQuadratic) {
  const std::string text = R"(
1 > 10 "GET /a HTTP/1.1\r\n" "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"*1100 "\r\n"
1 < 20 "HTTP/1.1 204 OK\r\n\r\n"
)";
  ReplayOptions options;
  options.split = [](std::size_t, std::size_t size) { return std::vector<std::size_t>(size, 1); };
  EXPECT_THAT(play(text, options), ElementsAre("GET /a 204"));
}

TEST(Http1, MoreRequestsThanAnybodyPipelines) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "1 > " + std::to_string(10 + i) + " \"GET /a HTTP/1.1\\r\\n\\r\\n\"\n";
  const Outcome out = replay(recording(text));
  EXPECT_THAT(out.mistakes, IsEmpty());
  EXPECT_EQ(out.exchanges.size(), 3000U);
}

TEST(Http1, GarbageForeverIsGivenUp) {
  std::string text = "1 > 5 \"GET /a HTTP/1.1\\r\\n\\r\\n\"\n1 < 6 \"HTTP/1.1 204 OK\\r\\n\\r\\n\"\n";
  for (int i = 0; i < 40; ++i) text += "1 > 10 \"garbage\"\n1 < 20 \"rubbish\"\n";
  const Outcome out = replay(recording(text));
  EXPECT_THAT(brief(out), ElementsAre("GET /a 204"));
  EXPECT_THAT(out.verdicts, ElementsAre(std::pair(ConnId{1}, Verdict::kIgnore)));
}

}  // namespace
}  // namespace wirespan::http1
