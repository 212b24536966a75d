/* Making the state of a connection and telling user space of it. */
#ifndef WIRESPAN_BPF_CORE_ANNOUNCE_H
#define WIRESPAN_BPF_CORE_ANNOUNCE_H

#include "bpf/core/conns.h"
#include "bpf/core/fd.h"
#include "bpf/core/gate.h"
#include "bpf/core/scratch.h"
#include "bpf/core/tcp.h"
#include "bpf/core/threads.h"
#include "bpf/core/unix.h"

/* enum ws_family, 0: not a stream we follow. */
WS_INLINE __u8 ws_family_of(struct sock *sk, const enum ws_how_to_load how) {
  const __u16 family = WS_LOAD(how, sk, __sk_common.skc_family);
  if (WS_LOAD(how, sk, sk_type) != WS_SOCK_STREAM) return 0;
  if (family == WS_AF_UNIX) return WS_FAMILY_UNIX;
  if (WS_LOAD(how, sk, sk_protocol) != WS_PROTO_TCP) return 0;
  if (family == WS_AF_INET) return WS_FAMILY_IPV4;
  return family == WS_AF_INET6 ? WS_FAMILY_IPV6 : 0;
}

WS_INLINE void ws_describe_inet(struct sock *sk, struct ws_ev_opened *ev, const enum ws_how_to_load how) {
  ev->local_port = WS_LOAD(how, sk, __sk_common.skc_num);
  ev->remote_port = bpf_ntohs(WS_LOAD(how, sk, __sk_common.skc_dport));
  if (ev->family == WS_FAMILY_IPV4) {
    *(__u32 *)ev->local_ip = WS_LOAD(how, sk, __sk_common.skc_rcv_saddr);
    *(__u32 *)ev->remote_ip = WS_LOAD(how, sk, __sk_common.skc_daddr);
  } else {
    bpf_core_read(ev->local_ip, 16, &sk->__sk_common.skc_v6_rcv_saddr);
    bpf_core_read(ev->remote_ip, 16, &sk->__sk_common.skc_v6_daddr);
  }
}

/* What is known of the call that made us look at a connection. */
struct ws_sight {
  struct ws_socket s;
  struct task_struct *task;
  __u32 pid;
  __u32 tid;
  __u64 now;
  struct ws_thread
      thread;  /* a copy: with pointers into two maps the verifier would go through all that follows twice */
  __u32 moved; /* bytes, in `direction` */
  __u8 direction;
  __u8 opens; /* by accept, connect or socketpair */
  __u8 side;
  __u8 all_seen; /* the sockets plan, which sees all I/O of every process: see hooks/io */
};

WS_INLINE __u32 ws_opening_user(const struct ws_sight *sight) {
  return sight->opens ? WS_OPENING_BY_CONNECT : sight->direction & 1;
}

/* Fills bases and positions when the kernel knows them. */
WS_INLINE void ws_place_tcp(const struct ws_sight *sight, struct ws_conn *conn, struct ws_ev_opened *ev,
                            const enum ws_how_to_load how) {
  struct ws_tcp_bases tcp = {};
  ws_describe_inet(sight->s.sk, ev, how);
  ws_tcp_bases(sight->s.sk, conn->side, &tcp, how);
  ev->has_base = tcp.known;
  if (!tcp.known) return;
  tcp.position[sight->direction & 1] -= sight->moved;
  ev->side_guessed = tcp.guessed;
  ev->sent_base = tcp.base[WS_SENT];
  ev->received_base = tcp.base[WS_RECEIVED];
  ev->adopted = !(conn->flags & WS_CONN_FRESH) && (tcp.position[0] || tcp.position[1]);
  conn->side = tcp.side;
  conn->base[0] = tcp.base[0];
  conn->base[1] = tcp.base[1];
  conn->position[0] = tcp.position[0];
  conn->position[1] = tcp.position[1];
  conn->flags |= WS_CONN_BASED;
}

/* Nobody tells when a Unix socket is connected. Both ends count their bytes from the first they are seen to move, so
 * they agree when neither had moved any unseen: when the peer is as new as this end, or did nothing yet but send what
 * this call received, or receive what it sent. */
WS_INLINE bool ws_unix_is_new(const struct ws_sight *sight, __u64 peer_inode, const enum ws_how_to_load how) {
  const __u64 peer = (__u64)WS_LOAD_NUMBER(how, (struct unix_sock *)sight->s.sk, peer);
  const struct ws_conn *other = peer ? ws_conn_find(peer) : NULL;
  if (!other || (__u32)other->id != (__u32)peer_inode) return true;
  if (sight->direction == WS_RECEIVED) return !other->position[WS_RECEIVED];
  return !other->position[WS_SENT] && other->position[WS_RECEIVED] <= sight->moved;
}

/* Tells user space of a connection. Two CPUs that meet it at once may both: the second record says the same. False:
 * there was no room to, so that the next call tries again. */
WS_INLINE bool ws_announce(const struct ws_sight *sight, struct ws_conn *conn, const enum ws_how_to_load how) {
  struct ws_opening *opening = ws_opening(ws_opening_user(sight));
  if (!opening) return false;
  struct ws_ev_opened *ev = &opening->event;
  memset(ev, 0, sizeof(*ev));
  ev->h.type = WS_EV_OPENED;
  ev->h.pid = sight->pid;
  ev->h.time = sight->now;
  ev->conn = conn->id;
  ev->sock = (__u64)sight->s.sk;
  ev->opened = conn->opened;
  ev->inode = sight->s.inode;
  ev->family = ws_family_of(sight->s.sk, how);
  if (sight->opens) {
    ev->tid = sight->tid;
    ev->loop = ws_turn(&sight->thread, sight->now);
  }
  if (conn->flags & WS_CONN_UNIX) {
    ws_unix_describe(sight->s.sk, ev, how);
    const bool from_start = sight->all_seen ? ws_unix_is_new(sight, ev->peer_inode, how) : ev->opened != 0;
    ev->has_base = from_start;
    ev->adopted = !from_start;
    /* Whoever connected has no name of its own. */
    if (conn->side == WS_SIDE_UNKNOWN && !ev->local_path_size != !ev->remote_path_size)
      conn->side = ev->local_path_size ? WS_SIDE_PASSIVE : WS_SIDE_ACTIVE;
    conn->flags |= WS_CONN_BASED;
  } else {
    ws_place_tcp(sight, conn, ev, how);
  }
  ev->side = conn->side;
  if (ws_gate_shut) return true; /* told with the first bytes behind the gate */
  if (!ws_emit(ev, sizeof(*ev))) return false;
  conn->flags |= WS_CONN_ANNOUNCED;
  return true;
}

/* Slots need compare-and-exchange (5.12), which kernels that need WS_PROBE may not have. */
WS_INLINE struct ws_conn *ws_conn_insert(__u64 sock, struct ws_conn *fresh, const enum ws_how_to_load how) {
  if (how != WS_PROBE) {
    struct ws_conn_slot *slot = ws_conn_slot(sock);
    if (__sync_val_compare_and_swap(&slot->sock, 0, 1) == 0) {
      slot->conn = *fresh;
      (void)__sync_lock_test_and_set(&slot->sock, sock);
      return &slot->conn;
    }
  }
  if (bpf_map_update_elem(&ws_conns, &sock, fresh, BPF_NOEXIST) == 0) return bpf_map_lookup_elem(&ws_conns, &sock);
  struct ws_conn *other = bpf_map_lookup_elem(&ws_conns, &sock);
  if (!other) ws_count(WS_STAT_CONN_MAP_FULL);
  return other;
}

/* First sight of a connection, or the first I/O of one that was still being made when connect returned. */
WS_INLINE struct ws_conn *ws_conn_meet(const struct ws_sight *sight, struct ws_conn *conn,
                                       const enum ws_how_to_load how) {
  if (!sight) return NULL;
  struct ws_opening *opening = ws_opening(ws_opening_user(sight));
  if (!opening) return NULL;
  __u64 sock = (__u64)sight->s.sk;
  if (conn && (__u32)conn->id != sight->s.inode) {
    ws_conn_close(sock, conn, WS_FORGOTTEN);
    conn = NULL;
  }
  if (conn) return ws_announce(sight, conn, how) ? conn : NULL;
  const __u8 family = ws_family_of(sight->s.sk, how);
  if (!family) return NULL;
  /* The peer reset it while this call was still sending: its end has been told, it is not another connection. */
  if (family != WS_FAMILY_UNIX && !sight->opens && WS_LOAD(how, sight->s.sk, __sk_common.skc_state) == WS_TCP_CLOSE)
    return NULL;
  /* Not on the stack: up to 6.12 the frames of a program and its functions share 512 bytes. */
  struct ws_conn *fresh = &opening->fresh;
  memset(fresh, 0, sizeof(*fresh));
  fresh->id = ws_conn_id(sight->s.inode, sight->now);
  fresh->opened = sight->opens ? sight->now : 0;
  fresh->capture = sight->thread.capture;
  fresh->pid = sight->pid;
  fresh->flags = (sight->opens ? WS_CONN_FRESH : 0) | (family == WS_FAMILY_UNIX ? WS_CONN_UNIX : 0);
  fresh->side = sight->side;
  fresh->direction = 0xff;
  conn = ws_conn_insert(sock, fresh, how);
  return conn && ws_announce(sight, conn, how) ? conn : NULL;
}

/* Out of line, so that the common path stays short; and one for each way to load, because a kernel looks at every
 * instruction of a function, used or not. */
static __noinline __attribute__((unused)) struct ws_conn *ws_conn_meet_cast(const struct ws_sight *sight,
                                                                            struct ws_conn *conn) {
  return ws_conn_meet(sight, conn, WS_CAST);
}
static __noinline struct ws_conn *ws_conn_meet_probe(const struct ws_sight *sight, struct ws_conn *conn) {
  return ws_conn_meet(sight, conn, WS_PROBE);
}

/* The state of the connection in sight, `conn` as far as its socket is known; made, and told of, when it is new. NULL:
 * not ours to follow, or no room. */
WS_INLINE struct ws_conn *ws_conn_in_sight(const struct ws_sight *sight, struct ws_conn *conn,
                                           const enum ws_how_to_load how) {
  const __u8 known = WS_CONN_BASED | (ws_gate_shut ? 0 : WS_CONN_ANNOUNCED);
  if (conn && (__u32)conn->id == sight->s.inode && (conn->flags & known) == known) return conn;
  return how == WS_CAST ? ws_conn_meet_cast(sight, conn) : ws_conn_meet_probe(sight, conn);
}

#endif
