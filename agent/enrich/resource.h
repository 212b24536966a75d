// From the raw facts of a process to its OpenTelemetry resource. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/event.h"
#include "model/host.h"
#include "model/process.h"

namespace wirespan {

struct ResourceOptions {
  std::string service_name;  // for every process that does not name itself; "" to find out
  std::vector<std::pair<std::string, std::string>> attributes;  // added to every resource; the process's own win
};

// Where a service name came from, best first. Static words, for `doctor` and tests.
//   otel        OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES or -Dotel.service.name of the process
//   config      ResourceOptions::service_name
//   systemd     its unit, unless that only starts others (cron, ssh, container engines) or is wirespan's own
//   container   the container's name, where the cgroup path has it. Its id is never a name: it changes at each start
//   command     jar, script, module, executable (command_name.h)
//   parent      an interpreter without a script (fork server, -c) goes by the process that started it
//   comm        nothing but the thread's name is known
struct ServiceName {
  std::string name;
  std::string_view source;
};

[[nodiscard]] ServiceName service_name(const event::Process& process, const HostFacts& host,
                                       const ResourceOptions& options, const ProcessInfo* parent);

[[nodiscard]] Runtime runtime_of(const event::Process& process);

// parent: what is known of the process that started it, or null.
[[nodiscard]] ProcessInfo describe(const event::Process& process, const HostFacts& host, const ResourceOptions& options,
                                   const ProcessInfo* parent);

// For a pid nobody described: "unknown_service" and the facts of the host.
[[nodiscard]] ProcessInfo describe_unknown(std::uint32_t pid, const HostFacts& host, const ResourceOptions& options);

}  // namespace wirespan
