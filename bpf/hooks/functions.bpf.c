/* Functions plan: the kernel's functions that move bytes through stream sockets, seen when they return (fexit). For
 * kernels that have no tracepoints on sockets, or had sendfile pass by them: up to 6.4. Nobody else pays, as there.
 *
 * Programs share what they build records in (core/scratch) and rely on not being preempted: agent/capture/preemption
 * says on which kernels they are not. docs/adr/0016 */
#include "bpf/core/socket.h"

/* Without it, text that a sleeping thread returns to is freed when a program is detached (5.12, and stable kernels of
 * before): not to be accepted. */
WS_INLINE void ws_refuse_unsafe_exit(void) {
  int *nowhere = NULL;
  if (!bpf_core_type_exists(struct bpf_tramp_image)) *(volatile int *)nowhere = 0;
}

/* First of all, from what costs least. */
WS_INLINE struct ws_thread *ws_traced_thread(void) {
  const __u64 me = bpf_get_current_pid_tgid();
  return ws_thread_of_target(me >> 32, (__u32)me);
}

WS_INLINE bool ws_is_traced(void) {
  struct ws_thread *thread = ws_traced_thread();
  if (thread && !thread->returned) thread->returned = WS_CALL_RETURNED;
  return thread;
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(tcp_send__fexit, struct sock *sk, struct msghdr *message, __u64 size, int moved) {
  ws_refuse_unsafe_exit();
  if (moved <= 0 || !ws_is_traced()) return 0;
  return ws_on_socket((struct sock *)ws_number_of(sk), moved, 0, WS_SENT, WS_PROBE);
}

/* Of what a receive has moved, what late_receive has not told already. */
static __noinline int ws_left_to_tell(struct sock *sk, int moved) {
  const struct ws_conn *conn = ws_conn_find((__u64)sk);
  if (!conn || !(conn->flags & WS_CONN_BASED)) return moved;
  const __u32 told = conn->base[WS_RECEIVED] + (__u32)conn->position[WS_RECEIVED];
  const int left = (int)(WS_LOAD(WS_PROBE, (struct tcp_sock *)sk, copied_seq) - told);
  return left < moved ? left : moved;
}

WS_INLINE int ws_tcp_received(struct sock *typed, int moved, int flags) {
  ws_refuse_unsafe_exit();
  if (moved <= 0) return 0;
  struct ws_thread *thread = ws_traced_thread();
  if (!thread) return 0;
  struct sock *sk = (struct sock *)ws_number_of(typed);
  if (thread->returned == WS_TOLD_BEFORE) {
    const int left = ws_left_to_tell(sk, moved);
    /* What is left lies behind what was told in the thread's memory: counted, as what MSG_TRUNC discards. */
    if (left < moved) flags |= WS_MSG_TRUNC;
    moved = left;
  }
  thread->returned = WS_CALL_RETURNED;
  return moved > 0 ? ws_on_socket(sk, moved, (__u32)flags, WS_RECEIVED, WS_PROBE) : 0;
}

/* A receive that began before the programs were attached does not return to them: a thread may have waited for its next
 * request in it. So in the first minutes each thread's first receive is told from within, where TCP has copied; once,
 * though a call may come here more often, with what it has copied so far. Readers in the kernel's own interest come
 * here as well, in whatever thread they interrupt. */
SEC("fentry/tcp_cleanup_rbuf")
int BPF_PROG(late_receive__fentry, struct sock *typed, int copied) {
  if (copied <= 0) return 0;
  struct ws_thread *thread = ws_traced_thread();
  if (!thread || thread->returned) return 0;
  struct ws_call call = {};
  struct pt_regs *regs = ws_registers_of_call();
  const __u64 number = ws_call_number(regs, WS_PROBE);
  if (number >= WS_SYSCALLS) return 0;
  call.op = ws_ops[number];
  if (call.op < WS_OP_READ || call.op >= WS_OP_WRITE) return 0;
  ws_read_call(regs, &call, WS_PROBE);
  struct sock *sk = (struct sock *)ws_number_of(typed);
  if (!ws_names_socket(call.arg[0], sk)) return 0;
  thread->returned = WS_TOLD_BEFORE;
  return ws_on_socket(sk, copied, ws_receive_flags(&call), WS_RECEIVED, WS_PROBE);
}

/* v5.19 took an argument from the middle, nonblock. From then on the first of the two is refused, because it reads
 * behind the returned value. It has to be tried first: what the second takes for that is a pointer before, which some
 * kernels let it read as a number. */
SEC("fexit/tcp_recvmsg")
int BPF_PROG(tcp_receive__fexit_nonblock, struct sock *sk, struct msghdr *message, __u64 size, int nonblock, int flags,
             int *name_size, int moved) {
  return ws_tcp_received(sk, moved, flags);
}

SEC("fexit/tcp_recvmsg")
int BPF_PROG(tcp_receive__fexit, struct sock *sk, struct msghdr *message, __u64 size, int flags, int *name_size,
             int moved) {
  return ws_tcp_received(sk, moved, flags);
}

SEC("fexit/unix_stream_sendmsg")
int BPF_PROG(unix_send__fexit, struct socket *socket, struct msghdr *message, __u64 size, int moved) {
  ws_refuse_unsafe_exit();
  if (moved <= 0 || !ws_is_traced()) return 0;
  return ws_on_socket((struct sock *)ws_number_of(socket->sk), moved, 0, WS_SENT, WS_PROBE);
}

/* Ends of streams whoever reads them: the other end may be traced. */
SEC("fexit/unix_stream_recvmsg")
int BPF_PROG(unix_receive__fexit, struct socket *socket, struct msghdr *message, __u64 size, int flags, int moved) {
  ws_refuse_unsafe_exit();
  if (moved > 0 && !ws_is_traced()) return 0;
  return ws_on_socket((struct sock *)ws_number_of(socket->sk), moved, (__u32)flags, WS_RECEIVED, WS_PROBE);
}

WS_INLINE int ws_pages_moved(struct file *file, long moved, __u8 direction) {
  struct ws_socket s;
  if (moved <= 0 || !ws_is_traced()) return 0;
  if (!ws_socket_of_file((struct file *)ws_number_of(file), &s, WS_PROBE)) return 0;
  return ws_on_socket(s.sk, (int)moved, 0, direction, WS_PROBE);
}

/* sendfile, and splice into a socket. Sockets have it since their files can be spliced to, until 6.4; from then on such
 * bytes pass by tcp_sendmsg. */
SEC("fexit/generic_splice_sendpage")
int BPF_PROG(pages_out__fexit, struct pipe_inode_info *pipe, struct file *file, __s64 *position, __u64 size,
             unsigned int flags, long moved) {
  ws_refuse_unsafe_exit();
  return ws_pages_moved(file, moved, WS_SENT);
}

/* splice out of a socket. */
SEC("fexit/sock_splice_read")
int BPF_PROG(pages_in__fexit, struct file *file, __s64 *position, struct pipe_inode_info *pipe, __u64 size,
             unsigned int flags, long moved) {
  ws_refuse_unsafe_exit();
  return ws_pages_moved(file, moved, WS_RECEIVED);
}
