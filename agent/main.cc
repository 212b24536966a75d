// wirespan: the command line. Each command is a file in agent/commands.
#include <CLI/CLI.hpp>
#include <iostream>

#include "agent/commands/commands.h"
#include "agent/commands/flags.h"
#include "agent/commands/trace.h"
#include "base/heap.h"
#include "correlator/inference/correlate_file.h"

namespace {

using wirespan::Flags;

int correlate(const std::string& in, const std::string& out) {
  wirespan::Counters counters;
  const wirespan::Status done = wirespan::inference::correlate_file(in, out, {}, counters);
  if (done) return 0;
  std::cerr << "wirespan correlate: " << done.error().text() << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  wirespan::keep_large_buffers_apart();
  CLI::App app{"wirespan: distributed traces of services nobody instrumented"};
  app.set_version_flag("--version", WIRESPAN_VERSION);
  app.require_subcommand(1);
  int status = 0;

  Flags flags;
  auto* trace = app.add_subcommand("trace", "trace until interrupted, the time is over or the command ends");
  flags.add_selectors(*trace);
  flags.add_outputs(*trace);
  trace->add_option("command", flags.command, "-- COMMAND ARGUMENTS...: start it and trace it");
  trace->positionals_at_end();
  trace->callback([&] { status = wirespan::commands::trace(flags); });

  auto* run =
      app.add_subcommand("run", "the daemon: as the configuration says; SIGHUP reloads, SIGTERM flushes and ends");
  flags.add_selectors(*run);
  flags.add_outputs(*run);
  run->callback([&] { status = wirespan::commands::run(flags); });

  std::string recording;
  auto* record = app.add_subcommand("record", "write raw events to a file, for replay");
  flags.add_selectors(*record);
  record->add_option("-o,--output", recording, "the file, made readable to its owner only")->required();
  record->add_option("command", flags.command, "-- COMMAND ARGUMENTS...: start it and record it");
  record->callback([&] { status = wirespan::commands::record(flags, recording); });

  auto* replay = app.add_subcommand("replay", "make the spans of a recording; needs no rights");
  replay->add_option("file", recording, "written by wirespan record")->required();
  replay->add_option("--config", flags.config_file, "YAML file; see docs/configuration.md");
  flags.add_outputs(*replay);
  replay->callback([&] { status = wirespan::commands::replay(flags, recording); });

  bool json = false;
  auto* doctor = app.add_subcommand("doctor", "say whether and how this machine can trace, and what to do if not");
  doctor->add_flag("--json", json, "for programs");
  doctor->callback([&] { status = wirespan::commands::doctor_command(json, std::cout); });

  wirespan::TopFlags looks;
  auto* top = app.add_subcommand("top", "live figures per service: of a running agent, or of what the selectors name");
  flags.add_selectors(*top);
  top->add_option("--connect", looks.connect,
                  "the agent's health.listen: unix:/run/wirespan/health.sock, 127.0.0.1:PORT");
  top->add_option("--interval", looks.interval, "time between looks: 2s, 500ms, ...");
  top->add_flag("--once", looks.once, "one look, as text");
  top->add_option("command", flags.command, "-- COMMAND ARGUMENTS...: start it and watch it");
  top->callback([&] {
    status = looks.connect.empty() ? wirespan::commands::watch(flags, looks) : wirespan::commands::top(looks);
  });

  std::string wanted;
  std::string file;
  auto* explain = app.add_subcommand("explain", "say for each link which evidence decided, and why others are missing");
  explain->add_option("id", wanted, "trace or span id")->required();
  explain->add_option("--from", file, "OTLP/JSON lines, as written by --json")->required();
  explain->callback([&] { status = wirespan::commands::explain_command(wanted, file, std::cout, std::cerr); });

  std::string in;
  std::string out;
  auto* correlate_command = app.add_subcommand("correlate", "parent links for a file of spans in the neutral form");
  correlate_command->add_option("in", in, "IN.ndjson[.gz]")->required();
  correlate_command->add_option("out", out, "OUT.ndjson")->required();
  correlate_command->callback([&] { status = correlate(in, out); });

  CLI11_PARSE(app, argc, argv);
  return status;
}
