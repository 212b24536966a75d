#include "agent/capture/preemption.h"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>

#include "agent/capture/detached_mount.h"

namespace wirespan {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string mode_in_detached_debugfs() {
  const int mount = detached_mount("debugfs");
  if (mount < 0) return {};
  const int file = openat(mount, "sched/preempt", O_RDONLY | O_CLOEXEC);
  close(mount);
  if (file < 0) return {};
  std::array<char, 64> text{};
  const ssize_t size = read(file, text.data(), text.size());
  close(file);
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// The last word `preempt=MODE`, which is the one the kernel obeys.
std::string_view asked_for(std::string_view command_line) {
  constexpr std::string_view kBefore = "preempt=";
  std::string_view found;
  while (!command_line.empty()) {
    const std::string_view word = command_line.substr(0, command_line.find_first_of(" \n"));
    if (word.starts_with(kBefore)) found = word.substr(kBefore.size());
    command_line.remove_prefix(std::min(word.size() + 1, command_line.size()));
  }
  return found;
}

bool is_gentle(std::string_view mode) {
  return mode == "none" || mode == "voluntary";
}

// Of kernels that choose at boot; "": not to be found out.
std::string chosen_mode(const PreemptionFacts& facts) {
  if (const auto begin = facts.mode.find('('); begin != std::string::npos)
    return facts.mode.substr(begin + 1, facts.mode.find(')', begin) - begin - 1);
  if (const auto asked = asked_for(facts.command_line); !asked.empty()) return std::string(asked);
  if (has(facts.config, "\nCONFIG_PREEMPT_VOLUNTARY=y\n")) return "voluntary";
  if (has(facts.config, "\nCONFIG_PREEMPT_NONE=y\n")) return "none";
  if (has(facts.config, "\nCONFIG_PREEMPT_LAZY=y\n")) return "lazy";
  return has(facts.config, "\nCONFIG_PREEMPT=y\n") ? "full" : "";
}

}  // namespace

unsigned kernel_version(std::string_view release) {
  unsigned major = 0;
  unsigned minor = 0;
  const char* const end = release.data() + release.size();
  const auto first = std::from_chars(release.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return 0;
  const auto second = std::from_chars(first.ptr + 1, end, minor);
  constexpr unsigned kMinors = 1000;
  return second.ec == std::errc() ? major * kMinors + minor : 0;
}

bool programs_are_preempted() {
  utsname name{};
  constexpr unsigned kSince = 7'000;
  return uname(&name) == 0 && kernel_version(name.release) >= kSince;
}

PreemptionFacts preemption_facts() {
  PreemptionFacts facts;
  utsname name{};
  if (uname(&name) != 0) return facts;
  facts.release = name.release;
  facts.version = name.version;
  if (!has(facts.version, "PREEMPT_DYNAMIC")) return facts;
  facts.mode = text_of("/sys/kernel/debug/sched/preempt");
  if (facts.mode.empty()) facts.mode = mode_in_detached_debugfs();
  facts.command_line = text_of("/proc/cmdline");
  facts.config = "\n" + text_of("/boot/config-" + facts.release);
  return facts;
}

std::string why_preempted(const PreemptionFacts& facts) {
  constexpr unsigned kNeverGentle = 7'000;       // preempt=none and voluntary are gone
  constexpr unsigned kMigrationOffOnly = 5'012;  // before, a program ran with preemption off
  const unsigned version = kernel_version(facts.release);
  if (has(facts.version, "PREEMPT_RT")) return "a real-time kernel runs other threads in the middle of such programs";
  if (version >= kNeverGentle) return "since 7.0 the kernel runs other threads in the middle of such programs";
  if (version != 0 && version < kMigrationOffOnly) return {};
  if (!has(facts.version, "PREEMPT_DYNAMIC"))
    return has(facts.version, "PREEMPT") ? "this kernel runs other threads in the middle of such programs (PREEMPT)"
                                         : "";
  const std::string mode = chosen_mode(facts);
  if (is_gentle(mode)) return {};
  if (mode.empty())
    return "this kernel may run other threads in the middle of such programs: nothing tells its preempt=";
  return "this kernel runs other threads in the middle of such programs (preempt=" + mode + ")";
}

}  // namespace wirespan
