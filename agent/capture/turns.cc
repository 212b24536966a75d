#include "agent/capture/turns.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostProcesses = 65'536;
// A loop may be made after the first connections: looked for again so often.
constexpr std::int64_t kAskAgainNs = 5'000'000'000;
// Attaching goes through every thread of the host: not for each short-lived process anew.
constexpr std::int64_t kLingerNs = 2'000'000'000;

struct Roles {
  bool serves = false;
  bool calls = false;
};

Roles roles_of(const Connection& conn) {
  const bool active = conn.side == TcpSide::kActive;
  const bool passive = conn.side == TcpSide::kPassive;
  return active || passive ? Roles{passive, active} : Roles{true, true};
}

}  // namespace

void Turns::opened(const Connection& conn, BootTime now) {
  if (processes_.size() >= kMostProcesses && !processes_.contains(conn.pid)) return;
  Process& process = processes_[conn.pid];
  const Roles roles = roles_of(conn);
  process.served += roles.serves ? 1 : 0;
  process.called += roles.calls ? 1 : 0;
  if (process.loops || process.asked.ns != 0) return;
  if (process.served != 0 && process.called != 0) {
    ask(conn.pid, process, now);
  } else if (process.served == 1 && roles.serves && kernel_.may_loop(conn.pid)) {
    expect(now);
  }
}

void Turns::expect(BootTime now) {
  until_ = now + kLingerNs;
  if (watching_) return;
  watching_ = kernel_.watch(true);
  since_ = now;
}

void Turns::ignored(const Connection& conn) {
  const auto it = processes_.find(conn.pid);
  if (it == processes_.end()) return;
  Process& process = it->second;
  const Roles roles = roles_of(conn);
  if (roles.serves && process.served > 0) --process.served;
  if (roles.calls && process.called > 0) --process.called;
  if (process.served != 0 && process.called != 0) return;
  set_loops(process, false);
  process.asked = {};
}

void Turns::exited(std::uint32_t pid) {
  const auto it = processes_.find(pid);
  if (it == processes_.end()) return;
  set_loops(it->second, false);
  processes_.erase(it);
}

void Turns::sweep(BootTime now) {
  for (auto& [pid, process] : processes_) {
    if (process.served == 0 || process.called == 0 || now - process.asked < kAskAgainNs) continue;
    ask(pid, process, now);
  }
  if (loops_ != 0) {
    until_ = now + kLingerNs;
  } else if (watching_ && now >= until_) {
    kernel_.watch(false);
    watching_ = false;
  }
}

void Turns::ask(std::uint32_t pid, Process& process, BootTime now) {
  process.asked = now;
  set_loops(process, kernel_.may_loop(pid));
  if (process.loops) expect(now);
}

void Turns::set_loops(Process& process, bool loops) {
  if (process.loops == loops) return;
  process.loops = loops;
  loops ? ++loops_ : --loops_;
}

std::uint32_t Turns::believed_of_loops(std::uint32_t pid, BootTime time, std::uint32_t turn) const {
  const auto it = processes_.find(pid);
  if (it == processes_.end() || !it->second.loops) return turn;
  if (!watching_ || time < since_) return kTurnUnknown;
  return turn < 2 && time - since_ < kFirstTurnNs ? kTurnUnknown : turn;
}

}  // namespace wirespan
