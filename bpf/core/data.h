/* What happens when bytes of a connection have moved: positions, turns, the record of it. */
#ifndef WIRESPAN_BPF_CORE_DATA_H
#define WIRESPAN_BPF_CORE_DATA_H

#include "bpf/core/announce.h"
#include "bpf/core/goroutine.h"
#include "bpf/core/payload.h"

/* Bytes the process took off the socket by a call that has no tracepoint, splice: counted, as those of sendfile are. */
WS_INLINE void ws_tell_unseen(const struct ws_sight *sight, struct ws_conn *conn, __u32 size) {
  ws_flush_pending(conn);
  conn->position[WS_RECEIVED] += size;
  conn->pending = size;
  conn->pending_time = sight->now;
  conn->pid = sight->pid;
  conn->tid = sight->tid;
  conn->loop = ws_turn(&sight->thread, sight->now);
  conn->task = sight->thread.task;
  conn->tail_size = 0;
  ws_flush_pending(conn);
}

/* 64-bit position of the first byte of this call. Taken from the socket itself, so that bytes moved by calls we did not
 * see (io_uring, a full table) are a visible gap. */
WS_INLINE __u64 ws_position(const struct ws_sight *sight, struct ws_conn *conn, const enum ws_how_to_load how) {
  const __u8 direction = sight->direction & 1;
  __u64 position = conn->position[direction];
  if (!(conn->flags & WS_CONN_UNIX) && conn->flags & WS_CONN_BASED) {
    struct tcp_sock *tp = (struct tcp_sock *)sight->s.sk;
    const __u32 end = direction == WS_SENT ? WS_LOAD(how, tp, write_seq) : WS_LOAD(how, tp, copied_seq);
    __s32 off = (__s32)(end - conn->base[direction] - (__u32)position - sight->moved);
    if (off == 1 && direction == WS_RECEIVED && ws_tcp_read_past_fin(tp, how)) off = 0;
    if (off > 0 && direction == WS_RECEIVED && sight->all_seen) ws_tell_unseen(sight, conn, off);
    position += off;
  }
  conn->position[direction] = position + sight->moved;
  return position;
}

/* Continuing calls of a turn are told at most once a millisecond, and less often the longer the turn is. */
WS_INLINE bool ws_too_soon(const struct ws_conn *conn, __u64 now) {
  __u64 wait = (now - conn->turn) >> 3;
  if (wait < 1000000) wait = 1000000;
  if (wait > 100000000) wait = 100000000;
  return now - conn->told < wait;
}

WS_INLINE void ws_remember_pending(const struct ws_sight *sight, struct ws_conn *conn, const struct ws_ev_data *ev) {
  conn->pending += sight->moved;
  conn->pending_time = sight->now;
  conn->pid = sight->pid;
  conn->tid = sight->tid;
  conn->loop = ws_turn(&sight->thread, sight->now);
  conn->task = sight->thread.task;
  conn->tail_size = ev->tail_size;
  __builtin_memcpy(conn->tail, ev->tail, WS_TAIL_BYTES);
}

WS_INLINE int ws_data(const struct ws_sight *sight, const struct ws_memory *memory, struct ws_conn *conn,
                      const enum ws_how_to_load how) {
  if (ws_gate_shut) {
    conn->position[sight->direction & 1] += sight->moved; /* Unix sockets'; TCP's are taken from the socket again */
    return ws_gate_count(conn, sight->pid, sight->now, sight->direction);
  }
  struct ws_scratch *scratch = ws_scratch(sight->direction);
  if (!scratch) return 0;
  struct ws_ev_data *ev = &scratch->data;
  const __u32 moved = sight->moved;

  if (conn->direction != sight->direction) {
    ws_flush_pending(conn);
    conn->direction = sight->direction;
    conn->left = ws_gate_captures(conn);
    conn->turn = sight->now;
    if (conn->flags & WS_CONN_UNIX && sight->direction == WS_RECEIVED) conn->heard = sight->now;
  }
  __u64 position = ws_position(sight, conn, how);
  if (conn->verdict == WS_IGNORE) return 0;

  __u32 want = conn->verdict == WS_MORE ? WS_CALL_CAPTURE_MAX : conn->left;
  if (want > moved) want = moved;
  ev->captured = 0;
  ev->tail_size = 0;
  if (memory->base) {
    if (memory->segments)
      ws_copy_vector(scratch, sight->direction, memory, moved, want);
    else
      ws_copy_buffer(scratch, memory->base, moved, want);
  }
  __u64 size = ev->captured;
  conn->left -= size < conn->left ? size : conn->left;

  if (!size && ws_too_soon(conn, sight->now)) {
    ws_remember_pending(sight, conn, ev);
    return 0;
  }
  ev->length = moved;
  if (conn->pending) {
    if (size) {
      ws_flush_pending(conn);
    } else {
      position -= conn->pending;
      ev->length += conn->pending;
      conn->pending = 0;
    }
  }
  conn->told = sight->now;
  if (sight->thread.task) {
    /* A request may begin here, or its head is read by another goroutine than its first byte (net/http). */
    if (sight->direction == WS_RECEIVED && conn->side != WS_SIDE_ACTIVE &&
        (conn->turn == sight->now || conn->task != sight->thread.task))
      ws_tell_births(sight->pid, sight->thread.task);
    conn->task = sight->thread.task;
  }
  ws_data_header(ev, conn);
  ev->h.flags = (conn->left ? 0 : WS_EV_SPENT) | (sight->thread.missed ? WS_EV_MISSED : 0);
  ev->h.pid = sight->pid;
  ev->h.time = sight->now;
  ev->tid = sight->tid;
  ev->loop = ws_turn(&sight->thread, sight->now);
  ev->task = sight->thread.task;
  ev->parent_task = sight->thread.parent_task;
  ev->position = position;
  WS_CLAMP(size, WS_CALL_CAPTURE_MAX);
  if (!ws_emit_often(ev, sizeof(*ev) + size, scratch->records++))
    ws_thread_missed(sight->tid, 1);
  else if (sight->thread.missed)
    ws_thread_missed(sight->tid, 0);
  return 0;
}

#endif
