#include "exporters/otlp/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace wirespan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using Environment = std::map<std::string, std::string, std::less<>>;

Result<OtlpOptions> from(const Environment& environment) {
  return OtlpOptions::from_environment([&](std::string_view name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    if (found == environment.end()) return std::nullopt;
    return found->second;
  });
}

std::string url_from(const Environment& environment) {
  const auto options = from(environment);
  return options ? options->url : "error: " + options.error().text();
}

constexpr std::string_view kGrpcPath = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

TEST(OtlpOptions, DefaultsAreTheSpecifications) {
  const auto options = from({});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->protocol, OtlpProtocol::kHttpProtobuf);
  EXPECT_EQ(options->url, "http://localhost:4318/v1/traces");
  EXPECT_EQ(options->compression, OtlpCompression::kNone);
  EXPECT_EQ(options->timeout.count(), 10'000);
  EXPECT_TRUE(options->headers.empty());
  EXPECT_EQ(url_from({{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}}), "http://localhost:4317" + std::string(kGrpcPath));
}

TEST(OtlpOptions, ABaseGetsThePathAndATracesEndpointIsTakenAsItIs) {
  const auto base = [](const std::string& url) { return url_from({{"OTEL_EXPORTER_OTLP_ENDPOINT", url}}); };
  const auto traces = [](const std::string& url) { return url_from({{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url}}); };
  EXPECT_EQ(base("http://collector:4318"), "http://collector:4318/v1/traces");
  EXPECT_EQ(base("http://collector:4318/"), "http://collector:4318/v1/traces");
  EXPECT_EQ(base("https://vendor.example/otlp"), "https://vendor.example/otlp/v1/traces");
  EXPECT_EQ(base("https://vendor.example/otlp/"), "https://vendor.example/otlp/v1/traces");
  EXPECT_EQ(base("http://[::1]:4318"), "http://[::1]:4318/v1/traces");
  EXPECT_EQ(traces("http://collector:4318"), "http://collector:4318/");
  EXPECT_EQ(traces("http://collector:4318/here"), "http://collector:4318/here");
  EXPECT_EQ(
      url_from({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2/x"}}),
      "http://b:2/x");
  EXPECT_EQ(url_from({{"OTEL_EXPORTER_OTLP_ENDPOINT", ""}}), "http://localhost:4318/v1/traces") << "empty is unset";
}

TEST(OtlpOptions, GrpcTakesAHostWithoutSchemeAndInsecureDecidesAboutTls) {
  const auto grpc = [](Environment environment) {
    environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc";
    return url_from(environment);
  };
  EXPECT_EQ(grpc({{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"}}),
            "https://collector:4317" + std::string(kGrpcPath));
  EXPECT_EQ(grpc({{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"}, {"OTEL_EXPORTER_OTLP_INSECURE", "TRUE"}}),
            "http://collector:4317" + std::string(kGrpcPath));
  EXPECT_EQ(grpc({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"}, {"OTEL_EXPORTER_OTLP_INSECURE", "false"}}),
            "http://collector:4317" + std::string(kGrpcPath))
      << "a scheme wins";
  EXPECT_EQ(grpc({{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector"}}),
            "https://collector:4317" + std::string(kGrpcPath));
}

TEST(OtlpOptions, TheSignalsOwnVariableWins) {
  const auto options = from({{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                             {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"},
                             {"OTEL_EXPORTER_OTLP_TIMEOUT", "1"},
                             {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"},
                             {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
                             {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"},
                             {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/a"},
                             {"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/b"},
                             {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key"},
                             {"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/cert"},
                             {"OTEL_EXPORTER_OTLP_HEADERS", "a=1"},
                             {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"}});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->protocol, OtlpProtocol::kHttpJson);
  EXPECT_EQ(options->timeout.count(), 2500);
  EXPECT_EQ(options->compression, OtlpCompression::kNone);
  EXPECT_EQ(options->ca_file, "/b");
  EXPECT_EQ(options->client_key_file, "/key");
  EXPECT_EQ(options->client_certificate_file, "/cert");
  EXPECT_THAT(options->headers, ElementsAre(Pair("b", "2")));
}

TEST(OtlpOptions, HeadersAreUrlDecodedAndCannotSmuggleLines) {
  OtlpOptions options;
  EXPECT_TRUE(options.set_headers(" api-key = abc%3D%20d , tenant=x=y,,empty="));
  EXPECT_THAT(options.headers, ElementsAre(Pair("api-key", "abc= d"), Pair("tenant", "x=y"), Pair("empty", "")));
  for (const char* bad : {"novalue", "=x", "a b=c", "a=%0d%0aHost: evil", "a=%zz", "a=%4", "a%0a=1"}) {
    EXPECT_FALSE(options.set_headers(bad)) << bad;
  }
  EXPECT_EQ(options.headers.size(), 3U) << "a mistake changes nothing";
}

TEST(OtlpOptions, AMistakeNamesTheVariableAndWhatItMayBe) {
  const auto text = [](const Environment& environment) {
    const auto options = from(environment);
    return options ? std::string("accepted") : options.error().text();
  };
  EXPECT_EQ(text({{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift"}}),
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'thrift' is not a protocol. Use grpc, http/protobuf or http/json.");
  EXPECT_THAT(text({{"OTEL_EXPORTER_OTLP_COMPRESSION", "lz4"}}), HasSubstr("OTEL_EXPORTER_OTLP_COMPRESSION: 'lz4'"));
  for (const char* bad : {"soon", "0", "-1", "10s", "99999999999"}) {
    EXPECT_THAT(text({{"OTEL_EXPORTER_OTLP_TIMEOUT", bad}}), HasSubstr("OTEL_EXPORTER_OTLP_TIMEOUT"));
  }
  for (const char* bad : {"collector:4318", "ftp://x", "http://", "http://a b", "://"}) {
    EXPECT_THAT(text({{"OTEL_EXPORTER_OTLP_ENDPOINT", bad}}), HasSubstr("OTEL_EXPORTER_OTLP_ENDPOINT: '")) << bad;
  }
  EXPECT_THAT(text({{"OTEL_EXPORTER_OTLP_INSECURE", "yes"}}), HasSubstr("neither true nor false"));
}

TEST(OtlpOptions, OneUrlSaysWhatAUserMeans) {
  const auto point = [](std::string_view url) {
    OtlpOptions options;
    const Status status = options.point_at(url);
    return status ? options.url : "error: " + status.error().text();
  };
  EXPECT_EQ(point("http://localhost:4318"), "http://localhost:4318/v1/traces");
  EXPECT_EQ(point("http://localhost:4318/v1/traces"), "http://localhost:4318/v1/traces");
  EXPECT_EQ(point("localhost:4318"), "http://localhost:4318/v1/traces");
  EXPECT_EQ(point("localhost:4317"), "http://localhost:4317" + std::string(kGrpcPath));
  EXPECT_EQ(point("https://collector:4317"), "https://collector:4317" + std::string(kGrpcPath));
  EXPECT_EQ(point("grpc://collector:9999"), "http://collector:9999" + std::string(kGrpcPath));
  EXPECT_EQ(point("grpcs://collector:9999"), "https://collector:9999" + std::string(kGrpcPath));
  EXPECT_THAT(point("http://"), HasSubstr("error: 'http://' is not an OTLP endpoint"));

  // The protocol that the environment asked for stays, on a port that says nothing.
  OtlpOptions options;
  options.protocol = OtlpProtocol::kGrpc;
  EXPECT_TRUE(options.point_at("http://127.0.0.1:33333"));
  EXPECT_EQ(options.protocol, OtlpProtocol::kGrpc);
  options.protocol = OtlpProtocol::kHttpJson;
  EXPECT_TRUE(options.point_at("http://127.0.0.1:33333"));
  EXPECT_EQ(options.protocol, OtlpProtocol::kHttpJson);
}

}  // namespace
}  // namespace wirespan
