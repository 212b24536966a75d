/* The programs that see data move, by one of two plans; hooks/functions has those of the third (agent/capture/plan).
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
#include "bpf/core/continuation.h"
#include "bpf/core/data.h"
#include "bpf/core/payload.h"
#include "bpf/core/socket.h"
#include "bpf/core/task.h"
#include "bpf/core/trace_event.h"

char LICENSE[] SEC("license") = "GPL";

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
  ws_tell_continuation(&sight, conn, regs, how);
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
