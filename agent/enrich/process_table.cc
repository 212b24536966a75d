#include "agent/enrich/process_table.h"

#include <memory>
#include <utility>
#include <variant>

namespace wirespan {

ProcessTable::ProcessTable(HostFacts host, ProcessTableOptions options, Counters& counters)
    : host_(std::move(host)),
      options_(std::move(options)),
      known_(counters.get("enrich.processes.known")),
      evicted_(counters.get("enrich.processes.evicted")),
      refused_(counters.get("enrich.processes.refused_table_full")),
      unknown_(counters.get("enrich.processes.asked_unknown")) {}

void ProcessTable::accept(const Event& event) {
  if (const auto* process = std::get_if<event::Process>(&event)) {
    seen(*process);
  } else if (const auto* exit = std::get_if<event::ProcessExited>(&event)) {
    exited(*exit);
  } else if (const auto* fork = std::get_if<event::Forked>(&event)) {
    forked(*fork);
  } else if (const auto* tick = std::get_if<event::Tick>(&event)) {
    forget_before(tick->time);
  }
}

ProcessInfoPtr ProcessTable::find(std::uint32_t pid) {
  if (const auto found = entries_.find(pid); found != entries_.end()) return found->second.info;
  unknown_.add();
  ProcessInfoPtr& stranger = strangers_[pid % strangers_.size()];
  if (!stranger || stranger->pid != pid) {
    stranger = std::make_shared<ProcessInfo>(describe_unknown(pid, host_, options_.resource));
  }
  return stranger;
}

void ProcessTable::seen(const event::Process& process) {
  const auto parent = entries_.find(process.parent_pid);
  const ProcessInfoPtr keep = parent == entries_.end() ? nullptr : parent->second.info;
  put(process, keep.get());
}

// A forked worker is its parent until it executes something else; capture may describe it later or not at all.
void ProcessTable::forked(const event::Forked& fork) {
  if (fork.child.pid == fork.parent.pid) return;
  const auto parent = entries_.find(fork.parent.pid);
  if (parent == entries_.end()) return;
  const auto child = entries_.find(fork.child.pid);
  if (child != entries_.end() && child->second.exit == 0 && child->second.facts.parent_pid == fork.parent.pid) return;
  event::Process facts = parent->second.facts;
  facts.time = fork.time;
  facts.pid = fork.child.pid;
  facts.parent_pid = fork.parent.pid;
  facts.started = fork.time;
  facts.listening.clear();
  const ProcessInfoPtr keep = parent->second.info;
  put(facts, keep.get());
}

void ProcessTable::put(const event::Process& process, const ProcessInfo* parent) {
  forget_before(process.time);
  auto found = entries_.find(process.pid);
  if (found == entries_.end()) {
    if (!make_room()) return refused_.add();
    found = entries_.emplace(process.pid, Entry{}).first;
  }
  Entry& entry = found->second;
  entry.facts = process;
  entry.exit = 0;
  entry.info = std::make_shared<ProcessInfo>(describe(process, host_, options_.resource, parent));
  known_.set(entries_.size());
}

void ProcessTable::exited(const event::ProcessExited& exit) {
  forget_before(exit.time);
  const auto found = entries_.find(exit.pid);
  if (found == entries_.end() || found->second.exit != 0) return;
  found->second.exit = ++exit_count_;
  exits_.push_back({exit_count_, exit.pid, exit.time});
}

void ProcessTable::forget_before(BootTime now) {
  while (!exits_.empty() && now - exits_.front().time > options_.keep_ns) forget_first();
}

void ProcessTable::forget_first() {
  const Exit first = exits_.front();
  exits_.pop_front();
  const auto found = entries_.find(first.pid);
  // Otherwise the pid is in use again.
  if (found == entries_.end() || found->second.exit != first.number) return;
  entries_.erase(found);
  known_.set(entries_.size());
}

bool ProcessTable::make_room() {
  while (entries_.size() >= options_.most && !exits_.empty()) {
    const std::size_t before = entries_.size();
    forget_first();
    if (entries_.size() < before) evicted_.add();
  }
  return entries_.size() < options_.most;
}

}  // namespace wirespan
