/* Iterators over the files of all processes, read by the agent. */
#include "bpf/core/announce.h"
#include "bpf/core/fd.h"

/* Now and then: which of the connections we know are still open in some process. No tracepoint tells the end of a Unix
 * socket, and a process that exits or execs closes without a system call. */

SEC("iter/task_file")
int files(struct bpf_iter__task_file *ctx) {
  struct file *file = ctx->file;
  struct ws_socket s;
  if (!file || !ws_socket_of_file(file, &s, WS_PROBE)) return 0;
  const __u64 sock = (__u64)s.sk;
  const struct ws_conn *conn = ws_conn_find(sock);
  if (conn && (__u32)conn->id == s.inode) bpf_seq_write(ctx->meta->seq, &conn->id, sizeof(conn->id));
  return 0;
}

/* At the start: on which connections that a traced process accepted something was received since it sent last. They
 * carry requests that nobody saw being read. TCP notes both times in jiffies; within one, it is answered. */
SEC("iter/task_file")
int asked(struct bpf_iter__task_file *ctx) {
  struct file *file = ctx->file;
  struct task_struct *task = ctx->task;
  struct ws_socket s;
  if (!file || !task) return 0;
  const __u32 pid = WS_LOAD(WS_PROBE, task, tgid);
  if (!ws_trace_all && !ws_target_of(pid)) return 0;
  if (!ws_socket_of_file(file, &s, WS_PROBE)) return 0;
  struct tcp_sock *tp = (struct tcp_sock *)s.sk;
  struct inet_connection_sock *icsk = (struct inet_connection_sock *)s.sk;
  const __u8 family = ws_family_of(s.sk, WS_PROBE);
  if (family != WS_FAMILY_IPV4 && family != WS_FAMILY_IPV6) return 0;
  if (WS_LOAD(WS_PROBE, s.sk, __sk_common.skc_state) != WS_TCP_ESTABLISHED) return 0;
  const __u32 received = WS_LOAD(WS_PROBE, icsk, icsk_ack.lrcvtime);
  if ((__s32)(received - WS_LOAD(WS_PROBE, tp, lsndtime)) <= 0) return 0;
  struct ws_tcp_bases tcp = {};
  const __u32 una = WS_LOAD(WS_PROBE, tp, snd_una);
  ws_tcp_find_side(tp, una - (__u32)WS_LOAD(WS_PROBE, tp, bytes_acked), &tcp, WS_PROBE);
  if (tcp.guessed || tcp.side != WS_SIDE_PASSIVE) return 0;
  const __u64 which = (__u64)pid << 32 | s.inode;
  bpf_seq_write(ctx->meta->seq, &which, sizeof(which));
  return 0;
}
