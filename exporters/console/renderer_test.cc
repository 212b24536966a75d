#include "exporters/console/renderer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <sstream>
#include <string>
#include <vector>

#include "exporters/console/text.h"
#include "exporters/testing/sample.h"

namespace wirespan {
namespace {

constexpr auto S = SpanRole::kServer;
constexpr auto C = SpanRole::kClient;

class RendererTest : public testing::Test {
 protected:
  RendererTest() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }

  Span& add(const ProcessInfoPtr& process, SpanRole role, std::uint64_t id, std::uint64_t parent, std::string_view name,
            sample::Times times, std::int64_t status = 200) {
    return spans.emplace_back(sample::span(process, role, id, parent, name, times, status));
  }

  std::string render(const RenderOptions& options) {
    TraceBook book;
    for (const Span& span : spans) book.add(span, {});
    std::string out;
    for (const ShownTrace& trace : book.take_all()) renderer.render(trace, options, out);
    return out;
  }

  // The last span comes first, as it does from the pipeline.
  void checkout() {
    const auto nginx = sample::process("nginx");
    const auto shop = sample::process("shop-api");
    const auto stock = sample::process("stock");
    const auto payments = sample::process("payments");
    spans.reserve(16);
    add(payments, S, 7, 6, "POST /charge", {3200, 8900}, 503).status_message = "upstream timed out";
    Span& call = add(payments, C, 8, 7, "GET", {3500, 8800}, 504);
    call.attributes.set("server.address", "ledger.internal");
    call.attributes.set("server.port", 8443);
    call.attributes.set("error.type", "timeout");
    add(stock, S, 5, 4, "GET /items/{id}", {1400, 2380});
    add(shop, C, 4, 3, "GET", {1200, 2510});
    Span& charge = add(shop, C, 6, 3, "POST", {3000, 9020}, 503);
    charge.parent.method = "only_request";
    charge.parent.confidence = 0.836;
    add(stock, S, 10, 9, "GET /recommendations", {9700, 11600});
    add(shop, C, 9, 3, "GET", {9500, 11800});
    add(shop, S, 3, 2, "GET /checkout", {700, 12100});
    add(nginx, C, 2, 1, "GET", {400, 12300});
    add(nginx, S, 1, 0, "GET /checkout", {0, 12400});
  }

  std::vector<Span> spans;
  Renderer renderer;
};

TEST_F(RendererTest, ATraceReadsAtAGlance) {
  checkout();
  EXPECT_EQ(
      render({.width = 118}),
      R"(● GET /checkout  12.4 ms  10 spans  4 services  3 errors  09:46:40.125  trace 4bf92f3577b34da6a3ce929d0e0e4736
  nginx     GET /checkout                          █████████████████████████████████    12.4 ms  200
  nginx     └ → GET                                 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    11.9 ms  200
  shop-api    └ GET /checkout                       ███████████████████████████████▎    11.4 ms  200
  shop-api      ├ → GET                               ━━━━                              1.31 ms  200
  stock         │ └ GET /items/{id}                   ███▍                               980 µs  200
  shop-api      ├ → POST                                  ╺━━━━━━━━━━━━━━━━╸            6.02 ms  503  only request 83%
  payments      │ └ POST /charge                           ███████████████▋             5.70 ms  503
                │   │ ↪ upstream timed out
  payments      │   └ → GET  ledger.internal:8443           ━━━━━━━━━━━━━━╸             5.30 ms  504 timeout
  shop-api      └ → GET                                                     ━━━━━━╸     2.30 ms  200
  stock           └ GET /recommendations                                    █████▉      1.90 ms  200

)");
}

TEST_F(RendererTest, AsciiAndNarrow) {
  checkout();
  EXPECT_EQ(
      render({.width = 80, .unicode = false}),
      R"(* GET /checkout  12.4 ms  10 spans  4 services  3 errors  09:46:40.125  trace 4bf92f3577b34da6a3ce929d0e0e4736
  nginx     GET /checkout                     ##########    12.4 ms  200
  nginx     `-> GET                           ==========    11.9 ms  200
  shop-api    `-GET /checkout                 ##########    11.4 ms  200
  shop-api      |-> GET                       ===           1.31 ms  200
  stock         | `-GET /items/{id}            #             980 us  200
  shop-api      |-> POST                        ======      6.02 ms  503
                | | - parent by only request 83%
  payments      | `-POST /charge                ######      5.70 ms  503
                |   | - upstream timed out
  payments      |   `-> GET  ledger.interna~    ======      5.30 ms  504 timeout
  shop-api      `-> GET                              ===    2.30 ms  200
  stock           `-GET /recommendations             ###    1.90 ms  200

)");
}

TEST_F(RendererTest, NoLineIsWiderThanTheTerminal) {
  checkout();
  spans.back().name = "GET /a/very/long/name/日本語日本語日本語日本語日本語/that/does/not/fit/anywhere";
  for (std::size_t width = 72; width < 200; ++width) {
    std::istringstream lines(render({.width = width}));
    std::string line;
    std::getline(lines, line);  // the headline may wrap: nothing of it may be missing
    while (std::getline(lines, line)) EXPECT_LE(columns(line), width) << line;
  }
}

TEST_F(RendererTest, WhatIsNotCertainOrNotThereIsSaid) {
  const auto shop = sample::process("shop");
  Span& span = add(shop, S, 1, 0x77, "GET /a", {0, 900});
  span.parent.method = "traceparent";
  Span& loose = add(shop, C, 2, 0, "GET", {100, 200});
  loose.attributes.set("wirespan.link.missing", "several_open");
  loose.attributes.set("wirespan.link.candidates", 3);
  loose.attributes.set("wirespan.incomplete", "no_response");
  SpanLink link;
  link.trace = loose.trace;
  link.span = SpanId::from_u64(1);
  link.attributes.set("wirespan.link.method", "timing");
  link.attributes.set("wirespan.link.confidence", 0.629);
  loose.links.push_back(link);
  SpanLink plain;
  plain.trace = TraceId::from_u64(1, 2);
  plain.span = SpanId::from_u64(3);
  loose.links.push_back(plain);
  EXPECT_EQ(render({.width = 110}),
            R"(● GET /a  900 µs  2 spans  1 service  09:46:40.125  trace 4bf92f3577b34da6a3ce929d0e0e4736
  shop  GET /a    ████████████████████████████████████████████████████████████████████████████     900 µs  200
          ↑ its parent 0000000000000077 (traceparent) was not seen here
  shop  → GET             ━━━━━━━━━                                                                100 µs  200
          ↪ may belong to span 0000000000000001 (timing 62%)
          ↪ linked to trace 00000000000000010000000000000002 span 0000000000000003
          ↪ incomplete: no response
          ↪ no parent: several open, 3 candidates

)");
}

TEST_F(RendererTest, ColoursAreWholeAndErrorsRed) {
  add(sample::process("shop"), S, 1, 0, "GET /", {0, 1000}, 500);
  const std::string out = render({.width = 80, .colour = true});
  EXPECT_THAT(out, testing::HasSubstr("\x1b[1;31m500"));
  EXPECT_THAT(out, testing::HasSubstr("\x1b[36mshop\x1b[0m"));
  bool open = false;
  for (std::size_t at = 0; (at = out.find("\x1b[", at)) != std::string::npos; ++at) {
    const bool reset = out.compare(at, 4, "\x1b[0m") == 0;
    EXPECT_EQ(open, reset) << "every colour is ended before the next";
    open = !reset;
  }
  EXPECT_FALSE(open);
}

TEST_F(RendererTest, ACircleADoubleAndAChainOfThousandsAreShown) {
  const auto shop = sample::process("shop");
  add(shop, S, 1, 2, "a", {0, 10});
  add(shop, S, 2, 1, "b", {1, 9});
  add(shop, S, 3, 3, "own parent", {2, 3});
  add(shop, S, 3, 0, "double", {2, 3});
  const std::string circle = render({.width = 100});
  for (const char* name : {"a ", "b ", "own parent", "double"}) EXPECT_THAT(circle, testing::HasSubstr(name));

  spans.clear();
  for (std::uint64_t id = 1; id < 2000; ++id) add(shop, S, id, id - 1, "deep", {id, 4000 - id});
  const std::string deep = render({.width = 100});
  EXPECT_THAT(deep, testing::HasSubstr("and 1,799 more spans (--json FILE has all of them)"));
}

}  // namespace
}  // namespace wirespan
