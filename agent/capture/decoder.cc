#include "agent/capture/decoder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/hash.h"

namespace wirespan {
namespace {

template <class Record>
std::optional<Record> read(Bytes bytes) {
  if (bytes.size() < sizeof(Record)) return std::nullopt;
  Record record;
  std::memcpy(&record, bytes.data(), sizeof(record));
  return record;
}

// A double as it lies in memory, if it is a number JavaScript counts with.
std::optional<std::uint64_t> whole_number(std::uint64_t bits) {
  constexpr double kMost = 9007199254740991;  // Number.MAX_SAFE_INTEGER
  const auto value = std::bit_cast<double>(bits);
  if (!(value >= 0 && value <= kMost) || std::trunc(value) != value) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

Address inet_address(std::uint8_t family, const std::uint8_t (&ip)[16], std::uint16_t port) {
  // An IPv4 peer of a dual-stack socket: ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
  static constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  Address out;
  out.port = port;
  if (family == WS_FAMILY_IPV6 && std::equal(kMapped, kMapped + 12, ip)) {
    out.family = Address::Family::kIpv4;
    std::copy(ip + 12, ip + 16, out.ip.begin());
    return out;
  }
  out.family = family == WS_FAMILY_IPV4 ? Address::Family::kIpv4 : Address::Family::kIpv6;
  std::copy(ip, ip + (family == WS_FAMILY_IPV4 ? 4 : 16), out.ip.begin());
  return out;
}

Address unix_address(const std::uint8_t (&path)[WS_UNIX_PATH], std::uint8_t size) {
  Address out;
  out.family = Address::Family::kUnix;
  const std::size_t length = std::min<std::size_t>(size, WS_UNIX_PATH);
  if (length == 0) return out;
  // Abstract names begin with a zero byte and may hold more; path names end at theirs.
  const bool abstract = path[0] == 0;
  const auto* end = abstract ? path + length : std::find(path, path + length, std::uint8_t{0});
  out.path.assign(path, end);
  std::replace(out.path.begin(), out.path.end(), '\0', '@');
  return out;
}

// The end that has no name while the other has is the one that connected; both ends see which. A pair where that does
// not tell (socketpair, both bound) needs both inode numbers, equal in both orders.
void unix_bases(const ws_ev_opened& record, std::uint64_t boot_id, Connection& conn) {
  const bool initiator = record.local_path_size == 0 && record.remote_path_size != 0;
  const bool acceptor = record.local_path_size != 0 && record.remote_path_size == 0;
  std::uint64_t identity = 0;
  bool low = initiator;
  if (initiator) {
    identity = record.inode;
  } else if (acceptor) {
    identity = record.peer_inode;
  } else {
    low = record.inode < record.peer_inode;
    identity = record.peer_inode == 0 ? 0 : std::min(record.inode, record.peer_inode);
  }
  conn.has_base = record.has_base != 0 && identity != 0;
  if (!conn.has_base) return;
  const std::uint64_t seed = combine64(boot_id, identity);
  conn.sent_base = combine64(seed, low ? 1 : 2);
  conn.received_base = combine64(seed, low ? 2 : 1);
}

}  // namespace

Decoder::Decoder(ConnTable& conns, ProcessWatcher& watcher, Counters& counters, std::uint64_t boot_id)
    : conns_(conns),
      watcher_(watcher),
      boot_id_(boot_id),
      records_(counters.get("capture.records")),
      bytes_(counters.get("capture.bytes")),
      malformed_(counters.get("capture.lost.malformed_record")),
      unknown_conn_(counters.get("capture.lost.unknown_connection")) {}

void Decoder::decode(Bytes record, Sink<Event>& sink) {
  records_.add();
  const auto header = read<ws_ev_header>(record);
  if (!header) return malformed_.add();
  newest_ = std::max(newest_, BootTime{header->time});
  const BootTime time{header->time};
  switch (header->type) {
    case WS_EV_DATA:
      return data(record, sink);
    case WS_EV_OPENED:
      return opened(record, sink);
    case WS_EV_CLOSED:
      return closed(record, sink);
    case WS_EV_FORK:
      return fork(record, sink);
    case WS_EV_EXEC: {
      const auto ev = read<ws_ev_exec>(record);
      if (!ev) return malformed_.add();
      const auto* comm = reinterpret_cast<const char*>(ev->comm);  // NOLINT(*-reinterpret-cast)
      return watcher_.executed(ev->h.pid, ev->parent_pid, ev->is_target != 0, {comm, strnlen(comm, sizeof(ev->comm))},
                               time);
    }
    case WS_EV_EXIT:
      return exit(record, sink);
    case WS_EV_LISTEN: {
      const auto ev = read<ws_ev_listen>(record);
      if (!ev) return malformed_.add();
      return watcher_.listening(ev->h.pid, ev->port, ev->is_target != 0, time);
    }
    case WS_EV_WAKE:
      return wake(record, sink);
    case WS_EV_HANDOVER:
      return handover(record, sink);
    case WS_EV_TOKIO:
      return tokio(record, sink);
    case WS_EV_BIRTHS:
      return births(record, sink);
    case WS_EV_LINEAGE:
      return lineage(record, sink);
    case WS_EV_ASYNC:
      return async(record, sink);
    case WS_EV_LEADS: {
      const auto ev = read<ws_ev_leads>(record);
      if (!ev) return malformed_.add();
      return sink.accept(
          event::Leads{time, ev->h.pid, ConnId{ev->call}, ConnId{ev->request}, ev->task, ev->tid, ev->worker});
    }
    case WS_EV_HOLDS: {
      const auto ev = read<ws_ev_holds>(record);
      if (!ev || ev->count > event::Holds::kMost || ev->waiters > event::Holds::kMostWaiting) return malformed_.add();
      event::Holds holds{
          time, {ev->h.pid, ev->tid}, ConnId{ev->conn}, ev->collections, ev->works_on, ev->waiters, ev->count, {}, {}};
      std::copy_n(ev->waiting, ev->waiters, holds.waiting.begin());
      std::copy_n(ev->futures, ev->count, holds.futures.begin());
      return sink.accept(holds);
    }
    default:
      return malformed_.add();
  }
}

std::uint64_t Decoder::task(std::uint32_t pid, std::uint64_t told) const {
  constexpr std::uint64_t kObject = WS_TASK_CONTEXT | WS_TASK_OBJECT;
  if ((told & kObject) != kObject) return told;
  return contexts_ == nullptr ? 0 : contexts_->number(pid, told);
}

void Decoder::data(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_data>(record);
  if (!ev || ev->captured > record.size() - sizeof(*ev)) return malformed_.add();
  KnownConn* known = conns_.find(ConnId{ev->conn});
  if (known == nullptr) return unknown_conn_.add();
  if (ev->h.pid != last_active_) {
    watcher_.active(ev->h.pid, BootTime{ev->h.time});
    last_active_ = ev->h.pid;
  }
  known->last = BootTime{ev->h.time};
  if ((ev->h.flags & WS_EV_MISSED) != 0) sink.accept(event::Missed{BootTime{ev->h.time}, {ev->h.pid, ev->tid}});
  conns_.set_spent(known->conn->id, *known, (ev->h.flags & WS_EV_SPENT) != 0);

  auto& out = std::get<event::Data>(data_event_);
  if (out.conn != known->conn) out.conn = known->conn;
  out.direction = ev->direction == WS_SENT ? Direction::kSent : Direction::kReceived;
  out.time = BootTime{ev->h.time};
  out.actor = Actor{{ev->h.pid, ev->tid}, turn(ev->h, ev->loop), task(ev->h.pid, ev->task), ev->parent_task};
  out.position = ev->position;
  out.length = ev->length;
  out.captured = record.subspan(sizeof(*ev), std::min<std::size_t>(ev->captured, ev->length));
  const std::size_t tail = ev->captured < ev->length ? std::min<std::size_t>(ev->tail_size, WS_TAIL_BYTES) : 0;
  out.tail = record.subspan(offsetof(ws_ev_data, tail), tail);
  bytes_.add(ev->length);
  sink.accept(data_event_);
}

void Decoder::opened(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_opened>(record);
  if (!ev) return malformed_.add();
  KnownConn& known = conns_.insert(ConnId{ev->conn});
  const bool first = !known.conn;
  if (first) known.conn = std::make_shared<Connection>();
  // Told twice when it was still being made the first time: bases come before its first Data, so nobody has used the
  // object for more than its id.
  Connection& conn = *known.conn;
  const bool had_base = conn.has_base;
  known.sock = ev->sock;
  known.last = BootTime{ev->h.time};
  conn.id = ConnId{ev->conn};
  conn.adopted = ev->adopted != 0;
  if (first) {
    conn.pid = ev->h.pid;
    conn.opened = BootTime{ev->opened != 0 ? ev->opened : ev->h.time};
  }
  conn.side = ev->side == WS_SIDE_ACTIVE    ? TcpSide::kActive
              : ev->side == WS_SIDE_PASSIVE ? TcpSide::kPassive
                                            : TcpSide::kUnknown;
  if (ev->family == WS_FAMILY_UNIX) {
    conn.transport = Transport::kUnix;
    if (first) conns_.count_unix();
    conn.local = unix_address(ev->local_path, ev->local_path_size);
    conn.remote = unix_address(ev->remote_path, ev->remote_path_size);
    unix_bases(*ev, boot_id_, conn);
  } else {
    conn.local = inet_address(ev->family, ev->local_ip, ev->local_port);
    conn.remote = inet_address(ev->family, ev->remote_ip, ev->remote_port);
    conn.has_base = ev->has_base != 0;
    conn.sent_base = ev->sent_base;
    conn.received_base = ev->received_base;
    if (ev->side_guessed != 0) conn.side = TcpSide::kUnknown;
  }
  // Told once more when it can be known at its other end.
  if (!first && conn.has_base && !had_base) return sink.accept(event::Opened{known.conn, {}});
  if (!first) return;
  watcher_.active(ev->h.pid, BootTime{ev->h.time});
  event::Opened out{known.conn, {}};
  if (ev->tid != 0) out.actor = Actor{{ev->h.pid, ev->tid}, turn(ev->h, ev->loop), 0, 0};
  sink.accept(out);
}

void Decoder::closed(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_closed>(record);
  if (!ev) return malformed_.add();
  KnownConn* known = conns_.find(ConnId{ev->conn});
  if (known == nullptr) return;
  using How = event::Closed::How;
  const How how = ev->how == WS_RESET ? How::kReset : ev->how == WS_FORGOTTEN ? How::kForgotten : How::kClosed;
  sink.accept(event::Closed{known->conn, BootTime{ev->h.time}, how});
  conns_.erase(ConnId{ev->conn});
}

void Decoder::fork(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_fork>(record);
  if (!ev) return malformed_.add();
  if (ev->child_pid != ev->h.pid) watcher_.forked(ev->h.pid, ev->child_pid, BootTime{ev->h.time});
  sink.accept(event::Forked{BootTime{ev->h.time}, {ev->h.pid, ev->parent_tid}, {ev->child_pid, ev->child_tid}});
}

void Decoder::exit(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_exit>(record);
  if (!ev) return malformed_.add();
  sink.accept(event::ThreadExited{BootTime{ev->h.time}, {ev->h.pid, ev->tid}});
  if (ev->process == 0) return;
  if (last_active_ == ev->h.pid) last_active_ = 0;
  watcher_.exited(ev->h.pid, BootTime{ev->h.time});
  sink.accept(event::ProcessExited{BootTime{ev->h.time}, ev->h.pid});
}

void Decoder::wake(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_wake>(record);
  if (!ev) return malformed_.add();
  sink.accept(
      event::Wake{BootTime{ev->h.time},
                  Actor{{ev->h.pid, ev->tid}, turn(ev->h, ev->loop), task(ev->h.pid, ev->task), ev->parent_task},
                  {ev->wakee_pid, ev->wakee_tid},
                  ev->alone != 0});
}

void Decoder::handover(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_handover>(record);
  if (!ev || ev->role < WS_CALLS || ev->role > WS_BEGINS || ev->select_case > WS_ANOTHER_DRAWN) return malformed_.add();
  using Role = event::Handover::Role;
  static constexpr std::array kRoles{Role::kCalls,    Role::kCalls,   Role::kWrites, Role::kSends,
                                     Role::kReceives, Role::kGives,   Role::kTakes,  Role::kAsks,
                                     Role::kMayGive,  Role::kMayTake, Role::kSpawns};
  const Role role = kRoles.at(ev->role);
  if (role != Role::kAsks && role != Role::kSpawns && ev->role >= WS_GIVES) {
    const bool takes = ev->role == WS_TAKES || ev->role == WS_MAY_TAKE;
    const std::uint32_t loop = ev->role == WS_GIVES ? turn(ev->h, ev->queued) : 0;
    sink.accept(event::Handover{BootTime{ev->h.time}, Actor{{ev->h.pid, ev->tid}, loop, ev->task, ev->parent_task},
                                role, ev->object, ev->place, 0, takes ? ev->queued : 0});
    return;
  }
  sink.accept(event::Handover{BootTime{ev->h.time}, Actor{{ev->h.pid, ev->tid}, 0, ev->task, ev->parent_task}, role,
                              ev->object, ev->place, ev->other, ev->queued, ev->capacity, ev->site,
                              static_cast<event::Handover::Select>(ev->select_case), ev->element});
}

void Decoder::tokio(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_tokio>(record);
  static_assert(WS_TASK_TOKIO == kTokioTask);
  using Role = event::Handover::Role;
  constexpr std::array kRoles{Role::kWakes, Role::kSpawns, Role::kReplies, Role::kGets, Role::kLetsGo};
  static_assert(WS_TOKIO_WAKES == 1 && WS_TOKIO_LETS_GO == kRoles.size());
  if (!ev || ev->role < WS_TOKIO_WAKES || ev->role > WS_TOKIO_LETS_GO) return malformed_.add();
  static_assert(WS_TOKIO_BY_REFERENCE == event::Handover::kByReference &&
                WS_TOKIO_ANSWERS_ONLY == event::Handover::kAnswersOnly &&
                WS_TOKIO_BLOCKING == event::Handover::kBlocking);
  sink.accept(event::Handover{BootTime{ev->h.time}, Actor{{ev->h.pid, ev->tid}, 0, ev->task, 0},
                              kRoles.at(ev->role - 1U), ev->other, ev->how});
}

void Decoder::births(Bytes record, Sink<Event>& sink) {
  // As many numbers as it says: fewer than the whole struct.
  ws_ev_births ev{};
  std::memcpy(&ev, record.data(), std::min(record.size(), sizeof(ev)));
  const std::size_t head = offsetof(ws_ev_births, next);
  if (record.size() < head || ev.count > WS_PROCESSORS || record.size() < head + ev.count * sizeof(ev.next[0])) {
    return malformed_.add();
  }
  static_assert(WS_PROCESSORS == event::Births::kMost);
  event::Births out{BootTime{ev.h.time}, ev.h.pid, ev.task, ev.count, {}};
  std::copy_n(std::begin(ev.next), ev.count, out.next.begin());
  sink.accept(out);
}

void Decoder::async(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_async>(record);
  if (!ev || ev->where > WS_ASYNC_SETS) return malformed_.add();
  const auto execution = whole_number(ev->execution);
  const auto trigger = whole_number(ev->trigger);
  const auto given = whole_number(ev->given);
  // The process's memory may be anything by now.
  if (!execution || !trigger || !given) return malformed_.add();
  sink.accept(event::Async{BootTime{ev->h.time}, ev->h.pid, static_cast<event::Async::Where>(ev->where),
                           ConnId{ev->conn}, *execution, *trigger, *given, ev->sequence});
}

void Decoder::lineage(Bytes record, Sink<Event>& sink) {
  const auto ev = read<ws_ev_lineage>(record);
  static_assert(WS_ANCESTORS == event::Lineage::kMost && WS_TASK_CONTEXT == kContextTask);
  if (!ev || ev->count > WS_ANCESTORS) return malformed_.add();
  event::Lineage out{BootTime{ev->h.time}, ev->h.pid, ev->task, ev->count, {}};
  std::copy_n(std::begin(ev->ancestors), ev->count, out.ancestors.begin());
  sink.accept(out);
}

}  // namespace wirespan
