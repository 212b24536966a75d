// Who each process is. Fed with events, asked by the correlator. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <unordered_map>

#include "agent/enrich/resource.h"
#include "base/counters.h"
#include "model/event.h"
#include "model/host.h"
#include "model/process.h"
#include "model/sink.h"

namespace wirespan {

struct ProcessTableOptions {
  ResourceOptions resource;
  std::int64_t keep_ns = 60'000'000'000;  // after its exit: spans of its last requests are still to come
  std::size_t most = 32'768;              // processes; past it the longest gone are forgotten, then newcomers refused
};

class ProcessTable : public ProcessDirectory, public Sink<Event> {
 public:
  ProcessTable(HostFacts host, ProcessTableOptions options, Counters& counters);

  void accept(const Event& event) override;
  [[nodiscard]] ProcessInfoPtr find(std::uint32_t pid) override;

  // Settings changed: holds for processes seen from now on.
  void set_options(const ResourceOptions& options) { options_.resource = options; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    ProcessInfoPtr info;
    event::Process facts;
    std::uint64_t exit = 0;  // number of its exit, 0 while it runs
  };
  struct Exit {
    std::uint64_t number;
    std::uint32_t pid;
    BootTime time;
  };

  void seen(const event::Process& process);
  void forked(const event::Forked& fork);
  void exited(const event::ProcessExited& exit);
  void put(const event::Process& process, const ProcessInfo* parent);
  bool make_room();
  void forget_before(BootTime now);
  void forget_first();

  HostFacts host_;
  ProcessTableOptions options_;
  std::unordered_map<std::uint32_t, Entry> entries_;
  std::deque<Exit> exits_;  // in order of time; stale where the pid was used again
  std::uint64_t exit_count_ = 0;
  // Strangers are made up on demand; a few are kept so that their spans share one resource.
  std::array<ProcessInfoPtr, 64> strangers_;
  Counter& known_;
  Counter& evicted_;
  Counter& refused_;
  Counter& unknown_;
};

}  // namespace wirespan
