#include "agent/commands/trace.h"

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <iostream>
#include <mutex>

#include "agent/capture/doctor.h"
#include "agent/capture/recording.h"
#include "agent/capture/targets.h"
#include "agent/commands/confined.h"
#include "agent/commands/governed.h"
#include "agent/commands/launch.h"
#include "agent/commands/observed.h"
#include "agent/commands/session.h"
#include "agent/commands/settings.h"
#include "agent/enrich/host.h"
#include "agent/rights/capabilities.h"

namespace wirespan::commands {
namespace {

void say(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::cerr << line << std::endl;
}

int failed(const Error& error) {
  say("wirespan: " + error.text());
  return 1;
}

// What the kernel said of a program that would not load rarely tells a user what to do; what the machine lacks does.
Error explained(Error error) {
  std::string lacking;
  for (const Finding& finding : look_around()) {
    if (!finding.ok)
      lacking.append(finding.subject).append(": ").append(finding.text).append(". ").append(finding.todo).append(" ");
  }
  if (lacking.empty()) return error;
  error.hint.clear();
  return Error{"this machine cannot trace: " + lacking + "(" + error.text() + ")", 0, {}};
}

std::string ready_line(const KernelSource& source, const Selectors& selectors) {
  std::string line = "ready: tracing " + std::to_string(source.targets()) + " processes";
  if (selectors.all) return line + " (the whole host)";
  const auto add = [&](std::string_view name, std::string_view value) {
    line.append(" ").append(name).append("=").append(value);
  };
  for (const auto pid : selectors.pids) add("pid", std::to_string(pid));
  for (const auto& cgroup : selectors.cgroups) add("cgroup", cgroup);
  for (const auto& exe : selectors.exe_globs) add("exe", exe);
  for (const auto port : selectors.ports) add("port", std::to_string(port));
  std::string plan;
  for (const std::string& hook : source.plan()) plan.append(plan.empty() ? "; " : ", ").append(hook);
  return line + plan;
}

// Reload: what may change live is taken over by the pipeline's thread at its next event.
class Reloadable : public Sink<Event> {
 public:
  Reloadable(Pipeline& pipeline, Config config, ServiceTable& services, Observed& observed)
      : pipeline_(pipeline), config_(std::move(config)), services_(services), observed_(observed) {}

  void accept(const Event& event) override {
    if (pending_.load(std::memory_order_acquire)) apply();
    pipeline_.accept(event);
    if (std::holds_alternative<event::Tick>(event)) {
      observed_.beat();
    } else if (const auto* counted = std::get_if<event::Counted>(&event)) {
      services_.counted(pipeline_.processes().find(counted->pid)->service, *counted);
    }
  }
  // Any thread.
  void offer(const Flags& flags) {
    const auto loaded = flags.load();
    if (!loaded) return say("wirespan: reload refused, the old configuration stays:\n" + loaded.error().text());
    const std::lock_guard lock(mutex_);
    for (const ConfigChange& change : diff_config(config_, loaded->config)) {
      say("wirespan: " + change.key + ": " + change.from + " -> " + change.to +
          (change.live ? "" : " (needs a restart)"));
    }
    next_ = live_part(config_, loaded->config);
    pending_.store(true, std::memory_order_release);
  }

 private:
  void apply() {
    const std::lock_guard lock(mutex_);
    config_ = next_;
    pending_ = false;
    pipeline_.reload(pipeline_options(config_, {}));
  }

  Pipeline& pipeline_;
  std::mutex mutex_;
  std::atomic<bool> pending_{false};
  Config config_;
  Config next_;
  ServiceTable& services_;
  Observed& observed_;
};

// From the flags to a source that is attached and watched by signals; then `body` runs it.
int with_source(const Flags& flags, Counters& counters,
                const std::function<Status(const LoadedConfig&, KernelSource&, Supervisor&,
                                           const std::function<Status()>& go)>& body) {
  auto loaded = flags.load();
  if (!loaded) return failed(loaded.error());
  if (flags.print_config) {
    std::cout << print_config(*loaded);
    return 0;
  }
  const std::string& level = loaded->config.log.level;
  if (level != "error") {
    for (const std::string& warning : loaded->warnings) say("wirespan: " + warning);
  }
  if (loaded->config.self.disabled) {
    say("wirespan: disabled by self.disabled or OTEL_SDK_DISABLED: nothing is traced");
    return 0;
  }

  KernelOptions kernel = kernel_options(loaded->config);
  if (kernel.selectors.empty() && flags.command.empty()) {
    return failed({"nothing says what to trace", 0,
                   "Give --pid, --cgroup, --exe, --port or a command after --; the whole host only with --all."});
  }
  for (const std::string& cgroup : kernel.selectors.cgroups) {
    const std::string directory = cgroup_directory(cgroup);
    if (std::filesystem::is_directory(directory)) continue;
    return failed({"there is no cgroup " + directory, 0, "Give a directory below /sys/fs/cgroup."});
  }
  Supervisor supervisor;
  stop_inheritance();
  std::optional<Launch> launch;
  if (!flags.command.empty()) {
    auto prepared = Launch::prepare(flags.command);
    if (!prepared) return failed(prepared.error());
    kernel.selectors.pids.push_back(static_cast<std::uint32_t>(prepared->pid()));
    launch.emplace(std::move(*prepared));
    supervisor.watch(launch->pid());
  }
  auto source = KernelSource::open(kernel, counters);
  if (!source) return failed(explained(source.error()));
  if (level != "error") tell_missing_rights(say);
  const Status ran = body(*loaded, **source, supervisor, [&]() -> Status {
    say(ready_line(**source, kernel.selectors));
    return launch ? launch->go() : Status();
  });
  source->reset();
  if (level == "info" || level == "debug") say(report(counters));
  if (!ran) return failed(ran.error());
  return supervisor.child_status().value_or(0);
}

// Shows a look every interval. For the supervisor's rounds.
std::function<void()> looking(const TopFlags& top, const Observed& observed, Supervisor& supervisor) {
  using std::chrono::steady_clock;
  auto screen = std::make_shared<TopScreen>(!top.once && isatty(STDOUT_FILENO) == 1);
  const auto interval = parse_limit(top.interval);
  const auto pause = interval ? *interval : std::chrono::milliseconds(2000);
  return [screen, pause, once = top.once, &observed, &supervisor, next = steady_clock::now() + pause]() mutable {
    if (steady_clock::now() < next || supervisor.stop()) return;
    next += pause;
    screen->show(observed.snapshot());
    if (once) supervisor.request_stop();
  };
}

int run_session(const Flags& flags, std::string_view default_exporter, bool daemon, const TopFlags* top = nullptr) {
  const auto limit = flags.time_limit();
  if (!limit) return failed(limit.error());
  Counters counters;
  return with_source(
      flags, counters,
      [&](const LoadedConfig& loaded, KernelSource& source, Supervisor& supervisor, const auto& go) -> Status {
        const auto exports = export_options(loaded, default_exporter, flags.otlp_url);
        if (!exports) return exports.error();
        auto exporters = open_exporters(*exports, counters, say);
        if (!exporters) return exporters.error();
        ExportQueue queue(exports->queue, counters, say);
        ServiceTable services(queue);
        Observed observed(counters, services);
        Pipeline pipeline(pipeline_options(loaded.config, read_host_facts(WIRESPAN_VERSION)), services, &source,
                          source.clock(), counters);
        Reloadable sink(pipeline, loaded.config, services, observed);
        if (Status listening = observed.listen(loaded.config.health.listen); !listening) return listening;
        if (Status confined = confine(loaded.config, true, counters); !confined) return confined;
        for (auto& exporter : *exporters) queue.add(std::move(exporter));
        observed.serve();
        const auto governed = govern(loaded.config, daemon, source, counters, say);
        const auto look = top == nullptr ? std::function<void()>() : looking(*top, observed, supervisor);
        std::function<void()> round;
        if (governed || look) {
          round = [&] {
            if (governed) governed();
            if (look) look();
          };
        }
        const auto running = supervisor.start({.report = [&] { say(report(counters)); },
                                               .hurry = [&] { queue.give_up(); },
                                               .reload = [&] { sink.offer(flags); },
                                               .report_every = loaded.config.self.stats_interval,
                                               .round = round},
                                              *limit);
        if (Status started = go(); !started) return started;
        Status ran = source.run(sink, supervisor.stop());
        pipeline.finish(source.clock().now());
        queue.stop(exports->at_end);
        return ran;
      });
}

}  // namespace

int trace(const Flags& flags) {
  return run_session(flags, "console", false);
}

int run(const Flags& flags) {
  return run_session(flags, "otlp", true);
}

int watch(const Flags& flags, const TopFlags& top) {
  if (const auto interval = parse_limit(top.interval); !interval) return failed(interval.error());
  return run_session(flags, "none", false, &top);
}

int record(const Flags& flags, const std::string& file) {
  const auto limit = flags.time_limit();
  if (!limit) return failed(limit.error());
  Counters counters;
  return with_source(
      flags, counters,
      [&](const LoadedConfig& loaded, KernelSource& source, Supervisor& supervisor, const auto& go) -> Status {
        // The stages before pairing run too: what they learn of a connection decides how much of it is copied.
        class Discard : public Sink<Span> {
         public:
          void accept(const Span& /*span*/) override {}
        } nowhere;
        const HostFacts host = read_host_facts(WIRESPAN_VERSION);
        Pipeline pipeline(pipeline_options(loaded.config, host), nowhere, &source, source.clock(), counters);
        auto writer = RecordingWriter::create(file, host, &pipeline, counters);
        if (!writer) return writer.error();
        if (Status confined = confine(loaded.config, true, counters); !confined) return confined;
        const auto running = supervisor.start(
            {.report = [&] { say(report(counters)); }, .hurry = {}, .reload = {}, .report_every = {}, .round = {}},
            *limit);
        if (Status started = go(); !started) return started;
        Status ran = source.run(**writer, supervisor.stop());
        (*writer)->accept(event::Tick{source.clock().now()});
        Status closed = (*writer)->flush();
        return ran ? closed : ran;
      });
}

int replay(const Flags& flags, const std::string& file) {
  const auto loaded = flags.load();
  if (!loaded) return failed(loaded.error());
  Counters counters;
  Supervisor supervisor;
  auto source = RecordingSource::open(file, counters);
  if (!source) return failed(source.error());
  auto exports = export_options(*loaded, "console", flags.otlp_url);
  if (!exports) return failed(exports.error());
  // Nothing is lost and nothing depends on how fast it runs: the same recording gives the same bytes.
  exports->queue.when_full = QueueOptions::WhenFull::kWait;
  exports->queue.batch_age = Exporter::kNever;
  auto exporters = open_exporters(*exports, counters, say);
  if (!exporters) return failed(exporters.error());
  if (const Status confined = confine(loaded->config, false, counters); !confined) return failed(confined.error());
  ExportQueue queue(exports->queue, counters, say);
  for (auto& exporter : *exporters) queue.add(std::move(exporter));
  HostFacts host = (*source)->host() ? *(*source)->host() : read_host_facts(WIRESPAN_VERSION);
  Pipeline pipeline(pipeline_options(loaded->config, std::move(host)), queue, nullptr, (*source)->clock(), counters);
  const auto running = supervisor.start({.report = [&] { say(report(counters)); },
                                         .hurry = [&] { queue.give_up(); },
                                         .reload = {},
                                         .report_every = {},
                                         .round = {}},
                                        std::nullopt);
  const Status ran = (*source)->run(pipeline, supervisor.stop());
  pipeline.finish((*source)->clock().now());
  queue.stop(exports->at_end);
  say(report(counters));
  return ran ? 0 : failed(ran.error());
}

}  // namespace wirespan::commands
