#include "model/attributes.h"

#include <gtest/gtest.h>

namespace wirespan {
namespace {

TEST(Attributes, SetReplacesAndArraysStayAdjacent) {
  Attributes a;
  a.set("http.request.method", "GET");
  a.set("http.response.status_code", 200);
  a.add("http.request.header.x", "1");
  a.set("server.port", std::uint16_t{80});
  a.add("http.request.header.x", "2");
  a.set("http.request.method", "PUT");

  EXPECT_EQ(a.text("http.request.method"), "PUT");
  EXPECT_EQ(std::get<std::int64_t>(*a.find("http.response.status_code")), 200);
  std::string order;
  a.visit([&](std::string_view key, const AttributeValue& value, bool in_array) {
    if (in_array) order += std::string(key) + "=" + std::string(std::get<std::string_view>(value)) + ";";
  });
  EXPECT_EQ(order, "http.request.header.x=1;http.request.header.x=2;");
  EXPECT_FALSE(a.find("absent"));
}

TEST(Attributes, AppendCopiesValues) {
  Attributes a;
  {
    Attributes b;
    b.set("k", std::string("value"));
    b.set("ok", true);
    b.add("list", "x");
    a.append(b);
  }
  EXPECT_EQ(a.text("k"), "value");
  EXPECT_EQ(a.size(), 3U);
}

}  // namespace
}  // namespace wirespan
