#include "agent/enrich/process_table.h"

#include <gtest/gtest.h>

#include "agent/enrich/host.h"
#include "agent/enrich/uuid.h"

namespace wirespan {
namespace {

HostFacts host() {
  return {.name = "box",
          .id = "0123456789abcdef0123456789abcdef",
          .boot_id = "b",
          .arch = "amd64",
          .os_type = "linux",
          .kernel = "6.18.0",
          .agent_version = "0.1.0",
          .agent_cgroup = "/system.slice/ci-runner.service"};
}

event::Process process(std::uint32_t pid, std::string exe, std::vector<std::string> arguments) {
  event::Process p;
  p.pid = pid;
  p.parent_pid = 1;
  p.started = {pid * 1000ULL};
  p.exe = std::move(exe);
  p.cmdline = std::move(arguments);
  p.cwd = "/srv/shop";
  return p;
}

struct Fixture {
  explicit Fixture(ProcessTableOptions options = {}) : table(host(), std::move(options), counters) {}
  std::string service(const event::Process& p) {
    table.accept(p);
    return table.find(p.pid)->service;
  }
  std::uint64_t count(std::string_view name) { return counters.get(name).value(); }
  Counters counters;
  ProcessTable table;
};

TEST(ServiceName, TheOrderOfSources) {
  event::Process p = process(7, "/usr/bin/java", {"java", "-Dotel.service.name=from-property", "-jar", "x.jar"});
  p.cgroup = "/lxc.payload.from-container/system.slice/from-unit.service";
  p.otel_env = {"OTEL_RESOURCE_ATTRIBUTES=service.name=from-attributes,team=a", "OTEL_SERVICE_NAME=from-name"};
  const auto expect = [&p](std::string_view name, std::string_view source, const ResourceOptions& options = {}) {
    const ServiceName found = service_name(p, host(), options, nullptr);
    EXPECT_EQ(found.name, name);
    EXPECT_EQ(found.source, source);
  };
  expect("from-name", "otel");
  p.otel_env.pop_back();
  expect("from-attributes", "otel");
  p.otel_env.clear();
  expect("from-property", "otel");
  p.cmdline.erase(p.cmdline.begin() + 1);
  expect("from-config", "config", {.service_name = "from-config", .attributes = {}});
  expect("from-unit", "systemd");
  p.cgroup = "/lxc.payload.from-container";
  expect("from-container", "container");
  p.cgroup = "/";
  expect("x", "command");
  p.exe.clear();
  p.cmdline.clear();
  p.comm = "thread";
  expect("thread", "comm");
  p.comm.clear();
  expect("unknown_service", "");
}

// Everything somebody starts beside wirespan in one unit (a CI runner, a login without a session) would get its name.
TEST(ServiceName, NotTheUnitWirespanRunsIn) {
  event::Process p = process(7, "/opt/orders", {"orders"});
  p.cgroup = "/system.slice/ci-runner.service";
  EXPECT_EQ(service_name(p, host(), {}, nullptr).name, "orders");
}

TEST(ServiceName, EmptyOtelNameIsNone) {
  event::Process p = process(7, "/opt/orders", {"orders"});
  p.otel_env = {"OTEL_SERVICE_NAME=", "OTEL_RESOURCE_ATTRIBUTES=service.name=given"};
  EXPECT_EQ(service_name(p, host(), {}, nullptr).name, "given");
}

TEST(ProcessTable, ResourceFollowsTheConventions) {
  Fixture f;
  event::Process p =
      process(42, "/usr/bin/python3.11", {"python3", "/usr/bin/gunicorn", "--password=hunter2", "shop:app"});
  p.cgroup = "/docker/3f4c9b1e0d2a5f6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d";
  p.otel_env = {"OTEL_RESOURCE_ATTRIBUTES=service.namespace=eu,deployment.environment.name=a%20b,telemetry.sdk.name=x"};
  f.table.accept(p);
  const ProcessInfoPtr info = f.table.find(42);
  EXPECT_EQ(info->service, "shop");
  EXPECT_EQ(info->runtime, Runtime::kPython);
  const Attributes& r = info->resource;
  const std::pair<std::string_view, std::string_view> expected[] = {
      {"service.name", "shop"},
      {"service.namespace", "eu"},
      {"deployment.environment.name", "a b"},
      {"process.executable.name", "python3.11"},
      {"process.executable.path", "/usr/bin/python3.11"},
      {"process.command", "python3"},
      {"process.runtime.name", "cpython"},
      {"process.runtime.version", "3.11"},
      {"container.id", "3f4c9b1e0d2a5f6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"},
      {"host.name", "box"},
      {"host.id", "0123456789abcdef0123456789abcdef"},
      {"host.arch", "amd64"},
      {"os.type", "linux"},
      {"telemetry.sdk.name", "wirespan"},
      {"telemetry.sdk.language", "cpp"},
      {"telemetry.sdk.version", "0.1.0"}};
  for (const auto& [key, value] : expected) EXPECT_EQ(r.text(key), value) << key;
  EXPECT_EQ(std::get<std::int64_t>(*r.find("process.pid")), 42);
  r.visit([](std::string_view, const AttributeValue& value, bool) {
    const auto* text = std::get_if<std::string_view>(&value);
    EXPECT_TRUE(text == nullptr || text->find("hunter2") == std::string_view::npos);
  });
}

TEST(ProcessTable, InstanceIdIsStableAndUnique) {
  Fixture a;
  Fixture b;
  const auto p = process(5, "/opt/orders", {"orders"});
  auto later = p;
  later.started = {999};
  a.table.accept(p);
  b.table.accept(p);
  const std::string id(a.table.find(5)->resource.text("service.instance.id"));
  EXPECT_EQ(id, b.table.find(5)->resource.text("service.instance.id")) << "a replay gives the same";
  EXPECT_EQ(id.size(), 36U);
  EXPECT_EQ(id[14], '5');
  b.table.accept(later);
  EXPECT_NE(id, b.table.find(5)->resource.text("service.instance.id")) << "the pid was used again";
}

TEST(ProcessTable, UnknownPidsAreNeverNull) {
  Fixture f;
  const ProcessInfoPtr info = f.table.find(77);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->service, "unknown_service");
  EXPECT_EQ(info->pid, 77U);
  EXPECT_EQ(info->resource.text("host.name"), "box");
  EXPECT_EQ(f.table.find(77), info) << "one resource for all its spans";
  EXPECT_EQ(f.count("enrich.processes.asked_unknown"), 2U);
}

TEST(ProcessTable, KeptAWhileAfterExit) {
  Fixture f({.resource = {}, .keep_ns = 100, .most = 10});
  f.table.accept(process(5, "/opt/orders", {"orders"}));
  f.table.accept(event::ProcessExited{{1000}, 5});
  f.table.accept(event::Tick{{1100}});
  EXPECT_EQ(f.table.find(5)->service, "orders");
  f.table.accept(event::Tick{{1101}});
  EXPECT_EQ(f.table.find(5)->service, "unknown_service");
  EXPECT_EQ(f.table.size(), 0U);
}

TEST(ProcessTable, PidUsedAgainOutlivesTheOldExit) {
  Fixture f({.resource = {}, .keep_ns = 100, .most = 10});
  f.table.accept(process(5, "/opt/orders", {"orders"}));
  f.table.accept(event::ProcessExited{{1000}, 5});
  auto again = process(5, "/opt/billing", {"billing"});
  again.time = {1050};
  f.table.accept(again);
  f.table.accept(event::Tick{{5000}});
  EXPECT_EQ(f.table.find(5)->service, "billing");
}

TEST(ProcessTable, ExecReplacesAndHeldPointersStay) {
  Fixture f;
  f.table.accept(process(5, "/usr/bin/bash", {"bash", "/opt/start.sh"}));
  const ProcessInfoPtr before = f.table.find(5);
  f.table.accept(process(5, "/opt/billing", {"billing"}));
  EXPECT_EQ(before->service, "start");
  EXPECT_EQ(f.table.find(5)->service, "billing");
}

TEST(ProcessTable, ForkedWorkerIsItsParentUntilExec) {
  Fixture f;
  f.table.accept(process(5, "/usr/bin/python3", {"python3", "/usr/bin/gunicorn", "shop:app"}));
  f.table.accept(event::Forked{{10}, {5, 5}, {6, 6}});
  EXPECT_EQ(f.table.find(6)->service, "shop");
  EXPECT_EQ(f.table.find(6)->pid, 6U);
  EXPECT_NE(f.table.find(6)->resource.text("service.instance.id"),
            f.table.find(5)->resource.text("service.instance.id"));
  f.table.accept(event::Forked{{11}, {5, 5}, {5, 9}});
  EXPECT_EQ(f.table.size(), 2U) << "a thread is no process";
}

// multiprocessing's spawn and fork servers show only "python3 -c ...".
TEST(ProcessTable, InterpreterWithoutAScriptGoesByItsParent) {
  Fixture f;
  f.table.accept(process(5, "/usr/bin/python3", {"python3", "orders.py"}));
  auto child = process(6, "/usr/bin/python3", {"python3", "-c", "from multiprocessing.spawn import spawn_main"});
  child.parent_pid = 5;
  EXPECT_EQ(f.service(child), "orders");
  child = process(7, "/usr/bin/perl", {"perl", "-e", "1"});
  child.parent_pid = 5;
  EXPECT_EQ(f.service(child), "perl") << "another program";
}

TEST(ProcessTable, BoundedAndCounted) {
  Fixture f({.resource = {}, .keep_ns = 1'000'000, .most = 3});
  for (std::uint32_t pid = 1; pid <= 3; ++pid) f.table.accept(process(pid, "/opt/a", {"a"}));
  f.table.accept(event::ProcessExited{{10}, 2});
  f.table.accept(process(4, "/opt/b", {"b"}));
  EXPECT_EQ(f.table.find(2)->service, "unknown_service") << "the one that is gone makes room";
  EXPECT_EQ(f.table.find(4)->service, "b");
  f.table.accept(process(5, "/opt/c", {"c"}));
  EXPECT_EQ(f.table.find(5)->service, "unknown_service");
  EXPECT_EQ(f.table.size(), 3U);
  EXPECT_EQ(f.count("enrich.processes.evicted"), 1U);
  EXPECT_EQ(f.count("enrich.processes.refused_table_full"), 1U);
}

TEST(Runtime, FromWhatCaptureSaysElseFromTheName) {
  const auto runtime = [](std::string exe, std::string said) {
    event::Process p = process(1, std::move(exe), {});
    p.runtime = std::move(said);
    return runtime_of(p);
  };
  EXPECT_EQ(runtime("/opt/x", "go1.22.1"), Runtime::kGo);
  EXPECT_EQ(runtime("/opt/x", "jvm"), Runtime::kJvm);
  EXPECT_EQ(runtime("/usr/bin/node", ""), Runtime::kNode);
  EXPECT_EQ(runtime("/usr/bin/nodejs", ""), Runtime::kNode);
  EXPECT_EQ(runtime("/usr/bin/python3.11", ""), Runtime::kPython);
  EXPECT_EQ(runtime("/usr/sbin/php-fpm8.2", ""), Runtime::kPhp);
  EXPECT_EQ(runtime("/usr/bin/php8.2", ""), Runtime::kPhp);
  EXPECT_EQ(runtime("/usr/bin/ruby3.1", ""), Runtime::kRuby);
  EXPECT_EQ(runtime("/usr/bin/dotnet", ""), Runtime::kDotnet);
  EXPECT_EQ(runtime("/usr/bin/gopher", ""), Runtime::kUnknown);
  EXPECT_EQ(runtime("/usr/bin/javaws", ""), Runtime::kUnknown);
  EXPECT_EQ(runtime("/usr/sbin/nginx", ""), Runtime::kUnknown);
}

TEST(Uuid, KnownAnswers) {
  std::string hex;
  for (const std::uint8_t b : sha1("abc")) {  // FIPS 180-4 example
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[b >> 4U];
    hex += kDigits[b & 15U];
  }
  EXPECT_EQ(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
  // RFC 9562, A.4: the DNS namespace and www.example.com.
  constexpr std::array<std::uint8_t, 16> kDns = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                                                 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};
  EXPECT_EQ(uuid5(kDns, "www.example.com"), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

TEST(Host, ReadsThisOne) {
  const HostFacts facts = read_host_facts("1.2.3");
  EXPECT_FALSE(facts.name.empty());
  EXPECT_FALSE(facts.arch.empty());
  EXPECT_EQ(facts.os_type, "linux");
  EXPECT_EQ(facts.agent_version, "1.2.3");
  EXPECT_EQ(conventional_arch("x86_64"), "amd64");
  EXPECT_EQ(conventional_arch("aarch64"), "arm64");
  EXPECT_EQ(conventional_arch("riscv64"), "riscv64");
}

}  // namespace
}  // namespace wirespan
