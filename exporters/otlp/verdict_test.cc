#include "exporters/otlp/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "exporters/encode/proto_writer.h"
#include "exporters/otlp/backoff.h"
#include "exporters/otlp/compressor.h"

namespace wirespan {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using What = OtlpVerdict::What;

HttpReply http(long status, std::vector<std::pair<std::string, std::string>> headers = {}, std::string body = {}) {
  return {.status = status, .headers = std::move(headers), .body = std::move(body)};
}

std::string partial_success(std::uint64_t rejected, std::string_view message) {
  ProtoWriter out;
  const auto mark = out.begin(1, 1);
  out.varint_field(1, rejected);
  out.bytes_field(2, message);
  out.end(mark);
  return std::string(out.data());
}

TEST(Verdict, OnlyTheSpecificationsHttpCodesAreRetried) {
  for (long status = 100; status < 600; ++status) {
    const auto verdict = judge_http(http(status), OtlpProtocol::kHttpProtobuf, 0);
    const bool retry = status == 429 || status == 502 || status == 503 || status == 504;
    const What expected = status >= 200 && status < 300 ? What::kAccepted : retry ? What::kRetry : What::kRefused;
    EXPECT_EQ(verdict.what, expected) << status;
  }
}

TEST(Verdict, RetryAfterInSecondsAndAsADate) {
  const auto wait = [](const char* value) {
    return judge_http(http(503, {{"retry-after", value}}), OtlpProtocol::kHttpProtobuf, 784'111'770).wait;
  };
  EXPECT_EQ(wait("7"), milliseconds(7000));
  EXPECT_EQ(wait("0"), milliseconds(0));
  EXPECT_EQ(wait("Sun, 06 Nov 1994 08:49:37 GMT"), milliseconds(7000));
  EXPECT_EQ(wait("Sun, 06 Nov 1994 08:49:00 GMT"), milliseconds(0)) << "over already";
  EXPECT_EQ(wait("soon"), std::nullopt);
  EXPECT_EQ(wait("-3"), std::nullopt);
  EXPECT_EQ(wait("4294967295"), milliseconds(7 * 24 * 3600 * 1000)) << "bounded";
}

TEST(Verdict, PartialSuccessInProtobufAndJson) {
  auto verdict = judge_http(http(200, {{"content-type", "application/x-protobuf"}}, partial_success(3, "too old")),
                            OtlpProtocol::kHttpProtobuf, 0);
  EXPECT_EQ(verdict.rejected_spans, 3U);
  EXPECT_EQ(verdict.why, "too old");
  for (const char* body : {R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}})",
                           R"({"partialSuccess":{"rejectedSpans":3,"errorMessage":"too old"}})"}) {
    verdict = judge_http(http(200, {{"content-type", "application/json"}}, body), OtlpProtocol::kHttpJson, 0);
    EXPECT_EQ(verdict.what, What::kAccepted);
    EXPECT_EQ(verdict.rejected_spans, 3U);
    EXPECT_EQ(verdict.why, "too old");
  }
}

TEST(Verdict, AnyBodyIsSurvived) {
  const std::string bodies[] = {"",
                                "{",
                                "[]",
                                "null",
                                R"({"partialSuccess":7})",
                                R"({"partialSuccess":{"rejectedSpans":[]}})",
                                std::string(100'000, '['),
                                std::string(100, '\xFF'),
                                partial_success(3, "x").substr(0, 4)};
  for (const std::string& body : bodies) {
    for (const char* type : {"application/json", "application/x-protobuf", "text/html"}) {
      for (const long status : {200L, 503L, 400L}) {
        (void)judge_http(http(status, {{"content-type", type}}, body), OtlpProtocol::kHttpJson, 0);
      }
    }
    (void)judge_grpc(http(200, {{"grpc-status", "0"}}, body));
    (void)judge_grpc(http(200, {{"grpc-status", "8"}, {"grpc-status-details-bin", body}}));
  }
}

TEST(Verdict, TheReceiversWordsAreShownSafely) {
  const auto verdict =
      judge_http(http(400, {{"content-type", "application/json"}}, R"({"code":3,"message":"bad\u001b[2J id"})"),
                 OtlpProtocol::kHttpJson, 0);
  EXPECT_EQ(verdict.why, "HTTP 400: bad [2J id");
  EXPECT_THAT(judge_http(http(404), OtlpProtocol::kHttpProtobuf, 0).hint, HasSubstr("/v1/traces"));
  EXPECT_THAT(judge_http(http(401), OtlpProtocol::kHttpProtobuf, 0).hint, HasSubstr("OTEL_EXPORTER_OTLP_HEADERS"));
}

TEST(Verdict, OnlyTheSpecificationsGrpcCodesAreRetried) {
  for (unsigned code = 1; code < 20; ++code) {
    const auto verdict = judge_grpc(http(200, {{"grpc-status", std::to_string(code)}, {"grpc-message", "why%20not"}}));
    const bool retry = code == 1 || code == 4 || code == 10 || code == 11 || code == 14 || code == 15;
    EXPECT_EQ(verdict.what, retry ? What::kRetry : What::kRefused) << code;
    EXPECT_THAT(verdict.why, HasSubstr("why not"));
  }
}

// Status{8, "full", [Any{"type.googleapis.com/google.rpc.RetryInfo", RetryInfo{Duration{1 s, 500,000,000 ns}}}]}
constexpr const char* kRetryInfo =
    "CAgSBGZ1bGwaNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIARCAyrXuAQ==";

TEST(Verdict, ResourceExhaustedIsRetriedOnlyWithRetryInfo) {
  EXPECT_EQ(judge_grpc(http(200, {{"grpc-status", "8"}})).what, What::kRefused);
  const auto verdict = judge_grpc(http(200, {{"grpc-status", "8"}, {"grpc-status-details-bin", kRetryInfo}}));
  EXPECT_EQ(verdict.what, What::kRetry);
  EXPECT_EQ(verdict.wait, milliseconds(1500));
}

TEST(Verdict, GrpcPartialSuccess) {
  const std::string message = partial_success(2, "late");
  const std::string body = std::string("\0\0\0\0", 4) + static_cast<char>(message.size()) + message;
  const auto verdict = judge_grpc(http(200, {{"grpc-status", "0"}}, body));
  EXPECT_EQ(verdict.what, What::kAccepted);
  EXPECT_EQ(verdict.rejected_spans, 2U);
  EXPECT_EQ(verdict.why, "late");
}

TEST(Verdict, AProxysAnswerWithoutAGrpcStatus) {
  EXPECT_EQ(judge_grpc(http(503)).what, What::kRetry);
  EXPECT_EQ(judge_grpc(http(200)).what, What::kRefused);
  EXPECT_THAT(judge_grpc(http(404)).hint, HasSubstr("Is that a gRPC endpoint?"));
}

TEST(Backoff, GrowsToItsLongestWithJitter) {
  Backoff backoff(milliseconds(100), milliseconds(800), 1);
  for (const int whole : {100, 200, 400, 800, 800, 800}) {
    const auto wait = backoff.next();
    EXPECT_GE(wait, milliseconds(whole / 2));
    EXPECT_LE(wait, milliseconds(whole));
  }
  backoff.reset();
  EXPECT_LE(backoff.next(), milliseconds(100));
  EXPECT_NE(Backoff(milliseconds(100'000), milliseconds(100'000), 1).next(),
            Backoff(milliseconds(100'000), milliseconds(100'000), 2).next())
      << "agents do not return together";
}

TEST(Compressor, WhatGoesInComesOut) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "attribute " + std::to_string(i % 97) + ";";
  Compressor gzip(OtlpCompression::kGzip);
  Compressor zstd(OtlpCompression::kZstd);
  Compressor none(OtlpCompression::kNone);
  EXPECT_EQ(none.compress(text)->data(), text.data());
  for (const std::string& input : {text, std::string(), text.substr(0, 10), text}) {
    const auto zipped = gzip.compress(input);
    ASSERT_TRUE(zipped);
    std::string out(input.size() + 1, '\0');
    z_stream stream{};
    ASSERT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    std::string copy(*zipped);
    stream.next_in = reinterpret_cast<Bytef*>(copy.data());
    stream.avail_in = static_cast<uInt>(copy.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(out.substr(0, stream.total_out), input);
    inflateEnd(&stream);

    const auto packed = zstd.compress(input);
    ASSERT_TRUE(packed);
    const std::size_t size = ZSTD_decompress(out.data(), out.size(), packed->data(), packed->size());
    ASSERT_FALSE(ZSTD_isError(size));
    EXPECT_EQ(out.substr(0, size), input);
  }
}

}  // namespace
}  // namespace wirespan
