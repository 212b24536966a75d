/* The programs that see data move, by one of two plans (agent/capture/plan).
 *
 * sockets: tracepoints of the socket layer that tell every send and receive with its socket, while the call that does
 * it still runs, so that its arguments are there to be read. Nobody else pays. syscalls: the end of every system call
 * of the host; entry of a call only notes when a sending one began (hooks/entry). */
#ifndef WS_NO_CAST
#include "bpf/core/cast.h"
#define WS_BEST_LOAD WS_CAST
#else /* the object for kernels that have no bpf_rdonly_cast, see agent/capture/bpf_object */
#define WS_BEST_LOAD WS_PROBE
#endif
/* The cast before anything that loads: with it, loads may cast. */
#include "bpf/core/announce.h"
#include "bpf/core/call.h"
#include "bpf/core/data.h"
#include "bpf/core/payload.h"
#include "bpf/core/sent.h"
#include "bpf/core/task.h"
#include "bpf/core/trace_event.h"

char LICENSE[] SEC("license") = "GPL";

/* Of connections whose bytes nobody reads as well: what a loop does next depends on which one it has read from. */
WS_INLINE void ws_tell_context(__u8 runtime, const struct ws_sight *sight, const struct ws_conn *conn) {
  if (runtime == WS_RUNTIME_NODE) ws_tell_async(sight->pid, sight->tid, conn->id, sight->direction);
}

/* accept, connect and socketpair: connections seen from their start. */
WS_INLINE int ws_opened(const struct ws_call *call, struct ws_sight *sight, const enum ws_how_to_load how) {
  __s32 fds[2] = {(__s32)call->arg[0], -1};
  sight->opens = 1;
  sight->now = bpf_ktime_get_boot_ns();
  if (call->op == WS_OP_ACCEPT) {
    if (call->result < 0) return 0;
    fds[0] = call->result;
    sight->side = WS_SIDE_PASSIVE;
  } else if (call->op == WS_OP_CONNECT) {
    if (call->result && call->result != -WS_EINPROGRESS) return 0;
    sight->side = WS_SIDE_ACTIVE;
  } else if (call->result || bpf_probe_read_user(fds, sizeof(fds), (void *)call->arg[3])) {
    return 0;
  }
  for (int i = 0; i < 2; i++) {
    if (fds[i] < 0 || !ws_socket_of_fd(sight->task, fds[i], &sight->s, how)) continue;
    const struct ws_conn *conn = ws_conn_in_sight(sight, ws_conn_find((__u64)sight->s.sk), how);
    if (conn && sight->side == WS_SIDE_ACTIVE && sight->thread.runtime == WS_RUNTIME_NODE)
      ws_tell_async(sight->pid, sight->tid, conn->id, WS_ASYNC_CONNECTS);
  }
  return 0;
}

WS_INLINE int ws_listening(const struct ws_call *call, const struct ws_sight *sight, const enum ws_how_to_load how) {
  struct ws_socket s;
  const __u32 pid = sight->pid;
  const bool target = ws_target_of(pid) != NULL;
  if (call->result || !(target || ws_watch_listen) || !ws_socket_of_fd(sight->task, call->arg[0], &s, how)) return 0;
  const __u8 family = ws_family_of(s.sk, how);
  if (!family || family == WS_FAMILY_UNIX) return 0;
  struct ws_ev_listen ev = {.h = {.type = WS_EV_LISTEN, .pid = pid, .time = bpf_ktime_get_boot_ns()},
                            .port = WS_LOAD(how, s.sk, __sk_common.skc_num),
                            .is_target = target};
  ws_emit_flags(&ev, sizeof(ev), BPF_RB_FORCE_WAKEUP);
  return 0;
}

WS_INLINE int ws_on_return(struct pt_regs *regs, long result, const enum ws_how_to_load how) {
  struct ws_call call = {.result = result};
  const __u64 number = ws_call_number(regs, how);
  if (number >= WS_SYSCALLS) return 0;
  call.op = ws_ops[number];
  if (call.op == WS_OP_NONE || call.op >= WS_OP_CLOSE) return 0;
  if (call.op <= WS_OP_LAST_MOVING && result <= 0) return 0;

  struct ws_sight sight = {.task = (struct task_struct *)bpf_get_current_task()};
  sight.pid = WS_LOAD(how, sight.task, tgid);
  sight.tid = WS_LOAD(how, sight.task, pid);
  if (call.op == WS_OP_LISTEN) {
    ws_read_call(regs, &call, how);
    return ws_listening(&call, &sight, how);
  }
  struct ws_thread *thread = ws_thread_of_target(sight.pid, sight.tid);
  if (!thread) return 0;
  if (ws_is_compat(regs, how)) {
    ws_count(WS_STAT_COMPAT_CALL);
    return 0;
  }
  if (call.op == WS_OP_WAIT) {
    thread->loop += 2;
    return 0;
  }
  ws_read_call(regs, &call, how);
  if (call.op > WS_OP_LAST_MOVING) {
    sight.thread = *thread;
    return ws_opened(&call, &sight, how);
  }

  struct ws_memory memory = {};
  if (!ws_socket_of_fd(sight.task, call.arg[0], &sight.s, how)) {
    /* splice(in, _, out): a pipe at one end, the socket at the other. */
    if (call.op != WS_OP_SPLICE || !ws_socket_of_fd(sight.task, call.arg[2], &sight.s, how)) return 0;
    sight.direction = WS_SENT;
  } else {
    sight.direction = call.op >= WS_OP_WRITE && call.op != WS_OP_SPLICE ? WS_SENT : WS_RECEIVED;
  }
  /* TCP's positions are taken from the socket, Unix sockets' are counted. */
  struct ws_conn *conn = ws_conn_find((__u64)sight.s.sk);
  if (conn && conn->verdict == WS_IGNORE && (__u32)conn->id == sight.s.inode && !(conn->flags & WS_CONN_UNIX)) {
    ws_tell_context(thread->runtime, &sight, conn);
    return 0;
  }
  if (!ws_moved(&call, &memory, &sight.moved)) return 0;
  if (!ws_gate_shut) ws_set_task(thread, sight.pid, sight.tid, sight.task, regs, sight.direction, how);
  sight.thread = *thread;
  sight.now = sight.direction == WS_SENT && sight.thread.send_began ? sight.thread.send_began : bpf_ktime_get_boot_ns();
  conn = ws_conn_in_sight(&sight, conn, how);
  if (!conn) return 0;
  ws_tell_context(sight.thread.runtime, &sight, conn);
  return ws_data(&sight, &memory, conn, how);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(io__tp_btf, struct pt_regs *regs, long result) {
  return ws_on_return(regs, result, WS_BEST_LOAD);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(io__tp_btf_probe, struct pt_regs *regs, long result) {
  return ws_on_return(regs, result, WS_PROBE);
}

SEC("raw_tp/sys_exit")
int BPF_PROG(io__raw_tp, struct pt_regs *regs, long result) {
  return ws_on_return(regs, result, WS_PROBE);
}

SEC("tp/raw_syscalls/sys_exit")
int io__tp(struct trace_event_raw_sys_exit___ws *ctx) {
  return ws_on_return(ws_registers_of_call(), ctx->ret, WS_BEST_LOAD);
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

/* Whether the call is about this socket: the kernel talks over sockets of its own (NFS) in the middle of a process's
 * calls on files. */
WS_INLINE bool ws_is_of_call(const struct ws_sight *sight, const struct ws_call *call, const enum ws_how_to_load how) {
  struct ws_socket named;
  const __u64 fd = call->arg[call->op == WS_OP_SPLICE ? 2 : 0];
  return call->op == WS_OP_RING || (ws_socket_of_fd(sight->task, fd, &named, how) && named.sk == sight->s.sk);
}

WS_INLINE bool ws_moves(__u8 op, __u8 direction) {
  if (op == WS_OP_RING) return true;
  return direction == WS_SENT ? op >= WS_OP_WRITE && op <= WS_OP_LAST_MOVING : op >= WS_OP_READ && op < WS_OP_WRITE;
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
    if (direction == WS_RECEIVED && (!moved || moved == -WS_ECONNRESET)) ws_stream_ended(sk);
    return 0;
  }
  struct task_struct *task = bpf_get_current_task_btf();
  const __u32 pid = task->tgid;
  struct ws_thread *thread = ws_thread_of_target(pid, task->pid);
  if (!thread) return 0;
  struct ws_conn *conn = ws_conn_find((__u64)sk);
  if (ws_gate_shut && conn && (conn->flags & (WS_CONN_BASED | WS_CONN_UNIX)) == WS_CONN_BASED &&
      conn->verdict != WS_IGNORE)
    return ws_of_stream(flags) ? ws_tcp_untold(sk, conn, pid, moved, direction, how) : 0;

  struct ws_sight sight = {.task = (struct task_struct *)bpf_get_current_task(),
                           .pid = pid,
                           .tid = task->pid,
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
  struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
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
  return ws_data(&sight, &memory, conn, how);
}

/* Since 6.5 all of sendfile passes here (MSG_SPLICE_PAGES); before, its bytes would be missed: not to be accepted. */
struct proto_ops___6_4 {
  void *sendpage;
} __attribute__((preserve_access_index));
WS_INLINE void ws_refuse_sendpage(void) {
  struct proto_ops___6_4 *ops = NULL;
  if (bpf_core_field_exists(ops->sendpage)) *(volatile int *)ops = 0;
}

/* Raw: the socket comes as a number, which is what the tables are asked with, and is cast where it is read. */
SEC("raw_tp/sock_send_length")
int BPF_PROG(send__raw_tp, struct sock *sk, int moved) {
  ws_refuse_sendpage();
  return ws_on_socket(sk, moved, 0, WS_SENT, WS_BEST_LOAD);
}

SEC("raw_tp/sock_recv_length")
int BPF_PROG(receive__raw_tp, struct sock *sk, int moved, int flags) {
  ws_refuse_sendpage();
  return ws_on_socket(sk, moved, flags, WS_RECEIVED, WS_BEST_LOAD);
}

SEC("tp/sock/sock_send_length")
int send__tp(struct trace_event_raw_sock_msg_length___ws *ctx) {
  ws_refuse_sendpage();
  return ws_on_socket(ctx->sk, ctx->ret, 0, WS_SENT, WS_BEST_LOAD);
}

SEC("tp/sock/sock_recv_length")
int receive__tp(struct trace_event_raw_sock_msg_length___ws *ctx) {
  ws_refuse_sendpage();
  return ws_on_socket(ctx->sk, ctx->ret, ctx->flags, WS_RECEIVED, WS_BEST_LOAD);
}
