#include "exporters/encode/otlp_proto.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "exporters/encode/otlp_fields.h"
#include "exporters/encode/utf8.h"
#include "exporters/testing/sample.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"

namespace wirespan {
namespace {

using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

Request parse(std::string_view bytes) {
  Request request;
  EXPECT_TRUE(request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  // Canonical: what a generated class would have written, byte for byte.
  EXPECT_EQ(request.SerializeAsString(), bytes);
  return request;
}

std::string text_of(const Request& request) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(request, &text);
  return text;
}

TEST(OtlpProto, Golden) {
  OtlpProtoEncoder encoder;
  const std::vector<Span> batch = {sample::rich()};
  const std::string expected = R"(resource_spans {
  resource {
    attributes {
      key: "service.name"
      value {
        string_value: "shop"
      }
    }
    attributes {
      key: "process.command_args"
      value {
        array_value {
          values {
            string_value: "python"
          }
          values {
            string_value: "shop.py"
          }
        }
      }
    }
  }
  scope_spans {
    scope {
      name: "wirespan"
      version: ")" + std::string(scope_version()) +
                               R"("
    }
    spans {
      trace_id: "K\371/5w\263M\246\243\316\222\235\016\016G6"
      span_id: "\000\360g\252\013\251\002\267"
      trace_state: "vendor=value"
      parent_span_id: "\021\021\021\021\021\021\021\021"
      name: "GET \"quoted\"\n"
      kind: SPAN_KIND_CLIENT
      start_time_unix_nano: 1720000000125100000
      end_time_unix_nano: 1720000000128100000
      attributes {
        key: "http.response.status_code"
        value {
          int_value: 503
        }
      }
      attributes {
        key: "url.path"
        value {
          string_value: "/caf\303\251/\357\277\275\357\277\275"
        }
      }
      attributes {
        key: "wirespan.ratio"
        value {
          double_value: 0.5
        }
      }
      attributes {
        key: "http.request.resend"
        value {
          bool_value: true
        }
      }
      attributes {
        key: "below.zero"
        value {
          int_value: -7
        }
      }
      attributes {
        key: "http.request.header.accept"
        value {
          array_value {
            values {
              string_value: "text/html"
            }
            values {
              string_value: "application/json"
            }
          }
        }
      }
      attributes {
        key: "wirespan.link.method"
        value {
          string_value: "thread"
        }
      }
      attributes {
        key: "wirespan.link.confidence"
        value {
          double_value: 0.75
        }
      }
      events {
        time_unix_nano: 1720000000125200000
        name: "first_byte"
      }
      links {
        trace_id: "\000\000\000\000\000\000\000\007\000\000\000\000\000\000\000\010"
        span_id: "\000\000\000\000\000\000\000\t"
        attributes {
          key: "wirespan.link.method"
          value {
            string_value: "timing"
          }
        }
        attributes {
          key: "wirespan.link.confidence"
          value {
            double_value: 0.62
          }
        }
      }
      status {
        message: "upstream said \357\277\275 no"
        code: STATUS_CODE_ERROR
      }
      flags: 257
    }
  }
}
)";
  EXPECT_EQ(text_of(parse(encoder.encode(batch))), expected);
}

TEST(OtlpProto, SpansAreGroupedByProcessInTheOrderOfTheirFirst) {
  const auto shop = sample::process("shop");
  const auto stock = sample::process("stock");
  const std::vector<Span> batch = {sample::span(stock, SpanRole::kServer, 1, 0, "a", {0, 1}),
                                   sample::span(shop, SpanRole::kServer, 2, 0, "b", {0, 1}),
                                   sample::span(nullptr, SpanRole::kServer, 3, 0, "c", {0, 1}),
                                   sample::span(stock, SpanRole::kServer, 4, 0, "d", {0, 1})};
  OtlpProtoEncoder encoder;
  for (int round = 0; round < 2; ++round) {
    const Request request = parse(encoder.encode(batch));
    ASSERT_EQ(request.resource_spans_size(), 3);
    std::string seen;
    for (const auto& group : request.resource_spans()) {
      EXPECT_EQ(group.resource().attributes(0).key(), "service.name");
      seen += group.resource().attributes(0).value().string_value() + "(";
      for (const auto& span : group.scope_spans(0).spans()) seen += span.name();
      seen += ")";
    }
    EXPECT_EQ(seen, "stock(ad)shop(b)unknown_service(c)");
  }
}

TEST(OtlpProto, AServersParentIsRemoteAndARootSaysNothing) {
  const auto shop = sample::process("shop");
  const std::vector<Span> batch = {sample::span(shop, SpanRole::kServer, 1, 9, "a", {0, 1}),
                                   sample::span(shop, SpanRole::kServer, 2, 0, "b", {0, 1})};
  OtlpProtoEncoder encoder;
  const Request request = parse(encoder.encode(batch));
  const auto& spans = request.resource_spans(0).scope_spans(0).spans();
  EXPECT_EQ(spans[0].flags(), 0x301U);
  EXPECT_EQ(spans[1].flags(), 0x101U);
  EXPECT_TRUE(spans[1].parent_span_id().empty());
  for (const auto& attribute : spans[1].attributes()) EXPECT_NE(attribute.key(), "wirespan.link.method");
}

TEST(OtlpProto, LengthsAroundEveryVarintBorder) {
  // 2 and 3 bytes are left for lengths: shorter and longer ones move what follows.
  for (const std::size_t size : {0U, 1U, 80U, 100U, 127U, 128U, 200U, 16'000U, 16'383U, 16'384U, 20'000U, 3'000'000U}) {
    std::vector<Span> batch = {sample::span(sample::process("s"), SpanRole::kServer, 1, 0, "a", {0, 1}),
                               sample::span(sample::process("t"), SpanRole::kServer, 2, 0, "b", {0, 1})};
    batch[0].attributes.set("text", std::string(size, 'x'));
    batch[0].attributes.add("list", std::string(size, 'y'));
    OtlpProtoEncoder encoder;
    const Request request = parse(encoder.encode(batch));
    ASSERT_EQ(request.resource_spans_size(), 2);
    const auto& span = request.resource_spans(0).scope_spans(0).spans(0);
    EXPECT_EQ(span.attributes(1).value().string_value().size(), size);
    EXPECT_EQ(span.attributes(2).value().array_value().values(0).string_value().size(), size);
  }
}

TEST(OtlpProto, NoTextFromTheWireMakesAReceiverRefuseTheBatch) {
  Span span = sample::span(sample::process("s\xFF"), SpanRole::kServer, 1, 0, "n\xFF", {5, 1});
  span.trace_state = "v=\xFE";
  span.attributes.set("k\xFF", "v\xFF");
  span.attributes.set("", "no key");
  span.attributes.set("wirespan.link.method", "twice");
  span.parent = {.id = SpanId::from_u64(5), .method = "peer", .confidence = 1};
  OtlpProtoEncoder encoder;
  const Request request = parse(encoder.encode({&span, 1}));
  const auto& out = request.resource_spans(0).scope_spans(0).spans(0);
  EXPECT_TRUE(is_utf8(out.name()) && is_utf8(out.trace_state()));
  EXPECT_LE(out.start_time_unix_nano(), out.end_time_unix_nano());
  int methods = 0;
  for (const auto& attribute : out.attributes()) {
    EXPECT_TRUE(is_utf8(attribute.key()) && is_utf8(attribute.value().string_value()));
    EXPECT_FALSE(attribute.key().empty());
    methods += attribute.key() == "wirespan.link.method" ? 1 : 0;
  }
  EXPECT_EQ(methods, 1);
}

TEST(OtlpProto, AnEmptyBatchIsAnEmptyRequest) {
  OtlpProtoEncoder encoder;
  EXPECT_TRUE(encoder.encode({}).empty());
}

}  // namespace
}  // namespace wirespan
