// Ring-buffer records (bpf/abi/events.h) to Events. Payload is not copied: Data::captured points into the record.
#pragma once

#include <cstdint>
#include <string>

#include "agent/capture/conn_table.h"
#include "agent/capture/java_contexts.h"
#include "agent/capture/turns.h"
#include "base/bytes.h"
#include "base/counters.h"
#include "bpf/abi/events.h"
#include "model/event.h"
#include "model/sink.h"

namespace wirespan {

// Told of what concerns processes, before the Event made of the same record is delivered.
class ProcessWatcher {
 public:
  virtual ~ProcessWatcher() = default;
  virtual void forked(std::uint32_t parent_pid, std::uint32_t child_pid, BootTime time) = 0;
  virtual void executed(std::uint32_t pid, std::uint32_t parent_pid, bool is_target, std::string_view comm,
                        BootTime time) = 0;
  virtual void exited(std::uint32_t pid, BootTime time) = 0;
  virtual void listening(std::uint32_t pid, std::uint16_t port, bool is_target, BootTime time) = 0;
  // A process did I/O: its facts must be out before.
  virtual void active(std::uint32_t pid, BootTime time) = 0;
};

// One thread. Records are the kernel's, yet a short or unknown one is counted and skipped, never trusted.
class Decoder {
 public:
  // boot_id: mixed into the identity of Unix connections, which have no sequence numbers of their own.
  Decoder(ConnTable& conns, ProcessWatcher& watcher, Counters& counters, std::uint64_t boot_id);

  void decode(Bytes record, Sink<Event>& sink);
  // Whom to ask what a thread's turn is worth.
  void set_turns(const Turns* turns) { turns_ = turns; }
  // Whom to ask for the numbers of Java's contexts.
  void set_contexts(JavaContexts* contexts) { contexts_ = contexts; }
  // Time of the newest record.
  [[nodiscard]] BootTime newest() const { return newest_; }

 private:
  void data(Bytes record, Sink<Event>& sink);
  void opened(Bytes record, Sink<Event>& sink);
  void closed(Bytes record, Sink<Event>& sink);
  void fork(Bytes record, Sink<Event>& sink);
  void exit(Bytes record, Sink<Event>& sink);
  void wake(Bytes record, Sink<Event>& sink);
  void handover(Bytes record, Sink<Event>& sink);
  void tokio(Bytes record, Sink<Event>& sink);
  void births(Bytes record, Sink<Event>& sink);
  void lineage(Bytes record, Sink<Event>& sink);
  void async(Bytes record, Sink<Event>& sink);

  [[nodiscard]] std::uint32_t turn(const ws_ev_header& header, std::uint32_t loop) const {
    return turns_ == nullptr ? loop : turns_->believed(header.pid, BootTime{header.time}, loop);
  }

  [[nodiscard]] std::uint64_t task(std::uint32_t pid, std::uint64_t told) const;

  ConnTable& conns_;
  ProcessWatcher& watcher_;
  std::uint64_t boot_id_;
  Counter& records_;
  Counter& bytes_;
  Counter& malformed_;
  Counter& unknown_conn_;
  BootTime newest_{};
  std::uint32_t last_active_ = 0;
  const Turns* turns_ = nullptr;
  JavaContexts* contexts_ = nullptr;
  Event data_event_{event::Data{}};  // reused: a Data event allocates nothing
};

}  // namespace wirespan
