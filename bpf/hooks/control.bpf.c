/* Not attached: run by the agent (BPF_PROG_TEST_RUN) to change one field of a connection's state, which a map update
 * from user space could not do without undoing what the I/O program writes at the same time. */
#include "bpf/core/conns.h"

SEC("raw_tp/ws_control")
int BPF_PROG(control, __u64 op, __u64 sock, __u64 id, __u64 value) {
  struct ws_conn *conn = ws_conn_find(sock);
  if (!conn || conn->id != id) return 0;
  if (op == WS_CONTROL_VERDICT) conn->verdict = value;
  if (op == WS_CONTROL_FLUSH) ws_flush_pending(conn);
  if (op == WS_CONTROL_CLOSE) ws_conn_close(sock, conn, value);
  return 1;
}
