#include "agent/capture/gate.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/capture/preemption.h"

namespace wirespan {
namespace {

// A BPF program that saw the gate open has written its record after so long: nothing but interrupts stops it
// (docs/adr/0014).
constexpr unsigned kSettleUs = 200;
// A request not answered for longer is a stream, or a protocol that does not answer.
constexpr std::uint64_t kLongestRequestNs = 30'000'000'000;
constexpr std::uint32_t kBatch = 512;
// Whoever removes a connection while we stand at it sends us back to the first.
constexpr unsigned kMostSteps = 262'144;

static_assert(event::Counted::kSlots == WS_TURN_SLOTS);

bool waits_for_answer(const ws_conn& conn, BootTime now) {
  return conn.side == WS_SIDE_PASSIVE && conn.direction == WS_RECEIVED && conn.verdict != WS_IGNORE && conn.turn != 0 &&
         conn.turn <= now.ns && now.ns - conn.turn < kLongestRequestNs;
}

}  // namespace

WindowState window_at(const CaptureLimits& limits, WallTime now) {
  constexpr std::int64_t kForever = 1'000'000'000;
  if (limits.share >= 1) return {true, kForever};
  if (limits.share <= 0) return {false, kForever};
  const auto phase = static_cast<std::int64_t>(now.ns % static_cast<std::uint64_t>(limits.period_ns));
  const auto edge = static_cast<std::int64_t>(limits.share * static_cast<double>(limits.period_ns));
  if (phase < edge) return {true, edge - phase};
  return {false, limits.period_ns - phase};
}

Gate::Gate(BpfObject& object, Counters& counters)
    : object_(object),
      memory_(object.gate()),
      maps_(object.maps()),
      one_by_one_(programs_are_preempted()),
      windows_(counters.get("governor.windows")),
      open_gauge_(counters.get("governor.window_open")),
      share_ppm_(counters.get("governor.share_ppm")),
      sampled_out_(counters.get("governor.sampled_out.requests")),
      calls_sampled_out_(counters.get("governor.sampled_out.calls")) {
  open_gauge_.set(1);
  share_ppm_.set(1'000'000);
}

void Gate::set_limits(const CaptureLimits& limits) {
  limits_ = limits;
  share_ppm_.set(static_cast<std::uint64_t>(limits.share * 1e6));
  __atomic_store_n(memory_.capture, limits.capture_bytes, __ATOMIC_RELAXED);
  __atomic_store_n(memory_.no_wakeups, limits.wakeups ? 0U : 1U, __ATOMIC_RELAXED);
}

bool Gate::due(WallTime now) const {
  const bool want = window_at(limits_, now).open;
  return want != open_ || (open_ && open_share_ != limits_.share);
}

std::int64_t Gate::left_ns(WallTime now) const {
  return window_at(limits_, now).left_ns;
}

void Gate::shut(BootTime now, Sink<Event>& sink, const std::function<void()>& drain) {
  __atomic_store_n(memory_.shut, 1U, __ATOMIC_SEQ_CST);
  counted_ = true;
  ::usleep(kSettleUs);
  drain();
  open_ = false;
  open_gauge_.set(0);
  sink.accept(event::Window{now, false, open_share_});
}

void Gate::open(BootTime now, Sink<Event>& sink) {
  __atomic_store_n(memory_.shut, 0U, __ATOMIC_SEQ_CST);
  open_ = true;
  open_share_ = limits_.share;
  open_gauge_.set(1);
  windows_.add();
  // After the gate: a request read between the two is told twice, which only makes us more careful.
  const std::vector<event::Unanswered> requests = unanswered(now);
  sink.accept(event::Window{now, true, open_share_});
  for (const event::Unanswered& request : requests) sink.accept(request);
}

std::vector<event::Unanswered> Gate::unanswered(BootTime now) const {
  std::vector<event::Unanswered> out;
  const auto tell = [&](const ws_conn& conn) {
    if (waits_for_answer(conn, now)) out.push_back({now, ConnId{conn.id}, conn.pid});
  };
  for (const ws_conn_slot& slot : memory_.slots) {
    if (__atomic_load_n(&slot.sock, __ATOMIC_ACQUIRE) > 1) tell(slot.conn);
  }
  if (one_by_one_) {
    std::uint64_t sock = 0;
    ws_conn conn{};
    unsigned left = kMostSteps;
    for (bool more = maps_.next<std::uint64_t>(WS_MAP_CONNS, nullptr, sock); more && left > 0; --left) {
      if (maps_.lookup(WS_MAP_CONNS, sock, conn)) tell(conn);
      more = maps_.next(WS_MAP_CONNS, &sock, sock);
    }
    return out;
  }
  std::vector<std::uint64_t> keys(kBatch);
  std::vector<ws_conn> conns(kBatch);
  std::uint64_t at = 0;
  bool first = true;
  for (;;) {
    std::uint32_t count = kBatch;
    const int failed = bpf_map_lookup_batch(maps_.fd(WS_MAP_CONNS), first ? nullptr : &at, &at, keys.data(),
                                            conns.data(), &count, nullptr);
    if (failed != 0 && errno != ENOENT) return out;  // a kernel without it: connections in slots are most
    std::for_each_n(conns.begin(), count, tell);
    if (failed != 0) return out;
    first = false;
  }
}

bool Gate::tell(BootTime now, const ws_turns_key& key, Sink<Event>& sink) {
  ws_turns turns{};
  if (!maps_.lookup(WS_MAP_TURNS, key, turns)) return false;
  ws_turns& told = told_[{key.pid, key.side}];
  // A process id used again: the entry was removed with the process before.
  if (turns.requests < told.requests || turns.answers < told.answers) told = {};
  if (turns.requests == told.requests && turns.answers == told.answers) return true;
  event::Counted out{now,
                     key.pid,
                     key.side == WS_SIDE_PASSIVE ? TcpSide::kPassive : TcpSide::kActive,
                     turns.requests - told.requests,
                     turns.answers - told.answers,
                     turns.answer_ns - told.answer_ns,
                     {}};
  for (std::size_t i = 0; i < out.slots.size(); ++i) out.slots[i] = turns.slot[i] - told.slot[i];
  told = turns;
  (out.side == TcpSide::kPassive ? sampled_out_ : calls_sampled_out_).add(out.requests);
  sink.accept(out);
  return true;
}

void Gate::tell_counted(BootTime now, std::uint32_t gone, Sink<Event>& sink) {
  if (!counted_) return;
  if (gone != 0) {
    for (const std::uint32_t side : {WS_SIDE_ACTIVE, WS_SIDE_PASSIVE}) {
      const ws_turns_key key{gone, side};
      if (!tell(now, key, sink)) continue;
      maps_.remove(WS_MAP_TURNS, key);
      told_.erase({gone, side});
    }
    return;
  }
  ws_turns_key key{};
  ws_turns_key next{};
  for (bool more = maps_.next<ws_turns_key>(WS_MAP_TURNS, nullptr, next); more;
       more = maps_.next(WS_MAP_TURNS, &key, next)) {
    key = next;
    tell(now, key, sink);
  }
}

}  // namespace wirespan
