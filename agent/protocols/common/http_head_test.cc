#include "agent/protocols/common/http_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace wirespan::protocols {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> out;
  HttpFieldLines fields(text);
  while (fields.next()) out.push_back(std::string(fields.name()) + "=" + std::string(fields.value()));
  return out;
}

TEST(HttpHead, FieldLines) {
  EXPECT_THAT(lines("A: b\r\nC : d\nE:\r\n\r\nbody: no"), ElementsAre("A=b", "C=d", "E="));
  EXPECT_THAT(lines("A: b\r\n  c\r\nX\r\n: y\r\nD: e\r\n"), ElementsAre("A=b\r\n  c", "D=e"));
  EXPECT_THAT(lines("cut: i"), IsEmpty());
}

TEST(HttpHead, FieldsMeanTheSameInEveryVersion) {
  const HttpHeaderList wanted("http.request.header.", {"X-Shop"}, {"x-order"});
  HttpHead head;
  EXPECT_EQ(add_http_field("Host", "a", wanted, head), HttpField::kHost);
  add_http_field("host", "b", wanted, head);
  add_http_field("x-shop", "7", wanted, head);
  add_http_field("X-Order", "8", wanted, head);
  add_http_field("traceparent", "00-1", wanted, head);
  EXPECT_EQ(add_http_field("content-length", "3", wanted, head), HttpField::kContentLength);
  EXPECT_EQ(head.facts.authority, "a");
  EXPECT_THAT(head.captured, ElementsAre(Pair("http.request.header.x-shop", "7")));
  EXPECT_THAT(head.carried, ElementsAre(Pair("x-order", "8"), Pair("traceparent", "00-1")));
  clear(head);
  EXPECT_THAT(head.carried, IsEmpty());
}

}  // namespace
}  // namespace wirespan::protocols
