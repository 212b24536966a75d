// Conversations written by hand: what real web servers rarely do, and what hostile ones might.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agent/protocols/testing/recording.h"
#include "agent/protocols/testing/replay.h"

namespace wirespan::fastcgi {
namespace {

using protocols::testing::Call;
using protocols::testing::Outcome;
using protocols::testing::Recording;
using protocols::testing::replay;
using protocols::testing::ReplayOptions;
using testing::ElementsAre;
using testing::IsEmpty;

enum : std::uint8_t { kBegin = 1, kAbort, kEnd, kParams, kStdin, kStdout, kStderr, kData, kGetValues };

std::string record(std::uint8_t type, std::uint16_t id, const std::string& content, std::uint8_t padding = 0) {
  const auto byte = [](std::size_t value) { return static_cast<char>(value & 0xffU); };
  std::string out{
      1, byte(type), byte(id >> 8U), byte(id), byte(content.size() >> 8U), byte(content.size()), byte(padding), 0};
  return out + content + std::string(padding, '\0');
}
std::string pair(const std::string& name, const std::string& value) {
  return static_cast<char>(name.size()) + std::string(1, static_cast<char>(value.size())) + name + value;
}
std::string begin(std::uint16_t id = 1, char role = 1) {
  return record(kBegin, id, std::string{0, role, 1, 0, 0, 0, 0, 0});
}
std::string params(const std::string& path, std::uint16_t id = 1) {
  return record(kParams, id, pair("REQUEST_METHOD", "GET") + pair("REQUEST_URI", path)) + record(kParams, id, "");
}
std::string get(const std::string& path, std::uint16_t id = 1) {
  return begin(id) + params(path, id) + record(kStdin, id, "");
}
std::string end(std::uint16_t id = 1, char status = 0) {
  return record(kEnd, id, std::string{0, 0, 0, 0, status, 0, 0, 0});
}
std::string output(const std::string& text, std::uint16_t id = 1) {
  return record(kStdout, id, text);
}
std::string ok(std::uint16_t id = 1) {
  return output("Content-type: a\r\n\r\nbody", id) + end(id);
}

// Turns of one connection, 100 us apart: "> ..." to the application, "< ..." from it.
Recording turns(const std::vector<std::string>& all, bool closes = true) {
  Recording out;
  std::uint64_t time = 0;
  for (const std::string& turn : all) {
    const auto kind = turn.front() == '>' ? Call::Kind::kToServer : Call::Kind::kToClient;
    out.push_back({1, kind, time += 100, turn.substr(1)});
  }
  if (closes) out.push_back({1, Call::Kind::kClosed, time + 100, ""});
  return out;
}

std::vector<std::string> brief(const Outcome& out) {
  EXPECT_THAT(out.mistakes, IsEmpty());
  std::vector<std::string> lines;
  for (const ExchangePtr& e : out.exchanges) {
    std::string line = e->request->name;
    const auto add = [&](const std::string& word) { line += " " + word; };
    if (!e->request->incomplete.empty()) add("request:" + std::string(e->request->incomplete));
    if (e->response != nullptr) {
      const auto status = e->response->attributes.find("http.response.status_code");
      add(status ? std::to_string(std::get<std::int64_t>(*status)) : "?");
      if (!e->response->error_type.empty()) add(e->response->error_type);
      if (!e->response->incomplete.empty()) add("response:" + std::string(e->response->incomplete));
    } else {
      add("none");
    }
    if (!e->incomplete.empty()) add(std::string(e->incomplete));
    lines.push_back(line);
  }
  return lines;
}
std::vector<std::string> play(const std::vector<std::string>& all, const ReplayOptions& options = {}) {
  return brief(replay(turns(all), options));
}

TEST(FastCgi, KeepAlive) {
  EXPECT_THAT(play({">" + get("/a"), "<" + ok(), ">" + get("/b"), "<" + output("Status: 404 No\r\n\r\n") + end()}),
              ElementsAre("GET /a 200", "GET /b 404 404"));
}

TEST(FastCgi, ReadPieceByPieceAsPhpDoes) {
  ReplayOptions options;
  options.split = [](std::size_t, std::size_t size) {
    return std::vector<std::size_t>{8, 8, 8, size > 40 ? size - 40 : 0, 8, 8};
  };
  EXPECT_THAT(play({">" + get("/a"), "<" + ok(), ">" + get("/b"), "<" + ok()}, options),
              ElementsAre("GET /a 200", "GET /b 200"));
}

// PHP reads the empty record behind a request it wanted no body of only before the next request.
TEST(FastCgi, TheEndOfTheInputIsReadLate) {
  const std::string last = record(kStdin, 1, "");
  const Outcome out =
      replay(turns({">" + begin() + params("/a"), "<" + ok(), ">" + last + begin() + params("/b"), "<" + ok()}));
  EXPECT_THAT(brief(out), ElementsAre("GET /a 200", "GET /b 200"));
  EXPECT_EQ(out.exchanges[0]->ended.ns, 200'000U);
}

TEST(FastCgi, SeveralRequestsAtOnce) {
  EXPECT_THAT(play({">" + get("/a", 1) + get("/b", 2) + get("/c", 513),
                    "<" + output("Status: 202 x\r\n\r\n", 2) + output("Status: 203 x\r\n\r\n", 513) + end(513),
                    "<" + output("Status: 201 x\r\n\r\n", 1) + end(2) + end(1)}),
              ElementsAre("GET /a 201", "GET /b 202", "GET /c 203"));
}

TEST(FastCgi, RefusalsAreErrors) {
  for (const auto& [status, name] : {std::pair('\x01', "FCGI_CANT_MPX_CONN"), std::pair('\x02', "FCGI_OVERLOADED"),
                                     std::pair('\x03', "FCGI_UNKNOWN_ROLE")}) {
    const Outcome out = replay(turns({">" + get("/a"), "<" + end(1, status)}));
    EXPECT_THAT(brief(out), ElementsAre(std::string("GET /a ? ") + name));
    EXPECT_TRUE(out.exchanges[0]->response->server_error);
  }
}

TEST(FastCgi, AbortedAndSilent) {
  const std::string abort = record(kAbort, 1, "");
  const Outcome aborted = replay(turns({">" + get("/a"), ">" + abort, "<" + end()}));
  EXPECT_THAT(brief(aborted), ElementsAre("GET /a ? FCGI_ABORT_REQUEST"));
  EXPECT_FALSE(aborted.exchanges[0]->response->server_error);
  EXPECT_TRUE(aborted.exchanges[0]->response->client_error);
  EXPECT_THAT(play({">" + get("/a"), "<" + end()}), ElementsAre("GET /a ? _OTHER"));
  EXPECT_THAT(play({">" + get("/a")}), ElementsAre("GET /a none no_response"));
  EXPECT_THAT(play({">" + get("/a"), "<" + output("A: b\r\n\r\nhal")}),
              ElementsAre("GET /a 200 response:cut connection_closed"));
}

TEST(FastCgi, ManagementIsNoExchange) {
  const std::string ask = record(kGetValues, 0, pair("FCGI_MPXS_CONNS", ""));
  const std::string values = record(10, 0, pair("FCGI_MPXS_CONNS", "0"), 6);
  EXPECT_THAT(play({">" + ask, "<" + values, ">" + get("/a"), "<" + ok()}), ElementsAre("GET /a 200"));
}

TEST(FastCgi, RolesEndTheirInputDifferently) {
  EXPECT_THAT(play({">" + begin(1, 2) + params("/auth")}), ElementsAre("GET /auth none no_response"));
  const std::string filter =
      begin(1, 3) + params("/f") + record(kStdin, 1, "") + record(kData, 1, "data") + record(kData, 1, "");
  EXPECT_THAT(play({">" + filter, "<" + ok()}), ElementsAre("GET /f 200"));
}

TEST(FastCgi, HeadsInSeveralRecords) {
  const std::string pairs = pair("REQUEST_METHOD", "GET") + pair("REQUEST_URI", "/a");
  const std::string split = begin() + record(kParams, 1, pairs.substr(0, 20), 3) +
                            record(kParams, 1, pairs.substr(20)) + record(kParams, 1, "") + record(kStdin, 1, "");
  const std::string answer =
      record(kStderr, 1, "oh") + output("Status: 2") + output("04 x\r\n\r") + output("\nab") + end();
  const Outcome out = replay(turns({">" + split, "<" + answer}));
  EXPECT_THAT(brief(out), ElementsAre("GET /a 204"));
  EXPECT_EQ(std::get<std::int64_t>(*out.exchanges[0]->response->attributes.find("http.response.body.size")), 2);
}

TEST(FastCgi, VariablesThatWereNotCaptured) {
  const std::string all =
      pair("REQUEST_METHOD", "GET") + pair("REQUEST_URI", "/a") + pair("HTTP_COOKIE", std::string(90, 'c'));
  const std::string cut = begin() + record(kParams, 1, all) + record(kParams, 1, "") + record(kStdin, 1, "");
  ReplayOptions options;
  options.captured = 80;
  options.by_turn = true;
  const Recording calls = turns({">" + cut, "<" + ok(), ">" + cut, "<" + ok()});
  const Outcome out = replay(calls, options);
  EXPECT_THAT(brief(out), ElementsAre("GET /a request:head 200", "GET /a request:head 200"));
  EXPECT_THAT(out.verdicts, ElementsAre(testing::Pair(ConnId{1}, Verdict::kMore)));
}

TEST(FastCgi, OutputThatWasNotCaptured) {
  const std::string big(3000, 'x');
  const std::string answer = output("A: b\r\n\r\n" + big) + output(big) + output(big) + end();
  ReplayOptions options;
  options.captured = 100;
  options.by_turn = true;
  const Outcome out = replay(turns({">" + get("/a"), "<" + answer, ">" + get("/b"), "<" + answer}, false), options);
  EXPECT_THAT(brief(out), ElementsAre("GET /a 200", "GET /b 200"));
  EXPECT_EQ(out.exchanges[0]->ended.ns, 200'000U);
  // Without the last bytes of a call the next request tells that the answer is over.
  options.tail = false;
  EXPECT_THAT(brief(replay(turns({">" + get("/a"), "<" + answer, ">" + get("/b"), "<" + answer}), options)),
              ElementsAre("GET /a 200", "GET /b 200"));
}

// A body may be anything, also at the beginning of a call.
TEST(FastCgi, BodiesAreNotRequests) {
  const std::string lie = get("/lie") + std::string(100, 'x');
  const std::string head = begin() + params("/a") + record(kStdin, 1, lie).substr(0, 8);
  EXPECT_THAT(play({">" + head, ">" + lie, "<" + ok()}), ElementsAre("GET /a 200"));
  ReplayOptions options;
  options.adopted = true;
  options.from = 1;
  EXPECT_THAT(play({">" + head, ">x" + lie, "<" + ok()}, options), IsEmpty());
}

TEST(FastCgi, LengthsAreNotBelieved) {
  const std::string huge = std::string("\x01\x04\x00\x01\xff\xff\xff\x00", 8);
  EXPECT_THAT(play({">" + begin() + huge + "\x0e\x03REQUEST_METHODGET"}),
              ElementsAre("GET request:head none no_response"));
  const std::string strange = std::string("\x01\x0b\x00\x01\xff\xff\xff\x00", 8);
  EXPECT_THAT(play({">" + get("/a") + strange, "<" + ok()}), ElementsAre("GET /a 200"));
  EXPECT_THAT(play({">" + get("/a"), "<" + strange + "garbage"}), ElementsAre("GET /a ? response:head"));
}

TEST(FastCgi, TooManyAtOnceAreBounded) {
  std::string all;
  for (std::uint16_t id = 1; id <= 1000; ++id) all += get("/a", id);
  const Outcome out = replay(turns({">" + all}));
  EXPECT_THAT(out.mistakes, IsEmpty());
  EXPECT_EQ(out.exchanges.size(), 1000U);
}

TEST(FastCgi, AnIdInUseBeginsNoSecondRequest) {
  // Its first answer never came: what comes is the second's.
  EXPECT_THAT(play({">" + get("/a"), ">" + get("/b"), "<" + ok()}), ElementsAre("GET /a none lost", "GET /b 200"));
}

}  // namespace
}  // namespace wirespan::fastcgi
