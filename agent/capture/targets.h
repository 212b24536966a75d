// Which processes are traced, now and later, and what is known of them. Owns the kernel's set of targets.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/capture/decoder.h"
#include "agent/capture/selectors.h"
#include "base/counters.h"
#include "model/event.h"
#include "model/sink.h"

namespace wirespan {

// The directory a cgroup selector means: absolute below /sys/fs/cgroup, or relative to the hierarchy.
[[nodiscard]] std::string cgroup_directory(const std::string& selector);

// The kernel side's set, as far as this class needs it: so that it can be tested without a kernel.
class TargetSet {
 public:
  virtual ~TargetSet() = default;
  virtual void add(std::uint32_t pid) = 0;
  virtual void exclude(std::uint32_t pid) = 0;
  [[nodiscard]] virtual bool contains(std::uint32_t pid) const = 0;
};

// One thread.
class Targets : public ProcessWatcher {
 public:
  Targets(Selectors selectors, std::uint32_t self_pid, TargetSet& set, Counters& counters);

  // Finds what matches now. Facts go out with the first flush_facts().
  void scan();
  // Finds what matches since, cheaply: members of cgroups. About once a second.
  void sweep(BootTime now);

  // Where facts (event::Process) go; must be set before any watcher call.
  void set_sink(Sink<Event>* sink) { sink_ = sink; }
  void flush_facts(BootTime now);

  [[nodiscard]] std::size_t size() const { return known_.size(); }
  template <class Visit>
  void visit(Visit visit) const {
    for (const auto& [pid, known] : known_) visit(pid);
  }

  void forked(std::uint32_t parent_pid, std::uint32_t child_pid, BootTime time) override;
  void executed(std::uint32_t pid, std::uint32_t parent_pid, bool is_target, std::string_view comm,
                BootTime time) override;
  void exited(std::uint32_t pid, BootTime time) override;
  void listening(std::uint32_t pid, std::uint16_t port, bool is_target, BootTime time) override;
  void active(std::uint32_t pid, BootTime time) override;

 private:
  struct Known {
    bool told = false;
    // The last facts that hold for it or, since its fork, held for its parent: what is told of a process that was gone
    // before it could be asked.
    std::shared_ptr<const event::Process> facts;
  };

  void add_with_children(const std::vector<std::uint32_t>& pids);
  void tell(std::uint32_t pid, Known& known, BootTime now);
  [[nodiscard]] bool may_read_now(BootTime now);
  [[nodiscard]] bool matches_exe(const std::string& exe) const;
  [[nodiscard]] bool in_cgroup(std::uint32_t pid);
  [[nodiscard]] bool listed_in_cgroup(std::uint32_t pid) const;

  Selectors selectors_;
  std::uint32_t self_;
  TargetSet& set_;
  Sink<Event>* sink_ = nullptr;
  std::unordered_map<std::uint32_t, Known> known_;
  std::unordered_map<std::uint32_t, std::vector<std::uint16_t>> ports_;
  // What /proc/PID/cgroup says -> whether who is there is selected. Only the directories' lists tell, and they are
  // long.
  std::unordered_map<std::string, bool> cgroups_seen_;
  BootTime next_cgroup_sweep_{};
  Counter& processes_;
  // Reading /proc costs 0.1 ms: a fork storm must not buy that for every child that will never do I/O.
  std::uint64_t budget_window_ = 0;
  std::uint32_t budget_used_ = 0;
};

}  // namespace wirespan
