/* Iterator, read by the agent now and then: which of the connections we know are still open in some process. No
 * tracepoint tells the end of a Unix socket, and a process that exits or execs closes without a system call. */
#include "bpf/core/conns.h"
#include "bpf/core/fd.h"

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
