/* Entry of system calls: when a sending call began, how long a loop means to wait, and closing of Unix sockets, which
 * no tracepoint tells. */
#include "bpf/core/conns.h"
#include "bpf/core/fd.h"
#include "bpf/core/gate.h"
#include "bpf/core/registers.h"
#include "bpf/core/threads.h"
#include "bpf/core/trace_event.h"

/* v6.13 replaced the count of references to a file (atomic, 1 = one) by file_ref_t (0 = one). */
struct file___count {
  atomic_long_t f_count;
} __attribute__((preserve_access_index));
struct file_ref___6_13 {
  atomic64_t refcnt;
} __attribute__((preserve_access_index));
struct file___ref {
  struct file_ref___6_13 f_ref;
} __attribute__((preserve_access_index));

WS_INLINE bool ws_last_reference(struct file *file) {
  struct file___ref *ref = (void *)file;
  struct file___count *count = (void *)file;
  if (bpf_core_field_exists(ref->f_ref)) return BPF_CORE_READ(ref, f_ref.refcnt.counter) == 0;
  return BPF_CORE_READ(count, f_count.counter) == 1;
}

WS_INLINE int ws_closing(__u64 fd) {
  struct ws_socket s;
  struct file *file = ws_file_of_fd((struct task_struct *)bpf_get_current_task(), fd, WS_PROBE);
  if (!file || !ws_socket_of_file(file, &s, WS_PROBE)) return 0;
  __u64 sock = (__u64)s.sk;
  struct ws_conn *conn = ws_conn_find(sock);
  if (conn && conn->flags & WS_CONN_UNIX && ws_last_reference(file)) ws_conn_close(sock, conn, WS_CLOSED);
  return 0;
}

WS_INLINE int ws_on_entry(struct pt_regs *regs, long number, const enum ws_how_to_load how) {
  if ((__u64)number >= WS_SYSCALLS) return 0;
  const __u8 op = ws_ops[number];
  const bool sends = op >= WS_OP_WRITE && op <= WS_OP_LAST_MOVING;
  if (!sends && op != WS_OP_CLOSE && op != WS_OP_WAIT) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  struct ws_thread *thread = ws_thread_of_target(me >> 32, (__u32)me);
  if (!thread) return 0;
  if (sends)
    thread->send_began = ws_gate_shut ? 0 : bpf_ktime_get_boot_ns();
  else if (op == WS_OP_WAIT && !ws_gate_shut)
    ws_thread_waits(thread, ws_timeout(regs, number, how));
  else if (op == WS_OP_CLOSE)
    ws_closing(ws_call_argument(regs, how));
  return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(entry__tp_btf, struct pt_regs *regs, long number) {
  return ws_on_entry(regs, number, WS_TYPED);
}

SEC("tp/raw_syscalls/sys_enter")
int entry__tp(struct trace_event_raw_sys_enter___ws *ctx) {
  return ws_on_entry(ws_registers_of_call(), ctx->id, WS_TYPED);
}

SEC("raw_tp/sys_enter")
int BPF_PROG(entry__raw_tp, struct pt_regs *regs, long number) {
  return ws_on_entry(regs, number, WS_PROBE);
}
