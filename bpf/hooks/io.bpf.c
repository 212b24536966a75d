/* The one program that sees data move: the end of every system call. Entry of a call only notes when a sending one
 * began (hooks/entry), because a sender must never look later than its receiver. */
#ifndef WS_NO_CAST
#include "bpf/core/cast.h"
#define WS_BEST_LOAD WS_CAST
#else /* the object for kernels that have no bpf_rdonly_cast, see agent/capture/bpf_object */
#define WS_BEST_LOAD WS_PROBE
#endif
/* The cast before anything that loads: with it, loads may cast. */
#include "bpf/core/announce.h"
#include "bpf/core/payload.h"
#include "bpf/core/task.h"

char LICENSE[] SEC("license") = "GPL";

/* Arguments as the process passed them: pt_regs still holds them when the call returns. */
struct ws_call {
  __u64 arg[4];
  long result;
  __u8 op;
};

WS_INLINE void ws_read_call(struct pt_regs *regs, struct ws_call *call, const enum ws_how_to_load how) {
#if defined(__TARGET_ARCH_x86)
  call->arg[0] = WS_LOAD(how, regs, di);
  call->arg[1] = WS_LOAD(how, regs, si);
  call->arg[2] = WS_LOAD(how, regs, dx);
  call->arg[3] = WS_LOAD(how, regs, r10);
#elif defined(__TARGET_ARCH_arm64)
  struct user_pt_regs *user = (struct user_pt_regs *)regs;
  struct pt_regs___orig {
    __u64 orig_x0;
  } __attribute__((preserve_access_index)) *orig = (void *)regs;
  call->arg[0] = BPF_CORE_READ(orig, orig_x0);
  call->arg[1] = BPF_CORE_READ(user, regs[1]);
  call->arg[2] = BPF_CORE_READ(user, regs[2]);
  call->arg[3] = BPF_CORE_READ(user, regs[3]);
#else
#error "name the registers of this architecture's system calls"
#endif
}

WS_INLINE __u64 ws_call_number(struct pt_regs *regs, const enum ws_how_to_load how) {
#if defined(__TARGET_ARCH_x86)
  return WS_LOAD(how, regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
  struct pt_regs___nr {
    __s32 syscallno;
  } __attribute__((preserve_access_index)) *nr = (void *)regs;
  return BPF_CORE_READ(nr, syscallno);
#endif
}

/* The number means another call in a 32-bit process. */
WS_INLINE bool ws_is_compat(struct pt_regs *regs, const enum ws_how_to_load how) {
#if defined(__TARGET_ARCH_x86)
  return (__u16)WS_LOAD(how, regs, cs) == ws_compat_cs;
#else
  return false;
#endif
}

/* Bytes a recvmmsg or sendmmsg moved. Streams use them for one or two messages. */
static __noinline __u32 ws_mmsg_bytes(__u64 messages, __u32 count) {
  __u32 sum = 0;
  for (__u32 i = 0; i < WS_SEGMENTS && i < count; i++) {
    __u32 size = 0;
    bpf_probe_read_user(&size, sizeof(size), &((struct mmsghdr *)messages)[i].msg_len);
    sum += size;
  }
  return sum;
}

WS_INLINE void ws_memory_of_message(__u64 message, struct ws_memory *memory) {
  struct user_msghdr header;
  if (bpf_probe_read_user(&header, sizeof(header), (void *)message)) return;
  memory->base = (__u64)header.msg_iov;
  memory->segments = header.msg_iovlen;
}

/* What the call moved, and from or to where. False: nothing that belongs to the stream. */
WS_INLINE bool ws_moved(const struct ws_call *call, struct ws_memory *memory, __u32 *moved) {
  const __u32 not_stream = WS_MSG_PEEK | WS_MSG_OOB | WS_MSG_ERRQUEUE;
  *moved = call->result;
  switch (call->op) {
    case WS_OP_READ:
    case WS_OP_WRITE: /* sendto as well */
      memory->base = call->arg[1];
      return true;
    case WS_OP_READV:
    case WS_OP_WRITEV:
      memory->base = call->arg[1];
      memory->segments = call->arg[2];
      return true;
    case WS_OP_RECVFROM:
      memory->base = call->arg[3] & WS_MSG_TRUNC ? 0 : call->arg[1]; /* TCP: MSG_TRUNC discards */
      return !(call->arg[3] & not_stream);
    case WS_OP_RECVMSG:
      if (!(call->arg[2] & WS_MSG_TRUNC)) ws_memory_of_message(call->arg[1], memory);
      return !(call->arg[2] & not_stream);
    case WS_OP_SENDMSG:
      ws_memory_of_message(call->arg[1], memory);
      return true;
    case WS_OP_RECVMMSG:
    case WS_OP_SENDMMSG:
      ws_memory_of_message(call->arg[1], memory);
      *moved = ws_mmsg_bytes(call->arg[1], call->result);
      return *moved && !(call->op == WS_OP_RECVMMSG && call->arg[3] & not_stream);
    default: /* sendfile, splice: counted only */
      return true;
  }
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
  struct ws_scratch *scratch = ws_scratch();
  if (!scratch) return 0;
  struct ws_ev_data *ev = &scratch->data;
  const __u32 moved = sight->moved;

  if (conn->direction != sight->direction) {
    ws_flush_pending(conn);
    conn->direction = sight->direction;
    conn->left = ws_gate_captures(conn);
    conn->turn = sight->now;
  }
  __u64 position = ws_position(sight, conn, how);
  if (conn->verdict == WS_IGNORE) return 0;

  __u32 want = conn->verdict == WS_MORE ? WS_CALL_CAPTURE_MAX : conn->left;
  if (want > moved) want = moved;
  ev->captured = 0;
  ev->tail_size = 0;
  if (memory->base) {
    if (memory->segments)
      ws_copy_vector(scratch, memory, moved, want);
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
    if (fds[i] >= 0 && ws_socket_of_fd(sight->task, fds[i], &sight->s, how))
      ws_conn_in_sight(sight, ws_conn_find((__u64)sight->s.sk), how);
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
  if (call.op == WS_OP_NONE || call.op == WS_OP_CLOSE) return 0;
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
  if (conn && conn->verdict == WS_IGNORE && (__u32)conn->id == sight.s.inode && !(conn->flags & WS_CONN_UNIX)) return 0;
  if (!ws_moved(&call, &memory, &sight.moved)) return 0;
  if (!ws_gate_shut) ws_set_task(thread, sight.pid, sight.task, regs, how);
  sight.thread = *thread;
  sight.now = sight.direction == WS_SENT && sight.thread.send_began ? sight.thread.send_began : bpf_ktime_get_boot_ns();
  conn = ws_conn_in_sight(&sight, conn, how);
  return conn ? ws_data(&sight, &memory, conn, how) : 0;
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
