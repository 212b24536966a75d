#include "agent/capture/doctor.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "agent/capture/bpf_object.h"
#include "agent/capture/java_threads.h"
#include "agent/capture/node_probes.h"
#include "agent/capture/plan.h"
#include "agent/capture/python_probes.h"
#include "agent/capture/tokio_probes.h"
#include "agent/capture/trace_events.h"
#include "agent/rights/capabilities.h"

namespace wirespan {
namespace {

std::string first_line(const char* path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

Finding kernel() {
  utsname name{};
  uname(&name);
  int major = 0;
  int minor = 0;
  char dot = 0;
  std::istringstream(name.release) >> major >> dot >> minor;
  const bool ok = major > 5 || (major == 5 && minor >= 8);
  return {"kernel", std::string(name.release) + " " + name.machine, ok,
          ok ? "" : "Use kernel 5.8 or newer: older ones have no BPF ring buffer."};
}

Finding btf() {
  const bool ok = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  return {"btf", ok ? "/sys/kernel/btf/vmlinux" : "the kernel describes its types nowhere", ok,
          ok ? "" : "Use a kernel built with CONFIG_DEBUG_INFO_BTF (every distribution's since 2021)."};
}

Finding capabilities() {
  const auto missing = missing_capabilities(held_capabilities());
  std::string text;
  bool ok = true;
  for (const Capability& needed : needed_capabilities()) {
    if (std::find(missing.begin(), missing.end(), &needed) != missing.end()) continue;
    text.append(text.empty() ? "" : ", ").append(needed.name);
  }
  std::string without;
  for (const Capability* lacking : missing) {
    ok = ok && !lacking->required;
    without.append(without.empty() ? "missing " : ", ").append(lacking->name);
    without.append(" (").append(lacking->purpose).append(")");
  }
  if (missing.empty()) return {"capabilities", text, true, ""};
  return {"capabilities", without, ok, "Run it with sudo, or give the service these capabilities."};
}

Finding lockdown() {
  const std::string line = first_line("/sys/kernel/security/lockdown");
  const bool confidential = line.find("[confidentiality]") != std::string::npos;
  return {"lockdown", line.empty() ? "not built in or not mounted" : line, !confidential,
          confidential ? "Boot without lockdown=confidentiality: it forbids BPF to read kernel memory." : ""};
}

Finding locked_memory() {
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  const std::string text =
      limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur >> 10U) + " KiB";
  return {"memlock", text + " (only counts before kernel 5.11)", true, ""};
}

Finding unprivileged() {
  const std::string value = first_line("/proc/sys/kernel/unprivileged_bpf_disabled");
  return {"unprivileged_bpf",
          value.empty() ? "unknown" : "unprivileged_bpf_disabled=" + value + " (does not matter to privileged agents)",
          true, ""};
}

// Only where the kernel does it.
std::vector<Finding> preemption() {
  if (!programs_are_preempted()) return {};
  if (const Status may = may_open_trace_events(); !may) {
    return {{"preemption", "threads interrupt each other's programs, which are then skipped: perf is not allowed",
             false, may.error().hint}};
  }
  const auto event = trace_event_number("raw_syscalls/sys_enter");
  if (event)
    return {{"preemption", "programs are attached by perf, where threads do not interrupt each other's", true, ""}};
  return {{"preemption", "threads interrupt each other's programs, which are then skipped: tracefs cannot be read",
           false, event.error().hint}};
}

// Of everything that runs now: what is selected later is of the same kind. `describe` says of a process nothing where
// it runs no such runtime, else whether its `tasks` "can be seen", or why not.
std::vector<Finding> tasks_of(const char* runtime, const std::string& tasks, std::string (*describe)(std::uint32_t)) {
  constexpr std::size_t kMostNamed = 8;
  std::size_t seen = 0;
  std::map<std::string, std::string> not_seen;  // why, and whose
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const auto pid = static_cast<std::uint32_t>(std::strtoul(entry.path().filename().c_str(), nullptr, 10));
    if (pid == 0) continue;
    const std::string what = describe(pid);
    if (what.empty()) continue;
    if (what.ends_with("can be seen")) {
      ++seen;
    } else {
      std::string& whose = not_seen[what];
      whose += (whose.empty() ? "" : ", ") + std::to_string(pid);
    }
  }
  if (seen == 0 && not_seen.empty()) return {};
  std::vector<Finding> out{
      {runtime, tasks + " of " + std::to_string(seen) + " running processes can be seen", true, ""}};
  for (const auto& [why, whose] : not_seen) {
    if (out.size() > kMostNamed) break;
    out.push_back({runtime, tasks + " of " + whose + " cannot: " + why, true, ""});
  }
  return out;
}

bool is_of(Plan plan, std::string_view hook) {
  return std::ranges::any_of(hooks_of(plan, everything_followed()),
                             [&](const Hook& h) { return std::string_view(h.name) == hook; });
}

// Those the hook is of, "" where it is of every one.
std::string plans_of(std::string_view hook) {
  std::string names;
  std::size_t number = 0;
  for (const Plan plan : kPlans) {
    if (!is_of(plan, hook)) continue;
    names.append(names.empty() ? "" : ", ").append(to_string(plan));
    ++number;
  }
  return number == kPlans.size() ? "" : names;
}

// Why none of the hook's plans may be used here, whatever the kernel takes; "": one may.
std::string why_not(const Hook& hook, const std::map<Plan, std::string>& reasons) {
  std::string why;
  for (const auto& [plan, reason] : reasons) {
    if (!is_of(plan, hook.name)) continue;
    if (reason.empty()) return {};
    why = reason;
  }
  return why;
}

// All that is left in one load, and again without the one it was refused for: reading the kernel's types is most of the
// cost of a load.
void try_all(std::vector<Attempt>& attempts, const std::set<std::string_view>& not_attached) {
  // Small maps: nothing is traced.
  BpfSettings settings;
  settings.ring_bytes = 64U << 10U;
  settings.max_connections = settings.max_processes = settings.max_threads = 16;
  settings.verifier_counts = true;
  const auto in_question = [](const Attempt& a) { return a.why_not.empty(); };
  for (;;) {
    std::vector<const char*> programs;
    for (const Attempt& a : attempts) {
      if (in_question(a)) programs.push_back(a.program.c_str());
    }
    if (programs.empty()) return;
    std::string refused;
    auto object = BpfObject::load(settings, programs, &refused);
    if (!object) {
      const auto which = std::ranges::find(attempts, refused, &Attempt::program);
      // What no program is to blame for holds for each of them.
      for (Attempt& a : attempts) {
        if (which == attempts.end() ? in_question(a) : &a == &*which) a.why_not = object.error().text();
      }
      continue;
    }
    for (Attempt& a : attempts) {
      if (!in_question(a)) continue;
      a.instructions = (*object)->verified_instructions(a.program);
      const Status attached = not_attached.contains(a.program) ? Status() : (*object)->attach(a.program.c_str());
      a.works = static_cast<bool>(attached);
      if (!attached) a.why_not = attached.error().text();
      (*object)->detach(a.program.c_str());
    }
    return;
  }
}

// Every program of every plan, each once.
std::vector<Attempt> everything(std::set<std::string_view>& not_attached, const std::map<Plan, std::string>& reasons) {
  std::vector<Attempt> attempts;
  for (const Plan plan : kPlans) {
    for (const Hook& hook : hooks_of(plan, everything_followed())) {
      if (std::ranges::find(attempts, hook.name, &Attempt::hook) != attempts.end()) continue;
      const std::string plans = plans_of(hook.name);
      const std::string reason = why_not(hook, reasons);
      for (const Candidate& candidate : hook.candidates) {
        Attempt a;
        a.plan = plans;
        a.why_not = reason;
        a.hook = hook.name;
        a.purpose = hook.purpose;
        a.program = candidate.program;
        a.needs = candidate.needs;
        a.required = hook.required;
        if (hook.attached == Hook::Attached::kPerExecutable) not_attached.insert(candidate.program);
        attempts.push_back(std::move(a));
      }
    }
  }
  return attempts;
}

}  // namespace

bool Diagnosis::can_trace() const {
  return !plan.empty();
}

std::vector<Finding> look_around() {
  std::vector<Finding> out{kernel(), btf(), capabilities(), lockdown(), locked_memory(), unprivileged()};
  std::ranges::move(preemption(), std::back_inserter(out));
  std::ranges::move(tasks_of("python", "tasks", describe_python), std::back_inserter(out));
  std::ranges::move(tasks_of("java", "virtual threads", describe_java), std::back_inserter(out));
  std::ranges::move(tasks_of("java", "contexts of Vert.x", describe_vertx), std::back_inserter(out));
  std::ranges::move(tasks_of("node", "async ids", describe_node), std::back_inserter(out));
  std::ranges::move(tasks_of("tokio", "tasks", describe_tokio), std::back_inserter(out));
  return out;
}

Diagnosis diagnose() {
  Diagnosis diagnosis;
  diagnosis.findings = look_around();
  std::vector<Attempt>& attempts = diagnosis.attempts;
  std::set<std::string_view> not_attached;
  std::map<Plan, std::string> reasons;
  for (const Plan plan : kPlans) reasons.emplace(plan, why_not(plan));
  attempts = everything(not_attached, reasons);
  try_all(attempts, not_attached);
  std::set<std::string_view> found;
  for (Attempt& a : attempts) {
    if (!a.works) continue;
    a.chosen = found.insert(a.hook).second;
    if (!a.chosen) a.why_not = "works, but a better one does too";
  }
  std::optional<Plan> best;
  for (const Plan plan : kPlans) {
    const auto hooks = hooks_of(plan, everything_followed());
    const bool works = reasons.at(plan).empty() &&
                       std::ranges::all_of(hooks, [&](const Hook& h) { return !h.required || found.contains(h.name); });
    if (works && !best) best = plan;
  }
  if (best) diagnosis.plan = to_string(*best);
  for (Attempt& a : attempts) {
    if (!a.chosen || !best || is_of(*best, a.hook)) continue;
    a.chosen = false;
    a.why_not = "works, but the plan \"" + diagnosis.plan + "\" does too";
  }
  return diagnosis;
}

}  // namespace wirespan
