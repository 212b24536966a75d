#include "exporters/encode/otlp_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "exporters/encode/json_writer.h"
#include "exporters/encode/otlp_fields.h"
#include "exporters/testing/sample.h"

namespace wirespan {
namespace {

TEST(OtlpJson, Golden) {
  OtlpJsonEncoder encoder;
  const std::vector<Span> batch = {sample::rich()};
  ByteBuffer out;
  encoder.encode(batch, out);
  const std::string expected =
      R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},)"
      R"({"key":"process.command_args","value":{"arrayValue":{"values":[{"stringValue":"python"},{"stringValue":"shop.py"}]}}}]},)"
      R"("scopeSpans":[{"scope":{"name":"wirespan","version":")" +
      std::string(scope_version()) +
      R"("},"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","traceState":"vendor=value",)"
      R"("parentSpanId":"1111111111111111","flags":257,"name":"GET \"quoted\"\n","kind":3,)"
      R"("startTimeUnixNano":"1720000000125100000","endTimeUnixNano":"1720000000128100000","attributes":[)"
      R"({"key":"http.response.status_code","value":{"intValue":"503"}},)"
      "{\"key\":\"url.path\",\"value\":{\"stringValue\":\"/caf\xC3\xA9/\xEF\xBF\xBD\xEF\xBF\xBD\"}},"
      R"({"key":"wirespan.ratio","value":{"doubleValue":0.5}},{"key":"http.request.resend","value":{"boolValue":true}},)"
      R"({"key":"below.zero","value":{"intValue":"-7"}},)"
      R"({"key":"http.request.header.accept","value":{"arrayValue":{"values":[{"stringValue":"text/html"},{"stringValue":"application/json"}]}}},)"
      R"({"key":"wirespan.link.method","value":{"stringValue":"thread"}},{"key":"wirespan.link.confidence","value":{"doubleValue":0.75}}],)"
      R"("events":[{"timeUnixNano":"1720000000125200000","name":"first_byte"}],)"
      R"("links":[{"traceId":"00000000000000070000000000000008","spanId":"0000000000000009","attributes":[)"
      R"({"key":"wirespan.link.method","value":{"stringValue":"timing"}},{"key":"wirespan.link.confidence","value":{"doubleValue":0.62}}]}],)"
      "\"status\":{\"message\":\"upstream said \xEF\xBF\xBD no\",\"code\":2}}]}]}]}";
  EXPECT_EQ(out.view(), expected);
}

TEST(OtlpJson, AnEmptyBatchIsAnEmptyRequest) {
  OtlpJsonEncoder encoder;
  ByteBuffer out;
  encoder.encode({}, out);
  EXPECT_EQ(out.view(), R"({"resourceSpans":[]})");
}

TEST(JsonWriter, NumbersAsProto3HasThem) {
  ByteBuffer out;
  JsonWriter json(out);
  json.begin_array();
  json.number(std::nan(""));
  json.number(std::numeric_limits<double>::infinity());
  json.number(-std::numeric_limits<double>::infinity());
  json.number(0.1);
  json.quoted(std::numeric_limits<std::int64_t>::min());
  json.quoted(std::numeric_limits<std::uint64_t>::max());
  json.end_array();
  EXPECT_EQ(out.view(), R"(["NaN","Infinity","-Infinity",0.1,"-9223372036854775808","18446744073709551615"])");
}

TEST(JsonWriter, EveryControlCharacterIsEscaped) {
  ByteBuffer out;
  JsonWriter json(out);
  std::string text;
  for (char c = 0; c < 0x20; ++c) text.push_back(c);
  json.text(text + "\x7F\\\"/");
  for (const char c : out.view()) EXPECT_GE(c, 0x20);
  EXPECT_THAT(out.view(), testing::HasSubstr(R"(\u0000\u0001)"));
  EXPECT_THAT(out.view(), testing::EndsWith("\\u001f\x7F\\\\\\\"/\""));
}

}  // namespace
}  // namespace wirespan
