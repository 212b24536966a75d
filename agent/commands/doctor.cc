// wirespan doctor: can this machine trace, how, and if not, what to do.
#include "agent/capture/doctor.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "agent/capture/plan.h"
#include "agent/commands/commands.h"

namespace wirespan::commands {
namespace {

void print_json(const Diagnosis& diagnosis, std::ostream& out) {
  nlohmann::ordered_json json;
  json["can_trace"] = diagnosis.can_trace();
  json["plan"] = diagnosis.plan;
  for (const Finding& f : diagnosis.findings)
    json["findings"].push_back({{"subject", f.subject}, {"found", f.text}, {"ok", f.ok}, {"todo", f.todo}});
  for (const Attempt& a : diagnosis.attempts) {
    json["hooks"].push_back({{"plan", a.plan},
                             {"hook", a.hook},
                             {"purpose", a.purpose},
                             {"program", a.program},
                             {"needs", a.needs},
                             {"required", a.required},
                             {"works", a.works},
                             {"chosen", a.chosen},
                             {"instructions", a.instructions},
                             {"why_not", a.why_not}});
  }
  out << json.dump(2) << "\n";
}

std::string about(std::string_view plan) {
  constexpr std::string_view kBytesOfRings =
      "system calls are hooked only while an event loop that calls others is traced.\n"
      "        io_uring: times and lengths are seen, bytes are not, so its requests are not read.";
  if (plan == to_string(Plan::kSockets)) return "tracepoints on sockets; " + std::string(kBytesOfRings);
  if (plan == to_string(Plan::kFunctions))
    return "the kernel's own functions of stream sockets; " + std::string(kBytesOfRings);
  return "every system call of the host is hooked (docs/cost.md). io_uring is not seen.";
}

void print_text(const Diagnosis& diagnosis, std::ostream& out) {
  for (const Finding& f : diagnosis.findings) {
    out << (f.ok ? "  ok    " : "  NO    ") << f.subject << ": " << f.text << "\n";
    if (!f.todo.empty()) out << "        -> " << f.todo << "\n";
  }
  out << "\n";
  std::string hook;
  for (const Attempt& a : diagnosis.attempts) {
    if (a.hook != hook) {
      out << "  " << a.hook << ": " << a.purpose << (a.required ? "" : " (optional)")
          << (a.plan.empty() ? "" : " [plan " + a.plan + "]") << "\n";
    }
    hook = a.hook;
    out << (a.chosen  ? "    USED   "
            : a.works ? "    spare  "
                      : "    no     ")
        << a.program << "  (" << a.needs << ")\n";
    if (!a.works) out << "           " << a.why_not << "\n";
  }
  if (!diagnosis.plan.empty()) out << "\n  Plan " << diagnosis.plan << ": " << about(diagnosis.plan) << "\n";
  out << "\n"
      << (diagnosis.can_trace() ? "This machine can trace."
                                : "This machine cannot trace: see the lines marked NO and no.")
      << "\n";
}

}  // namespace

int doctor_command(bool json, std::ostream& out) {
  const Diagnosis diagnosis = diagnose();
  json ? print_json(diagnosis, out) : print_text(diagnosis, out);
  return diagnosis.can_trace() ? 0 : 1;
}

}  // namespace wirespan::commands
