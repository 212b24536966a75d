#include "agent/capture/targets.h"

#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "agent/capture/proc.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostCgroupPids = 65'536;
constexpr std::int64_t kSweepNs = 1'000'000'000;
constexpr std::int64_t kLongestSweepNs = 5'000'000'000;
constexpr std::int64_t kSweepShare = 4000;  // 0.025 % of a core
constexpr std::uint32_t kReadsPerSecond = 200;

// What this thread has used; not what has passed: on a busy machine we may have been put aside.
std::int64_t cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

std::string cgroup_directory(const std::string& selector) {
  if (selector.starts_with("/sys/fs/cgroup")) return selector;
  const std::string below = "/" + selector.substr(std::min(selector.find_first_not_of('/'), selector.size()));
  // Where both hierarchies are mounted (systemd's hybrid mode), paths of the unified one are meant.
  std::string unified = "/sys/fs/cgroup/unified" + below;
  return access(unified.c_str(), F_OK) == 0 ? unified : "/sys/fs/cgroup" + below;
}

Targets::Targets(Selectors selectors, std::uint32_t self_pid, TargetSet& set, Counters& counters)
    : selectors_(std::move(selectors)), self_(self_pid), set_(set), processes_(counters.get("capture.processes")) {
  for (std::string& cgroup : selectors_.cgroups) cgroup = cgroup_directory(cgroup);
  set_.exclude(self_);
}

void Targets::add_with_children(const std::vector<std::uint32_t>& pids) {
  if (pids.empty()) return;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> children;
  for (const std::uint32_t pid : proc::all_pids()) children[proc::parent_of(pid)].push_back(pid);
  std::vector<std::uint32_t> open(pids);
  std::unordered_set<std::uint32_t> seen;
  while (!open.empty()) {
    const std::uint32_t pid = open.back();
    open.pop_back();
    if (pid == 0 || pid == self_ || !seen.insert(pid).second) continue;
    set_.add(pid);
    known_.try_emplace(pid);
    if (const auto it = children.find(pid); it != children.end()) {
      open.insert(open.end(), it->second.begin(), it->second.end());
    }
  }
}

void Targets::scan() {
  std::vector<std::uint32_t> found = selectors_.pids;
  for (const std::string& cgroup : selectors_.cgroups) {
    const auto pids = proc::pids_of_cgroup(cgroup, kMostCgroupPids);
    found.insert(found.end(), pids.begin(), pids.end());
  }
  if (!selectors_.exe_globs.empty()) {
    for (const std::uint32_t pid : proc::all_pids()) {
      if (matches_exe(proc::exe_of(pid))) found.push_back(pid);
    }
  }
  if (!selectors_.ports.empty()) {
    for (const proc::Listener& listener : proc::listeners(proc::all_pids())) {
      if (std::find(selectors_.ports.begin(), selectors_.ports.end(), listener.port) != selectors_.ports.end()) {
        found.push_back(listener.pid);
      }
    }
  }
  add_with_children(found);
  std::vector<std::uint32_t> pids;
  for (const auto& [pid, known] : known_) pids.push_back(pid);
  ports_.clear();
  for (const proc::Listener& listener : proc::listeners(pids)) ports_[listener.pid].push_back(listener.port);
}

// Finds those that were moved into a cgroup; children and who was started there are told by the kernel. Reading the
// lists of thousands of processes takes milliseconds: the longer, the more seldom.
void Targets::sweep(BootTime now) {
  if (selectors_.cgroups.empty() || now < next_cgroup_sweep_) return;
  const std::int64_t began = cpu_ns();
  std::vector<std::uint32_t> fresh;
  for (const std::string& cgroup : selectors_.cgroups) {
    for (const std::uint32_t pid : proc::pids_of_cgroup(cgroup, kMostCgroupPids)) {
      if (pid != self_ && !known_.contains(pid)) fresh.push_back(pid);
    }
  }
  for (const std::uint32_t pid : fresh) {
    set_.add(pid);
    known_.try_emplace(pid);
  }
  if (!fresh.empty()) flush_facts(now);
  next_cgroup_sweep_ = now + std::clamp((cpu_ns() - began) * kSweepShare, kSweepNs, kLongestSweepNs);
}

bool Targets::may_read_now(BootTime now) {
  const std::uint64_t window = now.ns / 1'000'000'000U;
  if (window != budget_window_) {
    budget_window_ = window;
    budget_used_ = 0;
  }
  return budget_used_++ < kReadsPerSecond;
}

void Targets::tell(std::uint32_t pid, Known& known, BootTime now) {
  if (sink_ == nullptr) return;
  auto facts = proc::read_process(pid);
  if (!facts && known.facts) {
    facts = *known.facts;
    facts->pid = pid;
  }
  if (!facts) {
    facts.emplace();
    facts->pid = pid;
  }
  facts->time = now;
  if (const auto it = ports_.find(pid); it != ports_.end()) facts->listening = it->second;
  known.told = true;
  known.facts = std::make_shared<event::Process>(*facts);
  processes_.add();
  sink_->accept(Event(std::move(*facts)));
}

void Targets::flush_facts(BootTime now) {
  for (auto& [pid, known] : known_) {
    if (!known.told) tell(pid, known, now);
  }
}

bool Targets::matches_exe(const std::string& exe) const {
  if (exe.empty()) return false;
  return std::any_of(selectors_.exe_globs.begin(), selectors_.exe_globs.end(), [&](const std::string& glob) {
    const bool whole = glob.find('/') != std::string::npos;
    return fnmatch(glob.c_str(), exe.c_str() + (whole ? 0 : exe.rfind('/') + 1), 0) == 0;
  });
}

bool Targets::in_cgroup(std::uint32_t pid) {
  if (selectors_.cgroups.empty()) return false;
  constexpr std::size_t kMostSeen = 4096;
  const std::string where = proc::cgroups_of(pid);
  if (where.empty()) return false;  // gone, and on no list any more
  if (const auto seen = cgroups_seen_.find(where); seen != cgroups_seen_.end()) return seen->second;
  const bool listed = listed_in_cgroup(pid);
  // It may have moved or ended meanwhile.
  if (proc::cgroups_of(pid) != where) return listed;
  if (cgroups_seen_.size() >= kMostSeen) cgroups_seen_.clear();
  cgroups_seen_.emplace(where, listed);
  return listed;
}

bool Targets::listed_in_cgroup(std::uint32_t pid) const {
  // Membership of a directory cannot be read off /proc/PID/cgroup where hierarchies are mounted in several places.
  return std::any_of(selectors_.cgroups.begin(), selectors_.cgroups.end(), [&](const std::string& cgroup) {
    const auto pids = proc::pids_of_cgroup(cgroup, kMostCgroupPids);
    return std::find(pids.begin(), pids.end(), pid) != pids.end();
  });
}

void Targets::forked(std::uint32_t parent_pid, std::uint32_t child_pid, BootTime /*time*/) {
  if (child_pid == self_) return;
  Known& child = known_[child_pid];
  child.told = false;
  if (const auto parent = known_.find(parent_pid); parent != known_.end()) child.facts = parent->second.facts;
}

void Targets::executed(std::uint32_t pid, std::uint32_t parent_pid, bool is_target, std::string_view comm,
                       BootTime time) {
  if (pid == self_) return;
  if (!is_target && !matches_exe(proc::exe_of(pid)) && !(may_read_now(time) && in_cgroup(pid))) return;
  if (!is_target) set_.add(pid);
  auto facts = std::make_shared<event::Process>();
  facts->pid = pid;
  facts->parent_pid = parent_pid;
  facts->comm = comm;
  facts->started = time;
  Known& known = known_[pid];
  known.told = false;
  known.facts = std::move(facts);
  if (may_read_now(time)) tell(pid, known, time);
}

void Targets::exited(std::uint32_t pid, BootTime /*time*/) {
  known_.erase(pid);
  ports_.erase(pid);
}

void Targets::listening(std::uint32_t pid, std::uint16_t port, bool is_target, BootTime time) {
  if (pid == self_) return;
  if (!is_target) {
    if (std::find(selectors_.ports.begin(), selectors_.ports.end(), port) == selectors_.ports.end()) return;
    add_with_children({pid});
  }
  auto& ports = ports_[pid];
  if (std::find(ports.begin(), ports.end(), port) != ports.end()) return;
  ports.push_back(port);
  Known& known = known_[pid];
  if (!known.told) return tell(pid, known, time);
  auto facts = *known.facts;
  facts.time = time;
  facts.listening = ports;
  known.facts = std::make_shared<event::Process>(facts);
  if (sink_ != nullptr) sink_->accept(Event(std::move(facts)));
}

void Targets::active(std::uint32_t pid, BootTime time) {
  Known& known = known_[pid];
  if (!known.told) tell(pid, known, time);
}

}  // namespace wirespan
