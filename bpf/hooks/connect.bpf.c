/* Sockets plan: who connects and who listens, by the state of the socket, while the call that changes it runs. Accepted
 * connections are met when they are first used. */
#include "bpf/core/announce.h"
#include "bpf/core/node.h"
#include "bpf/core/trace_event.h"

enum { WS_TCP_LISTEN = 10 };

WS_INLINE int ws_on_connecting(struct sock *sk) {
  struct ws_sight sight = {.task = (struct task_struct *)bpf_get_current_task(), .opens = 1, .side = WS_SIDE_ACTIVE};
  const __u64 me = bpf_get_current_pid_tgid();
  sight.pid = me >> 32;
  sight.tid = (__u32)me;
  const struct ws_thread *thread = ws_thread_of_target(sight.pid, sight.tid);
  if (!thread) return 0;
  struct socket_alloc *socket = (struct socket_alloc *)WS_LOAD(WS_PROBE, sk, sk_socket);
  if (!socket) return 0; /* the kernel's own */
  sight.s.sk = sk;
  sight.s.inode = (__u32)WS_LOAD(WS_PROBE, socket, vfs_inode.i_ino);
  sight.thread = *thread;
  sight.now = bpf_ktime_get_boot_ns();
  const struct ws_conn *conn = ws_conn_in_sight(&sight, ws_conn_find((__u64)sk), WS_PROBE);
  /* Used, or clang leaves a pointer to the stack where the function's value would be, which the verifier refuses. */
  if (!conn) return 0;
  if (sight.thread.runtime == WS_RUNTIME_NODE) ws_tell_async(sight.pid, sight.tid, conn->id, WS_ASYNC_CONNECTS);
  return 1;
}

WS_INLINE int ws_on_listening(struct sock *sk) {
  const __u32 pid = bpf_get_current_pid_tgid() >> 32;
  const bool target = ws_target_of(pid) != NULL;
  if (!target && !ws_watch_listen) return 0;
  struct ws_ev_listen ev = {.h = {.type = WS_EV_LISTEN, .pid = pid, .time = bpf_ktime_get_boot_ns()},
                            .port = WS_LOAD(WS_PROBE, sk, __sk_common.skc_num),
                            .is_target = target};
  ws_emit_flags(&ev, sizeof(ev), BPF_RB_FORCE_WAKEUP);
  return 0;
}

SEC("tp/sock/inet_sock_set_state")
int connect__tp(struct trace_event_raw_inet_sock_set_state___ws *ctx) {
  if (ctx->newstate != WS_TCP_SYN_SENT && ctx->newstate != WS_TCP_LISTEN) return 0;
  if (ctx->protocol != WS_PROTO_TCP) return 0;
  struct sock *sk = (struct sock *)ctx->skaddr;
  if (ctx->newstate == WS_TCP_SYN_SENT)
    ws_on_connecting(sk);
  else
    ws_on_listening(sk);
  return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(connect__raw_tp, struct sock *sk, int old, int new) {
  if (new != WS_TCP_SYN_SENT &&new != WS_TCP_LISTEN) return 0;
  if (WS_LOAD(WS_PROBE, sk, sk_protocol) != WS_PROTO_TCP) return 0;
  return new == WS_TCP_SYN_SENT ? ws_on_connecting(sk) : ws_on_listening(sk);
}
