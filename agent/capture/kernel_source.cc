#include "agent/capture/kernel_source.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <fstream>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_set>
#include <utility>

#include "agent/capture/conn_reaper.h"
#include "agent/capture/decoder.h"
#include "agent/capture/gate.h"
#include "agent/capture/go_probes.h"
#include "agent/capture/handovers.h"
#include "agent/capture/java_threads.h"
#include "agent/capture/load_plan.h"
#include "agent/capture/node_probes.h"
#include "agent/capture/plan.h"
#include "agent/capture/proc.h"
#include "agent/capture/python_deques.h"
#include "agent/capture/python_probes.h"
#include "agent/capture/ring_reader.h"
#include "agent/capture/runtime.h"
#include "agent/capture/targets.h"
#include "agent/capture/tokio_probes.h"
#include "agent/capture/turns.h"
#include "base/code_pages.h"
#include "base/heap.h"

namespace wirespan {
namespace {

// The ring is read at least this often; the kernel side wakes us earlier only when an eighth of it is full. After some
// rounds with nothing in it we doze, until the next record wakes us (one written in the moment we fall asleep waits for
// the round's end).
constexpr int kPollMs = 10;
constexpr int kIdlePollMs = 50;
constexpr int kDozeMs = 250;
constexpr int kRoundsToDoze = 10;
constexpr std::int64_t kTickNs = 50'000'000;
constexpr std::int64_t kSweepNs = 100'000'000;        // stats, turns that ended without another record
constexpr std::int64_t kSlowSweepNs = 1'000'000'000;  // processes

constexpr std::int64_t kFirstNs = 600'000'000'000;  // how long a thread may have waited in a call begun before us

constexpr unsigned kReapEvery = 2;     // slow sweeps
constexpr unsigned kMemoryEvery = 10;  // slow sweeps

constexpr std::array<const char*, WS_STAT_COUNT> kReasons{
    "ringbuf_full", "conn_map_full", "target_map_full", "thread_map_full",  "user_fault",  "compat_call",
    "go_not_g",     "ring_payload",  "turns_map_full",  "context_map_full", "async_fault",
};

std::uint64_t boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::uint64_t hash = 0;
  for (char c = 0; file.get(c);) hash = combine64(hash, static_cast<unsigned char>(c));
  return hash;
}

std::uint64_t boot_offset() {
  timespec boot{};
  timespec monotonic{};
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  const auto ns = [](const timespec& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(t.tv_nsec);
  };
  return ns(boot) - ns(monotonic);
}

class KernelTargets : public TargetSet {
 public:
  KernelTargets(BpfObject& object, std::uint32_t capture_bytes) : object_(object), capture_(capture_bytes) {}
  void add(std::uint32_t pid) override { object_.set_target(pid, {capture_, 0}); }
  void exclude(std::uint32_t pid) override { object_.set_target(pid, {0, WS_TARGET_EXCLUDED}); }
  [[nodiscard]] bool contains(std::uint32_t pid) const override { return object_.is_target(pid); }

 private:
  BpfObject& object_;
  std::uint32_t capture_;
};

class LiveSource : public KernelSource, private Sink<Event> {
 public:
  LiveSource(const KernelOptions& options, std::unique_ptr<BpfObject> object, Counters& counters)
      : object_(std::move(object)),
        kernel_targets_(*object_, options.capture_bytes),
        targets_(options.selectors, static_cast<std::uint32_t>(getpid()), kernel_targets_, counters),
        reaper_(*object_, conns_),
        decoder_(conns_, targets_, counters, boot_id()),
        turns_({[](std::uint32_t pid) { return may_loop(pid); }, [this](bool on) { return watch_turns(on); }}),
        handovers_({[](std::uint32_t pid) { return wakes_tell_nothing(pid); },
                    [this](std::uint32_t pid) { return futures_ && java_.knows(pid); },
                    [this](std::uint32_t pid, Handovers::Watch what) { watch_handovers(pid, what); },
                    [this](std::uint32_t pid) {
                      if (futures_) java_.may_hand_over(pid);
                    }},
                   counters),
        go_(*object_, counters),
        gate_(*object_, counters),
        python_(*object_, counters, {options.follow.contexts, options.follow.errands}),
        deques_(*object_, counters),
        java_(*object_, counters, [this](std::uint32_t pid) { return sides_of(pid); }),
        node_(*object_, counters),
        tokio_(*object_, counters),
        everybody_(options.selectors.all),
        goroutines_(options.follow.goroutines),
        continuations_(options.follow.continuations),
        futures_(options.follow.futures),
        missed_(counters.get("capture.lost.program_missed")),
        missed_states_(counters.get("capture.late.tcp_state_missed")),
        connections_(counters.get("capture.connections")),
        map_kib_(counters.get("self.map_kib")),
        ring_peak_(counters.get("capture.ring_peak_permille")),
        bpf_ns_(counters.get("self.bpf_ns")),
        trap_ns_(counters.get("self.trap_ns")),
        late_records_(counters.get("governor.late_records")),
        wakes_failed_(counters.get("capture.wakes.attach_failed")) {
    decoder_.set_contexts(&java_.contexts());
    java_.follow(continuations_, futures_);
    if (options.follow.goroutines) runtimes_.push_back(&go_);
    if (options.follow.contexts || options.follow.errands) runtimes_.push_back(&python_);
    if (options.follow.errands) runtimes_.push_back(&deques_);
    if (options.follow.contexts) runtimes_.push_back(&java_);
    if (options.follow.async_ids) runtimes_.push_back(&node_);
    if (options.follow.tokio) runtimes_.push_back(&tokio_);
    for (const char* reason : kReasons) lost_.push_back(&counters.get(std::string("capture.lost.") + reason));
  }
  Status start(const std::vector<Hook>& hooks, const std::vector<const char*>& programs, std::size_t ring_bytes) {
    auto ring = RingReader::open(object_->map_fd("ws_ring"), ring_bytes);
    if (!ring) return ring.error();
    ring_ = *std::move(ring);
    ring_bytes_ = ring_bytes;
    map_kib_.set(object_->map_bytes() >> 10U);
    // Targets first, then hooks, then targets again: whoever was forked in between has a parent that is a target, or is
    // found the second time.
    targets_.scan();
    keep_clocks();
    if (Status attached = attach_all(*object_, hooks, programs); !attached) return attached;
    targets_.scan();
    // Not later: who is ready will be asked, and what comes then is seen.
    asked_ = object_->asked_connections().value_or(std::vector<std::uint64_t>());
    if (!runtimes_.empty()) {
      targets_.visit([this](std::uint32_t pid) {
        LazyMaps maps(pid);
        for (RuntimeWatch* const runtime : runtimes_) runtime->found(pid, clock_.now(), maps);
      });
    }
    for (std::size_t i = 0; i < hooks.size(); ++i) {
      if (programs[i] == nullptr) continue;
      plan_.push_back(std::string(hooks[i].name) + ": " + programs[i]);
      if (hooks[i].attached == Hook::Attached::kOnDemand) turn_programs_.push_back(programs[i]);
      if (hooks[i].attached == Hook::Attached::kForWakes) wake_program_ = programs[i];
      if (hooks[i].attached == Hook::Attached::kAtFirst) first_programs_.push_back(programs[i]);
    }
    if (!turn_programs_.empty()) {
      decoder_.set_turns(&turns_);
      bool some = everybody_;  // of whom each is known only once it has moved bytes
      targets_.visit([&](std::uint32_t pid) { some = some || may_loop(pid); });
      if (some) {
        turns_.expect(clock_.now());
        // Ready is who understands the very next call.
        std::this_thread::sleep_for(std::chrono::nanoseconds(Turns::kFirstTurnNs));
      }
    }
    return {};
  }

  Status run(Sink<Event>& sink, const std::atomic<bool>& stop) override {
    object_->begin_detaching();
    sink_ = &sink;
    started_ = clock_.now();
    targets_.set_sink(this);
    targets_.flush_facts(clock_.now());
    tell_asked();
    int pause = kPollMs;
    int quiet = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      const int woken = quiet < kRoundsToDoze ? ring_->wait(until_edge(pause)) : doze();
      if (woken < 0 && woken != -EINTR) return Error{"wait for the ring buffer", -woken, {}};
      // Whoever has nothing to trace should not be noticed either.
      const bool some = consume() > 0;
      pause = some ? kPollMs : std::min(pause + kPollMs, kIdlePollMs);
      quiet = some ? 0 : std::min(quiet + 1, kRoundsToDoze);
      turn_gate();
      housekeeping(clock_.now());
    }
    reaper_.reap_all();
    object_->detach_all();
    consume();
    gate_.tell_counted(clock_.now(), 0, *sink_);
    flush_pending({~std::uint64_t{0}});
    consume();
    count_missed(clock_.now());
    report_losses(clock_.now());
    targets_.set_sink(nullptr);
    return {};
  }

  [[nodiscard]] const Clock& clock() const override { return clock_; }

  void set(ConnId conn, Verdict verdict) override {
    KnownConn* known = conns_.find(conn);
    if (known == nullptr) return;
    if (verdict == Verdict::kIgnore) turns_.ignored(*known->conn);
    const ws_verdict value = verdict == Verdict::kMore     ? WS_MORE
                             : verdict == Verdict::kIgnore ? WS_IGNORE
                                                           : WS_FIRST_BYTES;
    object_->control(WS_CONTROL_VERDICT, known->sock, static_cast<std::uint64_t>(conn), value);
  }

  void set_limits(const CaptureLimits& limits) override {
    const std::lock_guard lock(limits_mutex_);
    limits_ = limits;
    new_limits_.store(true, std::memory_order_release);
  }

  [[nodiscard]] std::vector<std::string> plan() const override { return plan_; }
  [[nodiscard]] std::vector<std::string> runtimes() const override {
    std::vector<std::string> out;
    for (const RuntimeWatch* const runtime : runtimes_) std::ranges::move(runtime->describe(), std::back_inserter(out));
    return out;
  }
  [[nodiscard]] std::size_t targets() const override { return targets_.size(); }
  [[nodiscard]] std::vector<BpfObject::ProgramCost> costs() const override { return object_->costs(); }
  [[nodiscard]] std::uint64_t map_bytes() const override { return object_->map_bytes(); }

 private:
  // Everything on its way out.
  void accept(const Event& event) override {
    if (const auto* opened = std::get_if<event::Opened>(&event)) {
      // Those connected by a call that was seen are told twice, the second time without the caller.
      const bool again =
          opened->actor.thread.tid == 0 && opened->conn->side == TcpSide::kActive && !opened->conn->adopted;
      if (!turn_programs_.empty() && !again) turns_.opened(*opened->conn, clock_.now());
      if (wake_program_ != nullptr) handovers_.opened(*opened->conn);
      for (RuntimeWatch* const runtime : runtimes_) runtime->used(opened->conn->pid);
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      turns_.exited(exited->pid);
      handovers_.exited(exited->pid);
      reaper_.exited(exited->pid);
    }
    if (!gate_.open() && of_data(event)) return late_records_.add();
    if (const auto* process = std::get_if<event::Process>(&event)) {
      LazyMaps maps(process->pid);
      for (RuntimeWatch* const runtime : runtimes_) runtime->found(process->pid, process->time, maps);
    } else if (const auto* exited = std::get_if<event::ProcessExited>(&event)) {
      for (RuntimeWatch* const runtime : runtimes_) runtime->exited(exited->pid);
      gate_.tell_counted(exited->time, exited->pid, *sink_);
    } else if (const auto* handover = std::get_if<event::Handover>(&event)) {
      go_.handed_over(*handover);
      deques_.handed_over(*handover);
      tell_watched();
      if (handover->role >= event::Handover::Role::kMayGive) return;  // for us only
      tokio_.handed_over(*handover);
    } else if (const auto* data = std::get_if<event::Data>(&event)) {
      if (goroutines_) go_.wrote(*data);
      tell_watched();
      tokio_.moved(*data);
      deques_.moved(*data);
      handovers_.moved(*data);
    } else if (const auto* lineage = std::get_if<event::Lineage>(&event)) {
      deques_.born(*lineage);
    } else if (const auto* wake = std::get_if<event::Wake>(&event)) {
      handovers_.woken(*wake);
    } else if (const auto* leads = std::get_if<event::Leads>(&event)) {
      handovers_.led(*leads);
    } else if (goroutines_) {
      if (const auto* births = std::get_if<event::Births>(&event)) {
        go_.read(*births);
      }
    }
    sink_->accept(event);
  }

  // Before what the probes tell, and whether a window is open or not.
  void tell_watched() {
    for (const event::Handover& told : go_.take_watched()) sink_->accept(told);
    for (const event::Handover& told : python_.take_watched()) sink_->accept(told);
    for (const event::Handover& told : deques_.take_watched()) sink_->accept(told);
  }

  ConnSides sides_of(std::uint32_t pid) {
    ConnSides out;
    conns_.visit([&](ConnId id, const KnownConn& known) {
      if (known.conn && known.conn->pid == pid && known.conn->transport == Transport::kTcp)
        out.emplace(static_cast<std::uint32_t>(id), known.conn->side);  // the lower half is the inode
    });
    return out;
  }

  // What belongs to a window only. Who writes a Go connection's requests holds for later ones as well.
  static bool of_data(const Event& event) {
    if (const auto* handover = std::get_if<event::Handover>(&event)) {
      return handover->role != event::Handover::Role::kWrites;
    }
    return std::holds_alternative<event::Data>(event) || std::holds_alternative<event::Wake>(event) ||
           std::holds_alternative<event::Births>(event) || std::holds_alternative<event::Async>(event) ||
           std::holds_alternative<event::Leads>(event) || std::holds_alternative<event::Holds>(event);
  }

  void turn_gate() {
    if (new_limits_.exchange(false, std::memory_order_acquire)) {
      const std::lock_guard lock(limits_mutex_);
      gate_.set_limits(limits_);
      tokio_.follow(limits_.wakeups);
      python_.follow_errands(limits_.wakeups);
      deques_.follow(limits_.wakeups);
      java_.follow(continuations_ && limits_.wakeups, futures_ && limits_.wakeups);
    }
    const BootTime now = clock_.now();
    if (!gate_.due(clock_.to_wall(now))) return;
    if (gate_.open()) gate_.shut(now, *sink_, [this] { consume(); });
    if (gate_.due(clock_.to_wall(now))) gate_.open(clock_.now(), *sink_);
  }

  [[nodiscard]] int until_edge(int pause) const {
    const std::int64_t left = gate_.left_ns(clock_.to_wall(clock_.now()));
    return static_cast<int>(std::min<std::int64_t>(pause, left / 1'000'000 + 1));
  }

  int doze() {
    std::uint32_t* const dozes = object_->reader_dozes();
    __atomic_store_n(dozes, 1U, __ATOMIC_SEQ_CST);
    const int woken = ring_->waiting() != 0 ? 0 : ring_->wait(until_edge(kDozeMs));
    __atomic_store_n(dozes, 0U, __ATOMIC_RELAXED);
    return woken;
  }

  std::size_t consume() {
    const auto waiting = static_cast<std::uint64_t>(ring_->waiting()) * 1000 / ring_bytes_;
    if (waiting > ring_peak_.value()) ring_peak_.set(waiting);
    // Before what came after them.
    report_losses(clock_.now());
    return ring_->read([this](Bytes record) {
      decoder_.decode(record, *this);
      tick(decoder_.newest());
    });
  }

  void tick(BootTime now) {
    if (now - last_tick_ < kTickNs) return;
    last_tick_ = now;
    sink_->accept(event::Tick{now});
  }

  void housekeeping(BootTime now) {
    tick(now);
    if (now - last_sweep_ >= kSweepNs) {
      last_sweep_ = now;
      flush_pending(now);
      report_losses(now);
      connections_.set(conns_.size());
      for (RuntimeWatch* const runtime : runtimes_) runtime->sweep(now);
      tell_watched();
      reaper_.reap_exited();
    } else {
      for (RuntimeWatch* const runtime : runtimes_)
        if (runtime->in_a_hurry(now)) runtime->sweep(now);
    }
    if (now - last_slow_sweep_ >= kSlowSweepNs) {
      last_slow_sweep_ = now;
      targets_.sweep(now);
      if (++reap_rounds_ % kReapEvery == 0) reaper_.reap_idle(now);
      count_missed(now);
      if (!first_programs_.empty() && now - started_ > kFirstNs) {
        for (const char* const program : first_programs_) object_->detach(program);
        first_programs_.clear();
      }
      turns_.sweep(now);
      handovers_.sweep(now);
      keep_clocks();
      gate_.tell_counted(now, 0, *sink_);
      if (++slow_sweeps_ % kMemoryEvery == 0) keep_memory();
    }
  }

  void keep_memory() {
    map_kib_.set(object_->map_bytes() >> 10U);
    release_code_pages();
    free_heap_.give_back();
  }

  // Threads of Go programs are told apart by goroutine.
  static bool may_loop(std::uint32_t pid) {
    return proc::has_epoll(pid) && !runtime_of(pid, proc::exe_of(pid)).starts_with("go");
  }

  bool watch_turns(bool on) {
    for (const char* program : turn_programs_) {
      if (!on) {
        object_->detach(program);
      } else if (!object_->attach(program)) {
        return false;
      }
    }
    return true;
  }

  // CPython's lock is handed over at every call, and Go and Node have threads of their own runtime's, which wake each
  // other all the time.
  static bool wakes_tell_nothing(std::uint32_t pid) {
    const std::string runtime = runtime_of(pid, proc::exe_of(pid));
    return runtime.starts_with("go") || runtime.starts_with("python") || runtime.starts_with("node");
  }

  void watch_handovers(std::uint32_t pid, Handovers::Watch what) {
    java_.hands_over(pid, what != Handovers::Watch::kNothing);
    const bool wakes = what == Handovers::Watch::kTasksAndWakes;
    if (wakes == watched_for_wakes_.contains(pid)) return;
    object_->tell_wakes(pid, wakes);
    if (wakes)
      watched_for_wakes_.insert(pid);
    else
      watched_for_wakes_.erase(pid);
    if (watched_for_wakes_.empty())
      object_->detach(wake_program_);
    else if (wakes && watched_for_wakes_.size() == 1 && !object_->attach(wake_program_))
      wakes_failed_.add();
  }

  void keep_clocks() { object_->set_boot_offset(boot_offset()); }

  // The kernel runs no program inside itself on one CPU, and none attached by perf inside of another: an interrupt that
  // closes a connection in the middle of another's closing is not seen by tcp_state. tcp_destroy tells that end a
  // moment later. What connect looks for is never done by an interrupt, though those that it misses are counted as
  // well, and where it misses a thread's, the connection is met at its first use. The others' are lost.
  void count_missed(BootTime now) {
    std::uint64_t lost = 0;
    std::uint64_t late = 0;
    std::uint64_t ns = 0;
    for (const auto& cost : object_->costs()) {
      ns += cost.ns;
      // An interrupt amid a wake-up wakes for what came from outside, which is not told anyway.
      if (cost.name.starts_with("wake__")) continue;
      const bool told_later = cost.name.starts_with("state__") || cost.name.starts_with("connect__");
      (told_later ? late : lost) += cost.missed;
    }
    bpf_ns_.set(ns);
    trap_ns_.set(object_->trap_ns());
    if (lost > missed_.value()) sink_->accept(event::Lost{now, "program_missed", lost - missed_.value()});
    missed_.set(lost);
    missed_states_.set(late);
  }

  // Turns whose last calls were counted in the kernel but not told, because nothing came after them.
  void flush_pending(BootTime now) {
    for (const ConnId id : conns_.take_spent()) {
      KnownConn* known = conns_.find(id);
      if (known == nullptr || !known->spent) continue;
      known->spent = false;
      if (now - known->last < kSweepNs) {
        conns_.set_spent(id, *known, true);  // still moving: it will be told
      } else {
        object_->control(WS_CONTROL_FLUSH, known->sock, static_cast<std::uint64_t>(id), 0);
      }
    }
  }

  // Requests that were read before we came are known by the inodes of their connections, the low half of the ids those
  // will get.
  void tell_asked() {
    for (const std::uint64_t which : std::exchange(asked_, {})) {
      sink_->accept(
          event::Unanswered{clock_.now(), ConnId{which & 0xffffffffU}, static_cast<std::uint32_t>(which >> 32U)});
    }
  }

  void report_losses(BootTime now) {
    std::array<std::uint64_t, WS_STAT_COUNT> stats{};
    object_->read_stats(stats);
    for (std::size_t i = 0; i < stats.size(); ++i) {
      if (stats[i] == last_stats_[i]) continue;
      const std::uint64_t fresh = stats[i] - last_stats_[i];
      last_stats_[i] = stats[i];
      lost_[i]->add(fresh);
      if (i == WS_STAT_CONN_MAP_FULL) reaper_.evict_idle(now);
      if (i == WS_STAT_CONTEXT_MAP_FULL) python_.contexts_full();
      sink_->accept(event::Lost{now, kReasons[i], fresh});
    }
  }

  SystemClock clock_;
  std::unique_ptr<BpfObject> object_;
  KernelTargets kernel_targets_;
  Targets targets_;
  ConnTable conns_;
  ConnReaper reaper_;
  Decoder decoder_;
  Turns turns_;
  std::vector<const char*> turn_programs_;
  Handovers handovers_;
  const char* wake_program_ = nullptr;
  FreeHeap free_heap_;
  std::unordered_set<std::uint32_t> watched_for_wakes_;  // processes
  std::vector<const char*> first_programs_;              // until kFirstNs
  std::vector<std::uint64_t> asked_;                     // when we began, until it is told
  GoProbes go_;
  Gate gate_;
  std::mutex limits_mutex_;
  CaptureLimits limits_;  // the wanted ones, until they are obeyed
  std::atomic<bool> new_limits_{false};
  PythonProbes python_;
  PythonDeques deques_;
  JavaThreads java_;
  NodeProbes node_;
  TokioProbes tokio_;
  bool everybody_;
  bool goroutines_;
  bool continuations_;
  bool futures_;
  std::vector<RuntimeWatch*> runtimes_;  // those of the above that are followed
  Counter& missed_;
  Counter& missed_states_;
  Counter& connections_;
  Counter& map_kib_;
  Counter& ring_peak_;  // since somebody last set it to 0
  Counter& bpf_ns_;
  Counter& trap_ns_;
  Counter& late_records_;
  Counter& wakes_failed_;
  std::vector<Counter*> lost_;
  std::vector<std::string> plan_;
  std::array<std::uint64_t, WS_STAT_COUNT> last_stats_{};
  std::unique_ptr<RingReader> ring_;
  Sink<Event>* sink_ = nullptr;
  std::size_t ring_bytes_ = 1;
  unsigned slow_sweeps_ = 0;
  unsigned reap_rounds_ = 0;
  BootTime started_{};
  BootTime last_tick_{};
  BootTime last_sweep_{};
  BootTime last_slow_sweep_{};
};

}  // namespace

Result<std::unique_ptr<KernelSource>> KernelSource::open(const KernelOptions& options, Counters& counters) {
  if (options.selectors.empty())
    return Error{"nothing selected to trace", 0, "Name a pid, cgroup, exe or port, or say --all"};
  BpfSettings settings;
  settings.trace_all = options.selectors.all;
  settings.watch_exec = !options.selectors.exe_globs.empty() || !options.selectors.cgroups.empty();
  settings.watch_listen = !options.selectors.ports.empty();
  settings.capture_bytes = options.capture_bytes;
  settings.ring_bytes = std::bit_ceil(std::max<std::uint32_t>(options.ring_bytes, 64U << 10U));
  settings.max_connections = options.max_connections;

  // By the plan that is wanted, or else the first the kernel allows: some load what they cannot attach (functions on
  // arm64 before 6.4, or that are patched alive).
  Error why;
  for (const Plan plan : kPlans) {
    if (options.plan && *options.plan != plan) continue;
    if (std::string reason = why_not(plan); !reason.empty()) {
      why = {"use the plan " + std::string(to_string(plan)), 0, std::move(reason)};
      continue;
    }
    const std::vector<Hook> hooks = hooks_of(plan, options.follow);
    std::vector<const char*> programs;
    auto object = load_plan(settings, hooks, options.prefer, programs);
    if (!object) {
      why = object.error();
      continue;
    }
    auto source = std::make_unique<LiveSource>(options, *std::move(object), counters);
    if (Status started = source->start(hooks, programs, settings.ring_bytes); !started) {
      why = started.error();
      continue;
    }
    malloc_trim(0);  // the kernel's types again: attaching parses them once more
    return std::unique_ptr<KernelSource>(std::move(source));
  }
  return why;
}

}  // namespace wirespan
