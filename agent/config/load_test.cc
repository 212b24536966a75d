#include "agent/config/load.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace wirespan {
namespace {

ConfigSources with(std::map<std::string, std::string, std::less<>> environment,
                   std::vector<ConfigOverride> overrides = {}) {
  ConfigSources sources;
  sources.environment = [environment](std::string_view name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  sources.overrides = std::move(overrides);
  return sources;
}

Config good(std::string_view yaml, const ConfigSources& sources = {}) {
  auto loaded = load_config_text(yaml, "w.yaml", sources);
  EXPECT_TRUE(loaded) << loaded.error().what;
  return loaded ? loaded->config : Config{};
}

std::string bad(std::string_view yaml, const ConfigSources& sources = {}) {
  const auto loaded = load_config_text(yaml, "w.yaml", sources);
  EXPECT_FALSE(loaded) << yaml;
  return loaded ? std::string() : loaded.error().what;
}

TEST(Load, AFullFile) {
  const Config c = good(R"(
# comment
selectors:
  pids: [12, 13]
  exe: ["/opt/*", nginx]
  ports: 8080
capture: {bytes: 2KiB}
http:
  request_headers: [X-Tenant]
  query: secrets
redaction:
link:
  threshold: 0.9
  evidence: {only_open: false}
resource:
  deployment.environment.name: test
export:
  otlp:
    endpoint: http://collector:4318
    headers:
      api-key: "k1"
    timeout: 5s
)");
  EXPECT_EQ(c.selectors.pids, (std::vector<std::int64_t>{12, 13}));
  EXPECT_EQ(c.selectors.exe, (Texts{"/opt/*", "nginx"}));
  EXPECT_EQ(c.selectors.ports, (std::vector<std::int64_t>{8080})) << "a list of one may be written without brackets";
  EXPECT_EQ(c.capture.bytes, 2048);
  EXPECT_EQ(c.http.request_headers, (Texts{"x-tenant"}));
  EXPECT_EQ(c.http.query, "secrets");
  EXPECT_EQ(c.link.threshold, 0.9);
  EXPECT_EQ(c.link.evidence, (FlagMap{{"only_open", false}}));
  EXPECT_EQ(c.resource, (TextMap{{"deployment.environment.name", "test"}}));
  EXPECT_EQ(c.exporting.otlp.endpoint, "http://collector:4318");
  EXPECT_EQ(c.exporting.otlp.headers, (TextMap{{"api-key", "k1"}}));
  EXPECT_EQ(c.exporting.otlp.timeout, std::chrono::seconds(5));
}

TEST(Load, NothingIsTheDefaults) {
  for (const std::string_view yaml : {"", "---\n", "# only a comment\n", "capture:\n  bytes:\n"}) {
    EXPECT_EQ(good(yaml).capture.bytes, 1024) << yaml;
  }
}

TEST(Load, UnknownKeysNameFileLineAndWhatIsAllowed) {
  EXPECT_EQ(
      bad("capture:\n  byte: 1\n"),
      "w.yaml:2: unknown key \"byte\" in capture; did you mean \"bytes\"? Allowed: bytes, ring_size, max_connections, "
      "plan");
  EXPECT_EQ(bad("exporter: {}\n").substr(0, 56), "w.yaml:1: unknown key \"exporter\"; did you mean \"export\"?");
  EXPECT_NE(bad("export.otlp.endpoint: x\n").find("unknown key \"export.otlp.endpoint\""), std::string::npos)
      << "sections are maps, not dotted names";
  EXPECT_NE(bad("<<: {a: b}\n").find("unknown key \"<<\""), std::string::npos);
}

TEST(Load, WrongValuesNameFileLineAndWhatIsAllowed) {
  EXPECT_EQ(bad("\n\ncapture:\n  bytes: lots\n"),
            "w.yaml:4: capture.bytes: \"lots\" is no size; allowed: 64 to 16KiB, such as 256");
  EXPECT_EQ(bad("link: {threshold: 2}"), "w.yaml:1: link.threshold: \"2\" is out of range; allowed: 0 to 1");
  EXPECT_EQ(bad("export: {otlp: {protocol: http}}").substr(0, 63),
            "w.yaml:1: export.otlp.protocol: \"http\" is not one of them; allo");
  EXPECT_EQ(bad("selectors:\n  ports:\n    - 80\n    - http\n"),
            "w.yaml:4: selectors.ports: \"http\" is no whole number; allowed: a list of numbers, 1 to 65535");
  EXPECT_NE(bad("selectors: {all: yes}").find("allowed: true, false"), std::string::npos);
  EXPECT_NE(bad("capture: 5").find("w.yaml:1: capture must be a map; allowed in it: bytes"), std::string::npos);
  EXPECT_NE(bad("capture: {bytes: [1]}").find("a list cannot stand here"), std::string::npos);
  EXPECT_NE(bad("capture: {bytes: {a: 1}}").find("a map cannot stand here"), std::string::npos);
  EXPECT_NE(bad("selectors: {exe: [[a]]}").find("a text or number is needed"), std::string::npos);
  EXPECT_NE(bad("selectors: {exe: [~]}").find("a value is missing"), std::string::npos);
  EXPECT_NE(bad("- a\n- b\n").find("the file must be a map"), std::string::npos);
}

TEST(Load, EveryMistakeIsSaidAtOnce) {
  const std::string what = bad("capture:\n  bytes: x\n  rings: 1\nlog:\n  level: loud\n");
  EXPECT_EQ(std::count(what.begin(), what.end(), '\n'), 2) << what;
  for (const std::string_view where : {"w.yaml:2:", "w.yaml:3:", "w.yaml:5:"}) {
    EXPECT_NE(what.find(where), std::string::npos) << where;
  }
}

TEST(Load, NotYaml) {
  EXPECT_EQ(bad("capture: {bytes: 1\nlog: [").substr(0, 7), "w.yaml:");
  EXPECT_NE(bad("a: b\n---\nc: d\n").find("only one YAML document"), std::string::npos);
  EXPECT_NE(bad("log: {level: info}\nlog: {level: warn}\n").find("w.yaml:2: \"log\" is here for the second time"),
            std::string::npos);
  EXPECT_NE(bad("resource: {a: 1, a: 2}\n").find("second time"), std::string::npos);
  EXPECT_NE(bad("? [a]\n: b\n").find("a name must be text"), std::string::npos);
}

TEST(Load, SecretsAreNotRepeatedInMessages) {
  const std::string what = bad("export: {otlp: {headers: hunter2}}");
  EXPECT_EQ(what.find("hunter2"), std::string::npos) << what;
}

TEST(Load, VariablesInTheFile) {
  const auto sources = with({{"HOST", "collector"}, {"EMPTY", ""}, {"TRICK", "${HOST}"}});
  EXPECT_EQ(good("service: {name: \"a-${HOST}-${env:HOST}-$$-$x\"}", sources).service.name,
            "a-collector-collector-$-$x");
  EXPECT_EQ(good("service: {name: \"${NONE:-fallback}\"}", sources).service.name, "fallback");
  EXPECT_EQ(good("service: {name: \"${EMPTY:-fallback}\"}", sources).service.name, "fallback");
  EXPECT_EQ(good("service: {name: \"${TRICK}\"}", sources).service.name, "${HOST}") << "expanded once only";
  EXPECT_EQ(good("capture: {bytes: \"${NONE}\"}", sources).capture.bytes, 1024) << "empty is as if not there";
  EXPECT_NE(bad("service: {name: \"${1A}\"}", sources).find("w.yaml:1: service.name: a variable is written"),
            std::string::npos);
  EXPECT_NE(bad("service: {name: \"${A\"}", sources).find("a variable is written"), std::string::npos);
}

TEST(Load, FlagsBeforeEnvironmentBeforeFile) {
  const std::string_view yaml = "service: {name: from-file}\nlog: {level: debug}\n";
  EXPECT_EQ(good(yaml).service.name, "from-file");
  EXPECT_EQ(good(yaml, with({{"OTEL_SERVICE_NAME", "from-env"}})).service.name, "from-env");
  EXPECT_EQ(good(yaml, with({{"OTEL_SERVICE_NAME", ""}})).service.name, "from-file") << "empty is unset";
  const auto all = with({{"OTEL_SERVICE_NAME", "from-env"}}, {{"service.name", "from-flag", "--service"}});
  const auto loaded = load_config_text(yaml, "w.yaml", all);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.service.name, "from-flag");
  EXPECT_EQ(loaded->origins.find("service.name")->second.text(), "--service");
  EXPECT_EQ(loaded->origins.find("log.level")->second.text(), "w.yaml:2");
  EXPECT_EQ(loaded->origins.find("link.threshold")->second.text(), "default");
}

TEST(Load, StandardVariables) {
  const Config c = good("", with({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"},
                                  {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                                  {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"},
                                  {"OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c,d=e"},
                                  {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
                                  {"OTEL_EXPORTER_OTLP_TIMEOUT", "2500"},
                                  {"OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true"},
                                  {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"},
                                  {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem"},
                                  {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem"},
                                  {"OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb,region=eu"},
                                  {"OTEL_BSP_MAX_QUEUE_SIZE", "100"},
                                  {"OTEL_TRACES_EXPORTER", "otlp,console"},
                                  {"OTEL_LOG_LEVEL", "warn"}}));
  EXPECT_EQ(c.exporting.otlp.endpoint, "http://c:4318");
  EXPECT_EQ(c.exporting.otlp.protocol, "http/json") << "the variable for traces wins";
  EXPECT_EQ(c.exporting.otlp.headers, (TextMap{{"a", "b c"}, {"d", "e"}}));
  EXPECT_EQ(c.exporting.otlp.compression, "gzip");
  EXPECT_EQ(c.exporting.otlp.timeout.count(), 2500);
  EXPECT_TRUE(c.exporting.otlp.insecure);
  EXPECT_EQ(c.exporting.otlp.client_key, "/k.pem");
  EXPECT_EQ(c.resource, (TextMap{{"team", "a,b"}, {"region", "eu"}}));
  EXPECT_EQ(c.exporting.queue.max_spans, 100);
  EXPECT_EQ(c.exporting.to, (Texts{"otlp", "console"}));
  EXPECT_EQ(c.log.level, "warn");
}

TEST(Load, WrongVariablesAreReportedAndIgnored) {
  const auto loaded = load_config_text("export: {otlp: {compression: gzip}}", "w.yaml",
                                       with({{"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "brotli"},
                                             {"OTEL_EXPORTER_OTLP_HEADERS", "hunter2"},
                                             {"OTEL_TRACES_EXPORTER", "zipkin"}}));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.exporting.otlp.compression, "gzip");
  ASSERT_EQ(loaded->warnings.size(), 3U);
  std::string all;
  for (const std::string& warning : loaded->warnings) all += warning + "\n";
  EXPECT_NE(
      all.find("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: \"brotli\" is not one of them; ignored. Allowed: none, gzip"),
      std::string::npos)
      << all;
  EXPECT_EQ(all.find("hunter2"), std::string::npos) << all;
}

TEST(Load, BaseEndpointOfAStrongerOriginWins) {
  const std::string_view yaml = "export: {otlp: {traces_endpoint: \"http://file/v1/traces\"}}";
  EXPECT_EQ(good(yaml).exporting.otlp.traces_endpoint, "http://file/v1/traces");
  const Config c = good(yaml, with({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env"}}));
  EXPECT_EQ(c.exporting.otlp.endpoint, "http://env");
  EXPECT_EQ(c.exporting.otlp.traces_endpoint, "");
}

TEST(Load, ClientCertificateNeedsItsKey) {
  EXPECT_EQ(bad("export:\n  otlp:\n    client_key: /k.pem\n"),
            "w.yaml:3: export.otlp.client_key: a certificate and its key are needed together");
}

TEST(Load, FlagsAddUpAndAreChecked) {
  const Config c = good("selectors: {ports: [1]}", with({}, {{"selectors.ports", "80", "--port"},
                                                             {"selectors.ports", "443", "--port"},
                                                             {"log.level", "info", "--log"},
                                                             {"log.level", "warn", "--log"}}));
  EXPECT_EQ(c.selectors.ports, (std::vector<std::int64_t>{80, 443}));
  EXPECT_EQ(c.log.level, "warn");
  EXPECT_EQ(bad("", with({}, {{"selectors.ports", "x", "--port"}})),
            "--port: \"x\" is no whole number; allowed: a list of numbers, 1 to 65535");
  EXPECT_EQ(bad("", with({}, {{"no.such", "x", "--x"}})), "--x: no such key: no.such");
}

TEST(Load, EvidenceThatMainKnows) {
  ConfigSources sources;
  sources.evidence = {"thread", "only_open"};
  EXPECT_EQ(good("link: {evidence: {thread: false}}", sources).link.evidence, (FlagMap{{"thread", false}}));
  EXPECT_NE(bad("link: {evidence: {threads: false}}", sources)
                .find("did you mean thread?; allowed: true or false for: "
                      "thread, only_open"),
            std::string::npos);
}

TEST(Load, FilesMissingAndTooLarge) {
  ConfigSources sources;
  sources.file = "/nonexistent/wirespan.yaml";
  const auto missing = load_config(sources);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ENOENT);
  EXPECT_NE(missing.error().text().find("/nonexistent/wirespan.yaml"), std::string::npos);

  std::string pattern = (std::filesystem::temp_directory_path() / "wirespan-config-XXXXXX").string();
  const int fd = mkstemp(pattern.data());
  ASSERT_GE(fd, 0);
  sources.file = pattern;
  {
    std::ofstream(pattern) << "log: {level: debug}\n";
  }
  const auto read = load_config(sources);
  {
    std::ofstream(pattern) << std::string(2 << 20, '#');
  }
  const auto large = load_config(sources);
  std::filesystem::remove(pattern);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->config.log.level, "debug");
  EXPECT_EQ(read->origins.find("log.level")->second.text(), pattern + ":1");
  ASSERT_FALSE(large);
  EXPECT_NE(large.error().what.find("larger than 1 MiB"), std::string::npos);
}

// Neither aliases that refer to themselves nor deep nesting may cost more than the file has bytes.
TEST(Load, HostileYaml) {
  EXPECT_NE(bad("capture: &a {bytes: *a}\n"), "");
  EXPECT_NE(bad(std::string(5000, '[')), "");
  EXPECT_NE(bad(",el"), "") << "yaml-cpp 0.7 never gets past the comma";
  EXPECT_NE(bad("log: {level: info}\n}"), "");
  EXPECT_NE(bad("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n"), "");
}

}  // namespace
}  // namespace wirespan
