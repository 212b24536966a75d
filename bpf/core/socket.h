/* What happens when bytes have moved through a socket, whoever tells it: tracepoints on sockets (hooks/io), or the
 * kernel's functions (hooks/functions). The call that moved them still runs, so that its arguments are in the thread's
 * registers. */
#ifndef WIRESPAN_BPF_CORE_SOCKET_H
#define WIRESPAN_BPF_CORE_SOCKET_H

#include "bpf/core/announce.h"
#include "bpf/core/call.h"
#include "bpf/core/continuation.h"
#include "bpf/core/data.h"
#include "bpf/core/payload.h"
#include "bpf/core/sent.h"
#include "bpf/core/task.h"

/* Of connections whose bytes nobody reads as well: what a loop does next depends on which one it has read from. */
WS_INLINE void ws_tell_context(__u8 runtime, const struct ws_sight *sight, const struct ws_conn *conn) {
  if (runtime == WS_RUNTIME_NODE) ws_tell_async(sight->pid, sight->tid, conn->id, sight->direction);
}

/* An event loop has read the end of what answers it. Where an answer ends with its connection, what the loop does next
 * it does because of that. A record of no bytes: only who looks for it takes notice. */
static __noinline int ws_tell_end(struct ws_conn *conn) {
  if (ws_gate_shut || !conn || !(conn->flags & WS_CONN_ANNOUNCED) || conn->verdict == WS_IGNORE) return 0;
  if (conn->side != WS_SIDE_ACTIVE || conn->direction != WS_RECEIVED) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  const struct ws_thread *thread = ws_thread_of_target(me >> 32, (__u32)me);
  if (!thread || thread->loop < 2) return 0;
  ws_flush_pending(conn);
  struct ws_ev_data ev = {};
  ws_data_header(&ev, conn);
  ev.h.flags = conn->left ? 0 : WS_EV_SPENT;
  ev.h.pid = me >> 32;
  ev.h.time = bpf_ktime_get_boot_ns();
  ev.tid = (__u32)me;
  ev.loop = ws_turn(thread, ev.h.time);
  ev.task = thread->task;
  ev.position = conn->position[WS_RECEIVED];
  ws_emit(&ev, sizeof(ev));
  return 0;
}

/* The end of a Unix stream: nobody tells when its sockets are closed, but the one that reads the end of the stream sees
 * that its peer is gone. What it closes itself, unread, the agent finds (hooks/files). */
static __noinline int ws_stream_ended(struct sock *sk) {
  struct ws_conn *conn = ws_conn_find((__u64)sk);
  if (!conn || !(conn->flags & WS_CONN_UNIX)) return 0;
  struct sock *peer = WS_LOAD(WS_PROBE, (struct unix_sock *)sk, peer);
  if (!peer || !(WS_LOAD(WS_PROBE, peer, __sk_common.skc_flags) >> bpf_core_enum_value(enum sock_flags, SOCK_DEAD) & 1))
    return 0;
  struct ws_conn *other = ws_conn_find((__u64)peer);
  if (other && other->flags & WS_CONN_UNIX) ws_conn_close((__u64)peer, other, WS_CLOSED);
  ws_conn_close((__u64)sk, conn, WS_CLOSED);
  return 0;
}

WS_INLINE bool ws_is_socket_of(struct task_struct *task, __u64 fd, const struct sock *sk,
                               const enum ws_how_to_load how) {
  struct ws_socket named = {}; /* or clang compares what it has not set, before it asks whether it has */
  return ws_socket_of_fd(task, fd, &named, how) && named.sk == sk;
}
static __noinline __attribute__((unused)) bool ws_names_socket(__u64 fd, const struct sock *sk) {
  return ws_is_socket_of((struct task_struct *)bpf_get_current_task(), fd, sk, WS_PROBE);
}

/* Whether the call is about this socket: the kernel talks over sockets of its own (NFS) in the middle of a process's
 * calls on files. Out of line where loads need the stack, of which a program and its functions have 512 bytes. */
WS_INLINE bool ws_is_of_call(const struct ws_sight *sight, const struct ws_call *call, const enum ws_how_to_load how) {
  const __u64 fd = call->arg[call->op == WS_OP_SPLICE && sight->direction == WS_SENT ? 2 : 0];
  if (call->op == WS_OP_RING) return true;
  return how == WS_PROBE ? ws_names_socket(fd, sight->s.sk) : ws_is_socket_of(sight->task, fd, sight->s.sk, how);
}

WS_INLINE bool ws_moves(__u8 op, __u8 direction) {
  if (op == WS_OP_RING) return true;
  if (direction == WS_SENT) return op >= WS_OP_WRITE && op <= WS_OP_LAST_MOVING; /* splice as well */
  return op == WS_OP_SPLICE || (op >= WS_OP_READ && op < WS_OP_WRITE);
}

/* Behind a shut gate a known TCP connection's turns are counted, and nothing but its struct sock is looked at: when it
 * last had a segment tells the time as well as a clock does. Not even its inode number: who is told of it again looks
 * at that first. */
WS_INLINE int ws_tcp_untold(struct sock *sk, struct ws_conn *conn, __u32 pid, __u32 moved, __u8 direction,
                            const enum ws_how_to_load how) {
  conn->position[direction & 1] += moved; /* or it would look unseen behind the gate */
  if (conn->direction == direction) return 0;
  struct tcp_sock *tp = (struct tcp_sock *)sk;
  const __u64 us = 1000;
  __u64 at = direction == WS_SENT ? ws_tcp_sent_at(tp, moved, how) : WS_LOAD(how, tp, tcp_mstamp) * us;
  at = at ? at + ws_boot_offset : bpf_ktime_get_boot_ns();
  return ws_gate_count(conn, pid, at, direction);
}

WS_INLINE int ws_on_socket(struct sock *sk, int moved, __u64 flags, __u8 direction, const enum ws_how_to_load how) {
  if (moved <= 0) {
    if (direction == WS_RECEIVED && !moved) ws_tell_end(ws_conn_find((__u64)sk));
    if (direction == WS_RECEIVED && (!moved || moved == -WS_ECONNRESET)) ws_stream_ended(sk);
    return 0;
  }
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 pid = me >> 32;
  struct ws_thread *thread = ws_thread_of_target(pid, (__u32)me);
  if (!thread) return 0;
  struct ws_conn *conn = ws_conn_find((__u64)sk);
  if (ws_gate_shut && conn && (conn->flags & (WS_CONN_BASED | WS_CONN_UNIX)) == WS_CONN_BASED &&
      conn->verdict != WS_IGNORE)
    return ws_of_stream(flags) ? ws_tcp_untold(sk, conn, pid, moved, direction, how) : 0;

  struct ws_sight sight = {.task = (struct task_struct *)bpf_get_current_task(),
                           .pid = pid,
                           .tid = (__u32)me,
                           .moved = moved,
                           .direction = direction,
                           .all_seen = true};
  sight.s.sk = sk;
  struct socket_alloc *socket = (struct socket_alloc *)WS_LOAD(how, sk, sk_socket);
  sight.s.inode = (__u32)WS_LOAD(how, socket, vfs_inode.i_ino);
  /* TCP's positions are taken from the socket, Unix sockets' are counted. */
  if (conn && conn->verdict == WS_IGNORE && (__u32)conn->id == sight.s.inode && !(conn->flags & WS_CONN_UNIX)) {
    ws_tell_context(thread->runtime, &sight, conn);
    return 0;
  }
  if (direction == WS_RECEIVED && !ws_of_stream(flags)) return 0;

  struct ws_call call = {};
  struct ws_memory memory = {};
  struct pt_regs *regs = ws_registers_of_call();
  const __u64 number = ws_call_number(regs, how);
  if (number >= WS_SYSCALLS) return 0;
  call.op = ws_ops[number];
  if (!ws_moves(call.op, direction)) return 0;
  if (ws_is_compat(regs, how)) {
    ws_count(WS_STAT_COMPAT_CALL);
    return 0;
  }
  ws_read_call(regs, &call, how);
  if (!conn && !ws_is_of_call(&sight, &call, how)) return 0;
  /* Which of several messages this is, nobody tells. */
  const bool one = !(call.op == WS_OP_RECVMMSG || call.op == WS_OP_SENDMMSG) || call.arg[2] == 1;
  if (one) ws_memory_of(&call, direction == WS_RECEIVED ? flags : 0, &memory);
  if (call.op == WS_OP_RING) ws_count(WS_STAT_RING_PAYLOAD);

  if (!ws_gate_shut) ws_set_task(thread, sight.pid, sight.tid, sight.task, regs, sight.direction, how);
  sight.thread = *thread;
  sight.now = direction == WS_SENT ? ws_sent_at(&sight, how) : bpf_ktime_get_boot_ns();
  thread->send_began = sight.now;
  conn = ws_conn_in_sight(&sight, conn, how);
  if (!conn) return 0;
  ws_tell_context(sight.thread.runtime, &sight, conn);
  /* Not asked of senders at all: the verifier (7.2) follows each question of theirs to the end. */
  if (direction == WS_RECEIVED && call.op != WS_OP_RING) ws_tell_continuation(&sight, conn, regs, how);
  return ws_data(&sight, &memory, conn, how);
}

#endif
