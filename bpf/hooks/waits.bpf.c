/* Sockets plan: turns of event loops, which only system calls show. Attached while some traced process needs it
 * (agent/capture/turns), because with any program here every system call of the host leaves its fast path. */
#include "bpf/core/gate.h"
#include "bpf/core/load.h"
#include "bpf/core/registers.h"
#include "bpf/core/threads.h"
#include "bpf/core/trace_event.h"

WS_INLINE bool ws_is_wait(__u64 number) {
  return number < WS_SYSCALLS && ws_ops[number] == WS_OP_WAIT;
}

WS_INLINE struct ws_thread *ws_this_thread(void) {
  const __u64 me = bpf_get_current_pid_tgid();
  return ws_thread_of_target(me >> 32, (__u32)me);
}

WS_INLINE int ws_on_wait(struct pt_regs *regs, long number) {
  struct ws_thread *thread = ws_this_thread();
  if (thread) ws_thread_waits(thread, ws_timeout(regs, number, WS_TYPED));
  return 0;
}

WS_INLINE int ws_on_turn(void) {
  struct ws_thread *thread = ws_this_thread();
  if (thread) thread->loop += 2;
  return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(wait_begins__tp_btf, struct pt_regs *regs, long number) {
  return ws_gate_shut || !ws_is_wait(number) ? 0 : ws_on_wait(regs, number);
}
SEC("tp/raw_syscalls/sys_enter")
int wait_begins__tp(struct trace_event_raw_sys_enter___ws *ctx) {
  const long number = ctx->id;
  return ws_gate_shut || !ws_is_wait(number) ? 0 : ws_on_wait(ws_registers_of_call(), number);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(wait_ends__tp_btf, struct pt_regs *regs, long result) {
  return ws_is_wait(ws_call_number(regs, WS_TYPED)) ? ws_on_turn() : 0;
}
SEC("tp/raw_syscalls/sys_exit")
int wait_ends__tp(struct trace_event_raw_sys_exit___ws *ctx) {
  return ws_is_wait(ctx->id) ? ws_on_turn() : 0;
}
