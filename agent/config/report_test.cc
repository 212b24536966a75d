#include "agent/config/report.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace wirespan {
namespace {

LoadedConfig load(std::string_view yaml, ConfigSources sources = {}) {
  auto loaded = load_config_text(yaml, "w.yaml", sources);
  EXPECT_TRUE(loaded) << loaded.error().what;
  return loaded ? *loaded : LoadedConfig{};
}

constexpr std::string_view kFile = R"(
selectors: {ports: [80, 443], exe: ["a \"b\" $$c\\"]}
capture: {ring_size: 16MiB}
link: {threshold: 0.85, evidence: {thread: false}}
resource: {team: "x\ty"}
export: {otlp: {endpoint: "http://c", headers: {api-key: hunter2}}}
)";

TEST(Print, SaysOriginsAndHidesSecrets) {
  const std::string text = print_config(load(kFile));
  EXPECT_EQ(text.find("hunter2"), std::string::npos);
  for (const std::string_view line :
       {"selectors:\n  all: false", "  ring_size: 16MiB", "    headers: {\"api-key\": \"****\"}", "# w.yaml:3\n",
        "# default\n", "\nresource: {\"team\": \"x\\x09y\"}"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

TEST(Print, CanBeLoadedAgain) {
  LoadedConfig first = load(kFile);
  first.config.exporting.otlp.headers.clear();  // masked
  const LoadedConfig again = load(print_config(first));
  EXPECT_TRUE(diff_config(first.config, again.config).empty());
}

TEST(Diff, SaysWhatChangesAtOnce) {
  const Config before = load(kFile).config;
  Config after = before;
  EXPECT_TRUE(diff_config(before, after).empty());
  after.link.threshold = 0.5;
  after.capture.ring_size = 1 << 20;
  after.exporting.otlp.headers["api-key"] = "other";
  const auto changes = diff_config(before, after);
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_EQ(changes[0].key, "capture.ring_size");
  EXPECT_EQ(changes[0].from, "16MiB");
  EXPECT_EQ(changes[0].to, "1MiB");
  EXPECT_FALSE(changes[0].live);
  EXPECT_EQ(changes[1].key, "link.threshold");
  EXPECT_TRUE(changes[1].live);
  EXPECT_EQ(changes[2].key, "export.otlp.headers");
  EXPECT_EQ(changes[2].to, "{\"api-key\": \"****\"}");

  const Config taken = live_part(before, after);
  EXPECT_EQ(taken.link.threshold, 0.5);
  EXPECT_EQ(taken.capture.ring_size, before.capture.ring_size);
}

TEST(Otlp, VariablesForTheExporter) {
  ConfigSources sources;
  sources.environment = [](std::string_view name) -> std::optional<std::string> {
    return name == "OTEL_EXPORTER_OTLP_TIMEOUT" ? std::optional<std::string>("2500") : std::nullopt;
  };
  const LoadedConfig loaded =
      load("export: {otlp: {endpoint: 'http://c', headers: {k: 'a,b'}, insecure: true}}", sources);
  EXPECT_EQ(otlp_variable(loaded, "OTEL_EXPORTER_OTLP_ENDPOINT"), "http://c");
  EXPECT_EQ(otlp_variable(loaded, "OTEL_EXPORTER_OTLP_TRACES_HEADERS"), "k=a%2Cb");
  EXPECT_EQ(otlp_variable(loaded, "OTEL_EXPORTER_OTLP_TRACES_INSECURE"), "true");
  EXPECT_EQ(otlp_variable(loaded, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"), "2500");
  EXPECT_FALSE(otlp_variable(loaded, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
  EXPECT_FALSE(otlp_variable(loaded, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")) << "the exporter's own default";
  EXPECT_FALSE(otlp_variable(loaded, "PATH"));
}

TEST(Exporters, WhatFollowsFromWhatIsSet) {
  EXPECT_EQ(exporters_of(load("").config, "console"), (Texts{"console"}));
  EXPECT_EQ(exporters_of(load("export: {otlp: {endpoint: 'http://c'}}").config, "console"), (Texts{"otlp"}));
  EXPECT_EQ(exporters_of(load("export: {file: {path: x}, otlp: {traces_endpoint: 'http://c'}}").config, "console"),
            (Texts{"otlp", "file"}));
  EXPECT_EQ(exporters_of(load("export: {to: [console], otlp: {endpoint: 'http://c'}}").config, "otlp"),
            (Texts{"console"}));
  EXPECT_EQ(exporters_of(load("export: {to: none}").config, "otlp"), Texts{});
}

TEST(Reference, DocsAreUpToDate) {
  std::ifstream in(WIRESPAN_SOURCE_DIR "/docs/configuration.md");
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), config_reference()) << "run build/dev/config_reference > docs/configuration.md";
}

}  // namespace
}  // namespace wirespan
