#include "correlator/propagation/legacy.h"

#include <gtest/gtest.h>

#include "correlator/propagation/sw8.h"
#include "correlator/propagation/text.h"

namespace wirespan {
namespace {

constexpr std::string_view kTrace = "80f198ee56343ba864fe8b2a57d3eff7";
constexpr std::string_view kSpan = "e457b5a2e4d86bd1";
const std::string kB3Ids = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1";

void expect_context(const std::optional<RemoteContext>& context, std::string_view format, int flags,
                    std::string_view trace = kTrace, std::string_view span = kSpan) {
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace.hex(), trace);
  EXPECT_EQ(context->span.hex(), span);
  EXPECT_EQ(context->flags, flags);
  EXPECT_EQ(context->format, format);
}

TEST(B3, Single) {
  expect_context(parse_b3_single(kB3Ids + "-1-05e3ac9a4f6e3b90"), "b3", 1);
  expect_context(parse_b3_single(kB3Ids + "-0"), "b3", 0);
  expect_context(parse_b3_single(kB3Ids + "-d"), "b3", 1);
  expect_context(parse_b3_single(kB3Ids), "b3", 1);
  expect_context(parse_b3_single(" " + kB3Ids + " "), "b3", 1);
  expect_context(parse_b3_single("64fe8b2a57d3eff7-e457b5a2e4d86bd1-1"), "b3", 1, "000000000000000064fe8b2a57d3eff7");
}

TEST(B3, SingleWithADecisionAndNoIdsIsNoParent) {
  for (const std::string_view value : {"0", "1", "d"}) {
    EXPECT_FALSE(extract({{"b3", std::string(value)}})) << value;
  }
}

TEST(B3, SingleMalformed) {
  for (const std::string& value :
       {std::string(), std::string("-"), kB3Ids + "-2", kB3Ids + "-1-xyz", kB3Ids + "-1-05e3ac9a4f6e3b90-1",
        kB3Ids.substr(1), kB3Ids + "1", std::string("00000000000000000000000000000000-e457b5a2e4d86bd1-1"),
        std::string("80f198ee56343ba864fe8b2a57d3eff7-0000000000000000-1"),
        std::string("80f198ee56343ba864fe8b2a57d3effg-e457b5a2e4d86bd1-1")}) {
    EXPECT_FALSE(parse_b3_single(value)) << value;
  }
}

CarriedHeaders multi(std::initializer_list<std::pair<std::string, std::string>> more) {
  CarriedHeaders headers = {{"x-b3-traceid", std::string(kTrace)}, {"x-b3-spanid", std::string(kSpan)}};
  headers.insert(headers.end(), more);
  return headers;
}

TEST(B3, Multi) {
  expect_context(extract(multi({})), "b3", 1);
  expect_context(extract(multi({{"x-b3-sampled", "1"}, {"x-b3-parentspanid", "05e3ac9a4f6e3b90"}})), "b3", 1);
  expect_context(extract(multi({{"x-b3-sampled", "0"}})), "b3", 0);
  expect_context(extract(multi({{"x-b3-sampled", "false"}})), "b3", 0);
  expect_context(extract(multi({{"x-b3-sampled", "0"}, {"x-b3-flags", "1"}})), "b3", 1);
  expect_context(extract({{"X-B3-TraceId", "64fe8b2a57d3eff7"}, {"X-B3-SpanId", std::string(kSpan)}}), "b3", 1,
                 "000000000000000064fe8b2a57d3eff7");
}

TEST(B3, MultiWithoutBothIdsIsNoParent) {
  EXPECT_FALSE(extract({{"x-b3-sampled", "0"}}));
  EXPECT_FALSE(extract({{"x-b3-traceid", std::string(kTrace)}}));
  EXPECT_FALSE(extract({{"x-b3-spanid", std::string(kSpan)}}));
  EXPECT_FALSE(extract(multi({{"x-b3-spanid", "e457b5a2e4d86bd2"}}))) << "two spans: neither is believed";
}

TEST(B3, SingleWinsAndMultiStandsIn) {
  auto headers = multi({{"b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"}});
  EXPECT_EQ(extract(headers)->trace.hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
  expect_context(extract(multi({{"b3", "1"}})), "b3", 1);
}

TEST(Jaeger, ForwardsAndEncoded) {
  expect_context(parse_jaeger("80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:0:1"), "jaeger", 1);
  expect_context(parse_jaeger("80f198ee56343ba864fe8b2a57d3eff7%3Ae457b5a2e4d86bd1%3a0%3A0"), "jaeger", 0);
  expect_context(parse_jaeger("80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:05e3ac9a4f6e3b90:03"), "jaeger", 1);
  expect_context(parse_jaeger("80F198EE56343BA864FE8B2A57D3EFF7:E457B5A2E4D86BD1:0:1"), "jaeger", 1);
  // Clients write numbers without leading zeros.
  expect_context(parse_jaeger("abc:def:0:1"), "jaeger", 1, "00000000000000000000000000000abc", "0000000000000def");
  // 0x08 (firehose) is no decision to sample.
  expect_context(parse_jaeger("abc:def:0:8"), "jaeger", 0, "00000000000000000000000000000abc", "0000000000000def");
}

TEST(Jaeger, Malformed) {
  for (const std::string_view value :
       {"", ":::", "abc:def:0", "abc:def:0:1:2", "0:def:0:1", "abc:0:0:1", "abc:def::1", "abc:def:0:", "abc:def:0:123",
        "abc:xyz:0:1", "abc:def:0:g", "180f198ee56343ba864fe8b2a57d3eff7:def:0:1", "abc:1e457b5a2e4d86bd1:0:1",
        "abc%3Bdef:0:1"}) {
    EXPECT_FALSE(parse_jaeger(value)) << value;
  }
  EXPECT_FALSE(parse_jaeger(std::string(100, '0') + "abc:def:0:1"));
}

TEST(Xray, FieldsInAnyOrder) {
  const std::string root = "Root=1-80f198ee-56343ba864fe8b2a57d3eff7";
  expect_context(parse_xray(root + ";Parent=e457b5a2e4d86bd1;Sampled=1"), "xray", 1);
  expect_context(parse_xray("Sampled=0; Parent=e457b5a2e4d86bd1; " + root), "xray", 0);
  expect_context(parse_xray("Self=1-67891234-12456789abcdef012345678;" + root + ";Parent=e457b5a2e4d86bd1;Sampled=?"),
                 "xray", 1);
  expect_context(parse_xray(root + ";Parent=e457b5a2e4d86bd1;Lineage=a87bd80c:1|68fd508a:5|c512fbe3:2"), "xray", 1);
}

TEST(Xray, Malformed) {
  for (const std::string_view value :
       {"", ";", "Root=1-80f198ee-56343ba864fe8b2a57d3eff7", "Parent=e457b5a2e4d86bd1;Sampled=1",
        "Root=2-80f198ee-56343ba864fe8b2a57d3eff7;Parent=e457b5a2e4d86bd1",
        "Root=1-80f198ee56343ba864fe8b2a57d3eff7-;Parent=e457b5a2e4d86bd1",
        "Root=1-00000000-000000000000000000000000;Parent=e457b5a2e4d86bd1",
        "Root=1-80f198ee-56343ba864fe8b2a57d3eff7;Parent=0000000000000000",
        "Root=1-80f198ee-56343ba864fe8b2a57d3eff7;Parent=e457"}) {
    EXPECT_FALSE(parse_xray(value)) << value;
  }
}

TEST(GrpcTraceBin, PaddedOrNot) {
  const RemoteContext context{*TraceId::from_hex(kTrace), *SpanId::from_hex(kSpan), kFlagSampled, {}, "grpc_trace_bin"};
  const std::string text = to_grpc_trace_bin(context);
  // 29 bytes: version, 0 + trace, 1 + span, 2 + options.
  EXPECT_EQ(text, "AACA8ZjuVjQ7qGT+iypX0+/3AeRXtaLk2GvRAgE=");
  expect_context(parse_grpc_trace_bin(text), "grpc_trace_bin", 1);
  expect_context(parse_grpc_trace_bin("AACA8ZjuVjQ7qGT+iypX0+/3AeRXtaLk2GvRAgE"), "grpc_trace_bin", 1);
  expect_context(parse_grpc_trace_bin("AACA8ZjuVjQ7qGT-iypX0-_3AeRXtaLk2GvRAgE"), "grpc_trace_bin", 1);
}

TEST(GrpcTraceBin, Malformed) {
  for (const std::string_view value : {"", "=", "AACA8ZjuVjQ7qGT+iypX0+/3", "AQCA8ZjuVjQ7qGT+iypX0+/3AeRXtaLk2GvRAgE=",
                                       "not base64!", "AAAAAAAAAAAAAAAAAAAAAAAAAeRXtaLk2GvRAgE="}) {
    EXPECT_FALSE(parse_grpc_trace_bin(value)) << value;
  }
  EXPECT_FALSE(parse_grpc_trace_bin(std::string(4000, 'A')));
}

TEST(Sw8, TheSpecificationsExample) {
  const auto context = parse_sw8("1-TRACEID-SEGMENTID-3-PARENT_SERVICE-PARENT_INSTANCE-PARENT_ENDPOINT-IPPORT");
  EXPECT_FALSE(context) << "the template itself is no base64";
  const auto real = parse_sw8("1-My40LjU=-MS4yLjM=-4-c2VydmljZQ==-aW5zdGFuY2U=-L2FwcA==-MTI3LjAuMC4xOjgwODA=");
  ASSERT_TRUE(real);
  EXPECT_TRUE(real->sampled);
  EXPECT_EQ(real->trace_id, "3.4.5");
  EXPECT_EQ(real->parent_segment, "1.2.3");
  EXPECT_EQ(real->parent_span, 4);
  EXPECT_EQ(real->parent_service, "service");
  EXPECT_EQ(real->parent_instance, "instance");
  EXPECT_EQ(real->parent_endpoint, "/app");
  EXPECT_EQ(real->target_address, "127.0.0.1:8080");
  EXPECT_EQ(to_sw8(*real), "1-My40LjU=-MS4yLjM=-4-c2VydmljZQ==-aW5zdGFuY2U=-L2FwcA==-MTI3LjAuMC4xOjgwODA=");
}

TEST(Sw8, Malformed) {
  for (const std::string_view value :
       {"", "1", "2-My40LjU=-MS4yLjM=-4-c2Vy-aW5z-L2Fw-MTI3", "1-My40LjU=-MS4yLjM=-x-c2Vy-aW5z-L2Fw-MTI3",
        "1-My40LjU=-MS4yLjM=--1-c2Vy-aW5z-L2Fw-MTI3", "1-My40LjU=-MS4yLjM=-4-c2Vy-aW5z-L2Fw",
        "1-My40LjU=-MS4yLjM=-4-c2Vy-aW5z-L2Fw-MTI3-MTI3", "1--MS4yLjM=-4-c2Vy-aW5z-L2Fw-MTI3"}) {
    EXPECT_FALSE(parse_sw8(value)) << value;
  }
}

TEST(Extract, W3cThenB3ThenJaegerThenXrayThenGrpc) {
  const std::string id = "0000000000000001";
  CarriedHeaders headers = {{"grpc-trace-bin", "AACA8ZjuVjQ7qGT+iypX0+/3AeRXtaLk2GvRAgE="},
                            {"x-amzn-trace-id", "Root=1-80f198ee-56343ba864fe8b2a57d3eff7;Parent=" + id},
                            {"uber-trace-id", "1:" + id + ":0:1"},
                            {"b3", kB3Ids},
                            {"traceparent", "00-12345678901234567890123456789012-1234567890123456-01"}};
  for (const std::string_view format : {"traceparent", "b3", "jaeger", "xray", "grpc_trace_bin"}) {
    ASSERT_TRUE(extract(headers));
    EXPECT_EQ(extract(headers)->format, format);
    for (const auto& [name, value] : headers) EXPECT_TRUE(is_context_header(name));
    headers.pop_back();
  }
  EXPECT_FALSE(extract(headers));
  EXPECT_FALSE(is_context_header("x-request-id"));
}

TEST(Extract, AnInvalidFormatLetsTheNextSpeak) {
  const auto context = extract({{"traceparent", "00-00000000000000000000000000000000-1234567890123456-01"},
                                {"tracestate", "foo=1"},
                                {"b3", kB3Ids + "-1"}});
  expect_context(context, "b3", 1);
  EXPECT_EQ(context->trace_state, "");
}

TEST(Legacy, WrittenAsRead) {
  for (const std::uint8_t flags : {std::uint8_t{0}, kFlagSampled}) {
    const RemoteContext context{*TraceId::from_hex(kTrace), *SpanId::from_hex(kSpan), flags, {}, ""};
    expect_context(parse_b3_single(to_b3_single(context)), "b3", flags);
    expect_context(parse_jaeger(to_jaeger(context)), "jaeger", flags);
    expect_context(parse_xray(to_xray(context)), "xray", flags);
    expect_context(parse_grpc_trace_bin(to_grpc_trace_bin(context)), "grpc_trace_bin", flags);
  }
}

TEST(Base64, KnownAnswers) {  // RFC 4648, 10
  using propagation::decode_base64;
  using propagation::encode_base64;
  const std::pair<std::string_view, std::string_view> known[] = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : known) {
    EXPECT_EQ(encode_base64(plain), text);
    const auto bytes = decode_base64(text, 6);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(std::string(bytes->begin(), bytes->end()), plain);
  }
  EXPECT_FALSE(decode_base64("Zm9vYmFy", 5));
  EXPECT_FALSE(decode_base64("Z", 5));
}

}  // namespace
}  // namespace wirespan
