#include "agent/capture/handovers.h"

#include <algorithm>
#include <utility>

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 4096;
constexpr std::size_t kMostThreads = 4096;
constexpr std::uint32_t kLook = 64;  // calls
constexpr std::uint32_t kMostLook = 1024;
constexpr std::uint32_t kSome = 8;   // of these, by others than who reads requests; requests that overlap
constexpr std::uint32_t kSoon = 16;  // calls, if nearly all of them are by others and nothing overlaps
constexpr std::uint32_t kNearlyAll = 14;
// Processes change their ways seldom: looked at again after that long, and twice that, and so on.
constexpr std::int64_t kRestNs = 10'000'000'000;
constexpr std::int64_t kMostRestNs = 600'000'000'000;
// Responses, of which nearly all were told otherwise: the wake-ups that told of the rest cost more than they tell.
constexpr std::uint32_t kChecked = 256;
constexpr std::uint32_t kRareUntold = 32;
constexpr std::int64_t kBetweenChecksNs = 1'000'000'000;
// A second. A wake-up costs some 0.5 us of who is traced and 0.3 of the agent (docs/cost.md).
constexpr std::uint64_t kMostWakes = 50'000;

}  // namespace

Handovers::Handovers(Kernel kernel, Counters& counters)
    : kernel_(std::move(kernel)),
      watched_(counters.get("capture.wakes.processes")),
      too_many_(counters.get("capture.wakes.processes_left_for_their_rate")) {}

void Handovers::opened(const Connection& conn) {
  if (conn.side == TcpSide::kUnknown && conn.transport == Transport::kTcp) return;
  if (processes_.size() >= kMostProcesses && !processes_.contains(conn.pid)) return;
  const auto [it, fresh] = processes_.try_emplace(conn.pid);
  Process& process = it->second;
  if (fresh) {
    process.state = State::kLeft;
    process.rest_ns = kRestNs;
  }
  const bool before = process.serves && process.calls;
  if (!process.serves && conn.side == TcpSide::kPassive) kernel_.prepare(conn.pid);
  process.serves = process.serves || conn.side == TcpSide::kPassive;
  process.calls = process.calls || conn.side == TcpSide::kActive;
  if (before || !process.serves || !process.calls) return;
  set_state(conn.pid, process, State::kLookedAt);
  // Until it is clear, where what its threads work on may say it: its first requests are under way.
  if (kernel_.names_tasks(conn.pid) && !kernel_.told_otherwise(conn.pid))
    watch(conn.pid, process, Watch::kTasksAndWakes);
}

void Handovers::look(const event::Data& data) {
  const auto it = processes_.find(data.actor.thread.pid);
  if (it == processes_.end()) return;
  Process& process = it->second;
  if (process.checked) return check(it->first, process, data);
  if (process.state != State::kLookedAt) return;
  const bool sent = data.direction == Direction::kSent;
  Thread* const its = thread(process, data.actor.thread.tid);
  if (its == nullptr) return;
  if (data.conn->side == TcpSide::kPassive) {
    if (sent) {
      ++process.answers;
      its->answers = true;
      if (its->serves == data.conn->id) its->serves = {};
      return;
    }
    if (its->serves != ConnId{} && its->serves != data.conn->id) {
      ++process.overlaps;
      ++its->overlaps;
    }
    its->reads = process.reads = true;
    its->serves = data.conn->id;
  } else if (data.conn->side == TcpSide::kActive && sent && process.reads) {
    ++process.calls_seen;
    ++its->calls;
    if (!its->reads) ++process.by_others;
    const bool clear = process.overlaps == 0 || process.overlaps >= kSome;
    const bool soon = process.calls_seen == kSoon && process.by_others >= kNearlyAll && clear;
    if (process.calls_seen < kLook && !soon) return;
    // Who reads for others, and who makes calls and answers as well, is only known after some answers.
    const bool enough = process.overlaps < kSome || process.answers >= kSome || process.calls_seen >= kMostLook;
    if (const Watch what = wanted(it->first, process); what != Watch::kNothing)
      set_state(it->first, process, State::kWatched, what);
    else if (process.calls_seen >= kLook && enough)
      leave(it->first, process, data.time);
  }
}

Handovers::Thread* Handovers::thread(Process& process, std::uint32_t tid) {
  if (process.threads.size() < kMostThreads) return &process.threads[tid];
  const auto it = process.threads.find(tid);
  return it == process.threads.end() ? nullptr : &it->second;
}

bool Handovers::reads(const Process& process, std::uint32_t tid) {
  const auto it = process.threads.find(tid);
  return it != process.threads.end() && it->second.reads;
}

Handovers::Watch Handovers::wanted(std::uint32_t pid, const Process& process) const {
  if (process.by_others < kSome) return Watch::kNothing;
  if (process.overlaps < kSome) return kernel_.told_otherwise(pid) ? Watch::kNothing : Watch::kTasksAndWakes;
  if (kernel_.names_tasks(pid)) return Watch::kTasks;
  // A thread that only reads, for those that answer (puma's reactor), is no event loop. Nor are calls handed over by
  // who waits, if whoever makes them answers too.
  if (process.answers < kSome || process.calls_seen < kLook) return Watch::kNothing;
  std::uint32_t overlaps = 0;
  std::uint32_t by_others = 0;
  for (const auto& [tid, its] : process.threads) {
    if (its.answers) overlaps += its.overlaps;
    if (!its.answers && !its.reads) by_others += its.calls;
  }
  const bool hands_over = by_others >= kSome && overlaps < kSome;
  return hands_over && !kernel_.told_otherwise(pid) ? Watch::kTasksAndWakes : Watch::kNothing;
}

void Handovers::led(const event::Leads& leads) {
  const auto it = processes_.find(leads.pid);
  if (it == processes_.end()) return;
  Process& process = it->second;
  // By what is watched here.
  if (leads.worker != 0) return;
  // A thread that has read no request is a pool's: for whom it waits wake-ups tell.
  if (leads.tid != 0 && !reads(process, leads.tid)) return;
  if (process.checked) ++process.explained;
  if (process.state == State::kLookedAt && process.by_others > 0) --process.by_others;
}

void Handovers::check(std::uint32_t pid, Process& process, const event::Data& data) {
  const bool sent = data.direction == Direction::kSent;
  if (data.conn->side == TcpSide::kPassive) {
    Thread* const its = sent ? nullptr : thread(process, data.actor.thread.tid);
    if (its != nullptr) its->reads = true;
    return;
  }
  if (data.conn->side != TcpSide::kActive) return;
  if (sent) {
    if (process.asked.size() < kMostThreads) process.asked.insert(data.conn->id);
  } else if (process.asked.erase(data.conn->id) != 0) {
    ++process.responses;
  }
  if (process.responses < kChecked) return;
  const std::uint32_t untold = process.responses - std::min(process.responses, process.explained);
  set_checked(process, false);
  process.check_due = data.time + process.between_checks_ns;
  process.between_checks_ns = std::min(process.between_checks_ns * 2, kMostRestNs);
  if (untold * kRareUntold <= process.responses) leave(pid, process, data.time);
}

void Handovers::set_checked(Process& process, bool checked) {
  if (std::exchange(process.checked, checked) == checked) return;
  looked_at_ += checked ? 1 : 0;
  looked_at_ -= checked ? 0 : 1;
  process.asked.clear();
  process.responses = process.explained = 0;
}

void Handovers::watch(std::uint32_t pid, Process& process, Watch what) {
  const Watch before = std::exchange(process.watched, what);
  if (before == what) return;
  const auto counts = [](Watch which) { return which == Watch::kNothing ? 0U : 1U; };
  watched_.set(watched_.value() + counts(what) - counts(before));
  kernel_.watch(pid, what);
}

void Handovers::set_state(std::uint32_t pid, Process& process, State state, Watch watched) {
  const State before = std::exchange(process.state, state);
  if (before == state) return;
  set_checked(process, false);
  if (state == State::kLookedAt) kernel_.prepare(pid);
  if (state == State::kWatched) {
    process.check_due = {};
    process.between_checks_ns = kBetweenChecksNs;
  }
  looked_at_ += state == State::kLookedAt ? 1 : 0;
  looked_at_ -= before == State::kLookedAt ? 1 : 0;
  watch(pid, process, watched);
}

void Handovers::leave(std::uint32_t pid, Process& process, BootTime now) {
  process.threads.clear();
  process.reads = false;
  process.calls_seen = process.by_others = process.overlaps = process.answers = 0;
  process.until = now + process.rest_ns;
  process.rest_ns = std::min(process.rest_ns * 2, kMostRestNs);
  set_state(pid, process, State::kLeft);
}

void Handovers::woken(const event::Wake& wake) {
  const auto it = processes_.find(wake.waker.thread.pid);
  if (it != processes_.end()) ++it->second.wakes;
}

void Handovers::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  set_state(pid, it->second, State::kLeft);
  processes_.erase(it);
}

void Handovers::sweep(BootTime now) {
  const auto most = static_cast<std::uint64_t>(static_cast<double>(now - swept_) * 1e-9 * kMostWakes);
  for (auto& [pid, process] : processes_) {
    const std::uint64_t wakes = std::exchange(process.wakes, 0);
    if (process.state == State::kWatched && swept_.ns != 0 && wakes > most) {
      too_many_.add();
      leave(pid, process, now);
    } else if (process.state == State::kWatched) {
      if (now >= process.check_due) set_checked(process, true);
    } else if (process.state == State::kLeft && process.serves && process.calls && now >= process.until) {
      set_state(pid, process, State::kLookedAt);
    }
  }
  swept_ = now;
}

}  // namespace wirespan
