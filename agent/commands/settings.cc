#include "agent/commands/settings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace wirespan {
namespace {

std::uint64_t seed_of(const HostFacts& host) {
  std::uint64_t seed = 0;
  for (const std::string& fact : {host.boot_id, host.id, host.name}) {
    for (const char c : fact) seed = combine64(seed, static_cast<std::uint8_t>(c));
  }
  return seed;
}

RedactionRules redaction_rules(const Config& config) {
  RedactionRules rules;
  rules.enabled = config.redaction.enabled;
  rules.kinds = {.email = config.redaction.emails, .card = config.redaction.cards, .token = config.redaction.tokens};
  if (config.http.query == "secrets") rules.query = RedactionRules::Query::kSecrets;
  if (config.http.query == "keep") rules.query = RedactionRules::Query::kNone;
  rules.query_keep.insert(config.http.query_keep.begin(), config.http.query_keep.end());
  rules.forced_headers.insert(config.redaction.forced_headers.begin(), config.redaction.forced_headers.end());
  rules.keys.insert(config.redaction.attributes.begin(), config.redaction.attributes.end());
  return rules;
}

}  // namespace

std::optional<std::string> environment(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

KernelOptions kernel_options(const Config& config) {
  KernelOptions options;
  const auto& from = config.selectors;
  options.selectors.all = from.all;
  for (const std::int64_t pid : from.pids) options.selectors.pids.push_back(static_cast<std::uint32_t>(pid));
  for (const std::int64_t port : from.ports) options.selectors.ports.push_back(static_cast<std::uint16_t>(port));
  options.selectors.cgroups = from.cgroups;
  options.selectors.exe_globs = from.exe;
  options.capture_bytes = static_cast<std::uint32_t>(config.capture.bytes);
  options.ring_bytes = static_cast<std::uint32_t>(config.capture.ring_size);
  options.max_connections = static_cast<std::uint32_t>(config.capture.max_connections);
  const auto used = [&](const char* evidence) {
    const auto it = config.link.evidence.find(evidence);
    return it == config.link.evidence.end() || it->second;
  };
  // What nobody uses is not asked of anybody's processes.
  options.follow.goroutines = used("goroutine");
  options.follow.contexts = used("task");
  options.follow.async_ids = used("async_id");
  options.follow.errands = used("errand");
  options.follow.continuations = used("continuation");
  options.follow.tokio = used("tokio");
  options.follow.futures = options.follow.contexts && used("future");
  options.follow.wakeups = used("awaited") || used("resumed") || options.follow.futures;
  for (const Plan plan : kPlans) {
    if (config.capture.plan == to_string(plan)) options.plan = plan;
  }
  return options;
}

PipelineOptions pipeline_options(const Config& config, HostFacts host) {
  PipelineOptions options;
  options.links.threshold = config.link.threshold;
  options.links.linger_ns = std::chrono::nanoseconds(config.link.linger).count();
  options.links.window_ns = std::chrono::nanoseconds(config.link.window).count();
  options.links.host_seed = seed_of(host);
  for (const auto& [name, on] : config.link.evidence) {
    if (!on) options.links.disabled.insert(name);
    if (name == "inferred") options.links.infer = on;
  }
  options.host = std::move(host);
  options.processes.resource.service_name = config.service.name;
  options.processes.resource.attributes.assign(config.resource.begin(), config.resource.end());
  options.redaction = redaction_rules(config);
  options.protocols.request_headers = config.http.request_headers;
  options.protocols.response_headers = config.http.response_headers;
  options.protocols.request_id_headers = config.http.request_id_headers;
  options.protocols.known_methods = config.http.known_methods;
  options.protocols.query_values = config.http.query != "redact" || !config.http.query_keep.empty();
  return options;
}

Result<ExportOptions> export_options(const LoadedConfig& loaded, std::string_view otherwise,
                                     const std::string& otlp_url) {
  ExportOptions options;
  const Config& config = loaded.config;
  const Texts to = exporters_of(config, otherwise);
  const auto wanted = [&](std::string_view name) { return std::find(to.begin(), to.end(), name) != to.end(); };
  if (wanted("file")) options.json_file = config.exporting.file.path;
  if (wanted("otlp") || !otlp_url.empty()) {
    auto otlp = OtlpOptions::from_environment([&](std::string_view name) { return otlp_variable(loaded, name); });
    if (!otlp) return otlp.error();
    if (!otlp_url.empty()) {
      if (const Status pointed = otlp->point_at(otlp_url); !pointed) return pointed.error();
    }
    otlp->backlog_bytes = static_cast<std::size_t>(config.exporting.otlp.backlog);
    options.otlp = std::move(*otlp);
  }
  if (wanted("console")) {
    options.console = ConsoleOptions::for_fd(STDOUT_FILENO, environment);
    if (config.exporting.console.form == "json") options.console->form = ConsoleOptions::Form::kJson;
  }
  const auto& queue = config.exporting.queue;
  options.queue.max_spans = static_cast<std::size_t>(queue.max_spans);
  options.queue.max_bytes = static_cast<std::size_t>(queue.max_bytes);
  options.queue.batch_spans = static_cast<std::size_t>(queue.batch_spans);
  options.queue.batch_bytes = static_cast<std::size_t>(queue.batch_bytes);
  options.queue.batch_age = queue.batch_age;
  options.at_end = {.longest = config.exporting.flush.longest, .silence = config.exporting.flush.silence};
  return options;
}

}  // namespace wirespan
