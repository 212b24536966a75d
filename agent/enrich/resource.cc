#include "agent/enrich/resource.h"

#include <algorithm>
#include <array>
#include <optional>

#include "agent/enrich/cgroup.h"
#include "agent/enrich/command_name.h"
#include "agent/enrich/command_text.h"
#include "agent/enrich/otel_env.h"
#include "agent/enrich/redact.h"
#include "agent/enrich/uuid.h"

namespace wirespan {
namespace {

constexpr std::string_view kUnknownService = "unknown_service";

std::string_view program(const event::Process& process) {
  if (!process.exe.empty()) return file_name(process.exe);
  return process.cmdline.empty() ? std::string_view() : file_name(process.cmdline.front());
}

// The kernel's mark on an executable that was replaced on disk, as upgrades do.
std::string_view without_deleted(std::string_view path) {
  constexpr std::string_view kDeleted = " (deleted)";
  return path.ends_with(kDeleted) ? path.substr(0, path.size() - kDeleted.size()) : path;
}

// What wirespan says about itself and about the host; nobody overrides telemetry.*.
void set_host(const HostFacts& host, Attributes& out) {
  const auto set = [&out](std::string_view key, const std::string& value) {
    if (!value.empty()) out.set(key, value);
  };
  set("host.name", host.name);
  set("host.id", host.id);
  set("host.arch", host.arch);
  set("os.type", host.os_type);
  set("os.version", host.kernel);
  out.set("telemetry.sdk.name", "wirespan");
  out.set("telemetry.sdk.language", "cpp");
  set("telemetry.sdk.version", host.agent_version);
  out.set("telemetry.distro.name", "wirespan");
  set("telemetry.distro.version", host.agent_version);
}

void add_given(const std::vector<std::pair<std::string, std::string>>& given, Attributes& out) {
  for (const auto& [key, value] : given) {
    if (!std::string_view(key).starts_with("telemetry.") && key != "service.name") out.set(key, value);
  }
}

// Names as OpenTelemetry's own SDKs report them, where the kernel's view is enough to tell.
void set_runtime(const event::Process& process, Runtime runtime, Attributes& out) {
  const std::string_view exe = program(process);
  std::string_view version;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  for (const std::string_view text : {std::string_view(process.runtime), exe}) {
    const auto first = std::find_if(text.begin(), text.end(), digit);
    if (version.empty() && first != text.end()) version = text.substr(static_cast<std::size_t>(first - text.begin()));
  }
  switch (runtime) {
    case Runtime::kGo:
      out.set("process.runtime.name", "go");
      version = process.runtime.starts_with("go") ? std::string_view(process.runtime) : std::string_view();
      break;
    case Runtime::kNode:
      out.set("process.runtime.name", "nodejs");
      break;
    case Runtime::kPython:
      out.set("process.runtime.name", exe.starts_with("pypy") ? "pypy" : "cpython");
      break;
    case Runtime::kRuby:
      out.set("process.runtime.name", "ruby");
      break;
    case Runtime::kPhp: {  // PHP_SAPI
      const bool server = std::find(process.cmdline.begin(), process.cmdline.end(), "-S") != process.cmdline.end();
      const bool fpm = exe.starts_with("php-fpm");
      if (fpm) out.set("process.runtime.name", "fpm-fcgi");
      if (!fpm) out.set("process.runtime.name", server ? "cli-server" : "cli");
      break;
    }
    case Runtime::kDotnet:
      out.set("process.runtime.name", ".NET");
      break;
    case Runtime::kJvm:
      if (process.exe.find("openjdk") != std::string::npos) {
        out.set("process.runtime.name", "OpenJDK Runtime Environment");
      }
      version = {};
      break;
    case Runtime::kUnknown:
      version = {};
      break;
  }
  if (version.size() > 1) out.set("process.runtime.version", version);
}

// The zeroth argument only, and of a title written over it only what is no option: the rest may hold secrets.
std::string command_of(const event::Process& process) {
  std::string command = process.cmdline.empty() ? std::string() : process.cmdline.front();
  command.resize(std::min(command.find(" -"), command.size()));
  command.resize(std::min<std::size_t>(command.size(), 256));
  redact_text(command);
  return command;
}

}  // namespace

Runtime runtime_of(const event::Process& process) {
  struct Row {
    std::string_view prefix;
    Runtime runtime;
  };
  static constexpr std::array<Row, 12> kRows = {{{"go1", Runtime::kGo},
                                                 {"jvm", Runtime::kJvm},
                                                 {"java", Runtime::kJvm},
                                                 {"node", Runtime::kNode},
                                                 {"python", Runtime::kPython},
                                                 {"pypy", Runtime::kPython},
                                                 {"uwsgi", Runtime::kPython},
                                                 {"ruby", Runtime::kRuby},
                                                 {"php", Runtime::kPhp},
                                                 {"dotnet", Runtime::kDotnet},
                                                 {"cpython", Runtime::kPython},
                                                 {"go", Runtime::kGo}}};
  // The last row only for what capture says: a program may be called "gopher".
  for (const Row& row : kRows) {
    if (std::string_view(process.runtime).starts_with(row.prefix)) return row.runtime;
  }
  if (!process.runtime.empty()) return Runtime::kUnknown;
  const std::string_view exe = program(process);
  for (const Row& row : kRows) {
    if (!exe.starts_with(row.prefix) || row.runtime == Runtime::kGo) continue;
    // "python3.11", "php-fpm8.2", but not "nodesource-helper" or "javaws".
    const std::string_view rest = exe.substr(row.prefix.size());
    if (rest.empty() || rest == "js" || (rest[0] >= '0' && rest[0] <= '9') || rest.starts_with("-fpm") ||
        rest.starts_with("-cgi")) {
      return row.runtime;
    }
  }
  return Runtime::kUnknown;
}

ServiceName service_name(const event::Process& process, const HostFacts& host, const ResourceOptions& options,
                         const ProcessInfo* parent) {
  if (OtelEnv env = parse_otel_env(process.otel_env); !env.service.empty()) return {std::move(env.service), "otel"};
  if (const auto name = command::option(process.cmdline, "-Dotel.service.name"); !name.empty()) {
    return {std::string(name), "otel"};
  }
  if (!options.service_name.empty()) return {options.service_name, "config"};
  CgroupFacts cgroup = parse_cgroup(process.cgroup);
  if (!cgroup.unit.empty() && cgroup.unit != parse_cgroup(host.agent_cgroup).unit) {
    return {std::move(cgroup.unit), "systemd"};
  }
  if (!cgroup.container_name.empty()) return {std::move(cgroup.container_name), "container"};
  CommandName command = command_name(process.exe, process.cmdline, process.cwd);
  if (command.interpreter && parent != nullptr && parent->service != kUnknownService &&
      parent->resource.text("process.executable.path") == without_deleted(process.exe)) {
    return {parent->service, "parent"};
  }
  if (!command.name.empty()) return {std::move(command.name), "command"};
  if (!process.comm.empty()) return {process.comm, "comm"};
  return {std::string(kUnknownService), ""};
}

ProcessInfo describe(const event::Process& process, const HostFacts& host, const ResourceOptions& options,
                     const ProcessInfo* parent) {
  ProcessInfo info;
  info.pid = process.pid;
  info.runtime = runtime_of(process);
  info.service = service_name(process, host, options, parent).name;

  Attributes& out = info.resource;
  out.set("service.name", info.service);
  out.set("service.instance.id",
          uuid5(kServiceInstanceNamespace, host.id + "/" + host.boot_id + "/" + std::to_string(process.pid) + "/" +
                                               std::to_string(process.started.ns)));
  out.set("process.pid", process.pid);
  if (process.parent_pid != 0) out.set("process.parent_pid", process.parent_pid);
  if (!process.exe.empty()) {
    out.set("process.executable.name", file_name(process.exe));
    out.set("process.executable.path", without_deleted(process.exe));
  }
  if (const std::string command = command_of(process); !command.empty()) out.set("process.command", command);
  set_runtime(process, info.runtime, out);
  const CgroupFacts cgroup = parse_cgroup(process.cgroup);
  if (!cgroup.container_id.empty()) out.set("container.id", cgroup.container_id);
  if (!cgroup.container_name.empty()) out.set("container.name", cgroup.container_name);
  if (!cgroup.pod_uid.empty()) out.set("k8s.pod.uid", cgroup.pod_uid);
  set_host(host, out);
  add_given(options.attributes, out);
  add_given(parse_otel_env(process.otel_env).attributes, out);
  return info;
}

ProcessInfo describe_unknown(std::uint32_t pid, const HostFacts& host, const ResourceOptions& options) {
  ProcessInfo info;
  info.pid = pid;
  info.service = options.service_name.empty() ? std::string(kUnknownService) : options.service_name;
  info.resource.set("service.name", info.service);
  info.resource.set("process.pid", pid);
  set_host(host, info.resource);
  add_given(options.attributes, info.resource);
  return info;
}

}  // namespace wirespan
