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
#include <sstream>
#include <utility>

#include "agent/capture/bpf_object.h"
#include "agent/capture/plan.h"
#include "agent/capture/python_probes.h"
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

// Of everything that runs now: what is selected later is of the same kind.
std::vector<Finding> pythons() {
  constexpr std::size_t kMostNamed = 8;
  std::size_t seen = 0;
  std::map<std::string, std::string> not_seen;  // why, and whose
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const auto pid = static_cast<std::uint32_t>(std::strtoul(entry.path().filename().c_str(), nullptr, 10));
    if (pid == 0) continue;
    const std::string what = describe_python(pid);
    if (what.empty()) continue;
    if (what.ends_with("can be seen")) {
      ++seen;
    } else {
      std::string& whose = not_seen[what];
      whose += (whose.empty() ? "" : ", ") + std::to_string(pid);
    }
  }
  if (seen == 0 && not_seen.empty()) return {};
  std::vector<Finding> out{{"python", "tasks of " + std::to_string(seen) + " running processes can be seen", true, ""}};
  for (const auto& [why, whose] : not_seen) {
    if (out.size() > kMostNamed) break;
    out.push_back({"python", "tasks of " + whose + " cannot: " + why, true, ""});
  }
  return out;
}

void attempt(Attempt& attempt, bool per_executable) {
  const char* const program = attempt.program.c_str();
  // Small maps: nothing is traced.
  BpfSettings settings;
  settings.ring_bytes = 64U << 10U;
  settings.max_connections = settings.max_processes = settings.max_threads = 16;
  settings.verifier_counts = true;
  auto object = BpfObject::load(settings, std::span(&program, 1));
  if (!object) {
    attempt.why_not = object.error().text();
    return;
  }
  attempt.instructions = (*object)->verified_instructions(attempt.program);
  const Status attached = per_executable ? Status() : (*object)->attach(program);
  attempt.works = static_cast<bool>(attached);
  if (!attached) attempt.why_not = attached.error().text();
}

}  // namespace

bool Diagnosis::can_trace() const {
  return std::all_of(attempts.begin(), attempts.end(), [this](const Attempt& a) {
    return !a.required ||
           std::any_of(attempts.begin(), attempts.end(), [&](const Attempt& b) { return b.hook == a.hook && b.works; });
  });
}

std::vector<Finding> look_around() {
  std::vector<Finding> out{kernel(), btf(), capabilities(), lockdown(), locked_memory(), unprivileged()};
  std::ranges::move(pythons(), std::back_inserter(out));
  return out;
}

Diagnosis diagnose() {
  Diagnosis diagnosis;
  diagnosis.findings = look_around();
  for (const Hook& hook : hooks_of_plan(true, true, true)) {
    bool found = false;
    for (const Candidate& candidate : hook.candidates) {
      Attempt& a = diagnosis.attempts.emplace_back(
          Attempt{hook.name, hook.purpose, candidate.program, candidate.needs, hook.required, false, false, 0, {}});
      attempt(a, hook.per_executable);
      a.chosen = a.works && !found;
      found = found || a.works;
      if (a.works && !a.chosen) a.why_not = "works, but a better one does too";
    }
  }
  return diagnosis;
}

}  // namespace wirespan
