/* What is known of a connection's end.   key: struct sock
 * set: accept, connect, socketpair, or first I/O on a connection older than the agent
 * cleared: close and reset (hooks/lifetime), close of Unix sockets (hooks/entry), the agent (idle ones when full)
 *
 * A socket has one struct sock for life, so dup, fork, SCM_RIGHTS and descriptors older than the agent need no care.
 * The inode number is compared on each use: it tells a struct sock that was freed and used again. */
#ifndef WIRESPAN_BPF_CORE_CONNS_H
#define WIRESPAN_BPF_CORE_CONNS_H

#include "bpf/core/ring.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 131072);
  __type(key, __u64);
  __type(value, struct ws_conn);
} ws_conns __weak SEC(".maps");

extern struct ws_conn_slot ws_conn_slots[WS_CONN_SLOTS];

WS_INLINE struct ws_conn_slot *ws_conn_slot(__u64 sock) {
  /* Fibonacci hashing: struct socks of one slab differ in a few middle bits. */
  return &ws_conn_slots[(sock * 0x9e3779b97f4a7c15ull) >> (64 - WS_CONN_SLOTS_LOG2)];
}

WS_INLINE struct ws_conn *ws_conn_find(__u64 sock) {
  struct ws_conn_slot *slot = ws_conn_slot(sock);
  return slot->sock == sock ? &slot->conn : bpf_map_lookup_elem(&ws_conns, &sock);
}

WS_INLINE void ws_conn_remove(__u64 sock) {
  struct ws_conn_slot *slot = ws_conn_slot(sock);
  if (slot->sock == sock)
    slot->sock = 0;
  else
    bpf_map_delete_elem(&ws_conns, &sock);
}

/* Inode numbers are handed out in sequence: within a millisecond none comes back. */
WS_INLINE __u64 ws_conn_id(__u32 inode, __u64 now) {
  return (now >> 20) << 32 | inode;
}

WS_INLINE void ws_data_header(struct ws_ev_data *ev, const struct ws_conn *conn) {
  ev->h.type = WS_EV_DATA;
  ev->conn = conn->id;
  ev->direction = conn->direction;
}

/* Tells what moved since the turn's last record and was not told yet, from the stack: any program may have to. */
static __noinline int ws_flush_pending(struct ws_conn *conn) {
  if (!conn || !conn->pending) return 0;
  struct ws_ev_data ev = {};
  ws_data_header(&ev, conn);
  ev.h.pid = conn->pid;
  ev.h.time = conn->pending_time;
  ev.tid = conn->tid;
  ev.loop = conn->loop;
  ev.task = conn->task;
  ev.position = conn->position[conn->direction & 1] - conn->pending;
  ev.length = conn->pending;
  ev.tail_size = conn->tail_size;
  __builtin_memcpy(ev.tail, conn->tail, WS_TAIL_BYTES);
  conn->pending = 0;
  ws_emit(&ev, sizeof(ev));
  return 0;
}

WS_INLINE void ws_conn_close(__u64 sock, struct ws_conn *conn, enum ws_how how) {
  if (conn->flags & WS_CONN_ANNOUNCED) {
    ws_flush_pending(conn);
    struct ws_ev_closed ev = {
        .h = {.type = WS_EV_CLOSED, .pid = conn->pid, .time = bpf_ktime_get_boot_ns()}, .conn = conn->id, .how = how};
    ws_emit(&ev, sizeof(ev));
  }
  ws_conn_remove(sock);
}

#endif
