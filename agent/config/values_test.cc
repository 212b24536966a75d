#include "agent/config/values.h"

#include <gtest/gtest.h>

#include <set>

namespace wirespan::config {
namespace {

Config g_config;  // slots need a place

std::string set(std::string_view name, std::string_view text) {
  g_config = {};
  const Key& key = *find_key(name);
  return set_line(key, text, key.slot(g_config));
}

TEST(Values, Sizes) {
  for (const auto& [text, bytes] : {std::pair<std::string_view, std::int64_t>{"4096", 4096},
                                    {"4KiB", 4096},
                                    {"4k", 4096},
                                    {"4 KiB", 4096},
                                    {"128B", 128}}) {
    EXPECT_EQ(set("capture.bytes", text), "") << text;
    EXPECT_EQ(g_config.capture.bytes, bytes) << text;
  }
  for (const std::string_view text :
       {"", "lots", "-1", "4XB", "1.5KiB", "4KB", "17KiB", "63", "99999999999999999999", "9223372036854775807GiB"}) {
    EXPECT_NE(set("capture.bytes", text), "") << text;
  }
}

TEST(Values, Durations) {
  for (const auto& [text, ms] :
       {std::pair<std::string_view, std::int64_t>{"10s", 10'000}, {"250", 250}, {"250ms", 250}, {"1m", 60'000}}) {
    EXPECT_EQ(set("export.otlp.timeout", text), "") << text;
    EXPECT_EQ(g_config.exporting.otlp.timeout.count(), ms) << text;
  }
  for (const std::string_view text : {"soon", "10 years", "0", "2h", "-1s"}) {
    EXPECT_NE(set("export.otlp.timeout", text), "") << text;
  }
}

TEST(Values, RatiosFlagsChoices) {
  EXPECT_EQ(set("link.threshold", "0.95"), "");
  EXPECT_EQ(g_config.link.threshold, 0.95);
  for (const std::string_view text : {"1.1", "-0.1", "nan", "inf", "", "0,5"})
    EXPECT_NE(set("link.threshold", text), "") << text;
  EXPECT_EQ(set("selectors.all", "True"), "");
  EXPECT_TRUE(g_config.selectors.all);
  EXPECT_NE(set("selectors.all", "yes"), "");
  EXPECT_EQ(set("export.otlp.protocol", "grpc"), "");
  EXPECT_EQ(set("export.otlp.protocol", "http/proto"),
            "\"http/proto\" is not one of them; did you mean http/protobuf?");
}

TEST(Values, ListsAndMaps) {
  EXPECT_EQ(set("selectors.ports", "80, 443 ,,8080"), "");
  EXPECT_EQ(g_config.selectors.ports, (std::vector<std::int64_t>{80, 443, 8080}));
  EXPECT_NE(set("selectors.ports", "80,65536"), "");
  EXPECT_NE(set("selectors.ports", "http"), "");
  EXPECT_EQ(set("http.request_headers", "X-Tenant,ACCEPT"), "");
  EXPECT_EQ(g_config.http.request_headers, (Texts{"x-tenant", "accept"}));
  EXPECT_EQ(set("export.otlp.headers", "api-key=a%3Db%2C,x = y z"), "");
  EXPECT_EQ(g_config.exporting.otlp.headers, (TextMap{{"api-key", "a=b,"}, {"x", "y z"}}));
  EXPECT_EQ(to_line(g_config.exporting.otlp.headers), "api-key=a%3Db%2C,x=y%20z");
  EXPECT_NE(set("export.otlp.headers", "key"), "");
  EXPECT_NE(set("export.otlp.headers", "key=%4"), "");
  EXPECT_NE(set("export.otlp.headers", "=v"), "");
}

TEST(Values, Nearest) {
  const std::vector<std::string_view> names = {"endpoint", "protocol", "headers"};
  EXPECT_EQ(nearest("endpont", names), "endpoint");
  EXPECT_EQ(nearest("header", names), "headers");
  EXPECT_FALSE(nearest("compression", names));
  EXPECT_FALSE(nearest("", names));
}

// Each key has everything its form needs: nothing else holds the table to that.
TEST(Schema, IsComplete) {
  std::set<std::string_view> names;
  std::set<std::string_view> finished;
  std::string_view section;
  for (const Key& key : schema()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    if (section_of(key.name) != section) {
      EXPECT_TRUE(finished.insert(section).second || section.empty()) << key.name << ": its section is in two places";
      section = section_of(key.name);
      EXPECT_FALSE(finished.contains(section) && !section.empty()) << key.name;
    }
    const bool bounded = key.form == Form::kNumber || key.form == Form::kSize || key.form == Form::kDuration ||
                         key.form == Form::kNumbers;
    EXPECT_EQ(bounded, key.most != 0) << key.name;
    EXPECT_EQ(key.form == Form::kChoice || key.form == Form::kChoices, !key.choices.empty()) << key.name;
    EXPECT_TRUE(!key.doc.empty() || !key.choices.empty()) << key.name;
    // The default can be said: what is printed can be read.
    Config config;
    const Slot slot = key.slot(config);
    if (!is_list(key.form) && !is_map(key.form) && key.form != Form::kText) {
      std::string text = to_yaml(slot, key.form, false);
      std::erase(text, '"');
      EXPECT_EQ(set_scalar(key, text, slot), "") << key.name;
    }
    // No name is a section and a key at once.
    for (const Key& other : schema()) EXPECT_NE(section_of(other.name), key.name);
  }
}

}  // namespace
}  // namespace wirespan::config
