/* Sockets plan: turns of event loops, which only system calls show. Attached while some traced process needs it
 * (agent/capture/turns), because with any program here every system call of the host leaves its fast path. */
#include "bpf/core/gate.h"
#include "bpf/core/load.h"
#include "bpf/core/registers.h"
#include "bpf/core/threads.h"

SEC("tp_btf/sys_enter")
int BPF_PROG(wait_begins__tp_btf, struct pt_regs *regs, long number) {
  if (ws_gate_shut || (__u64)number >= WS_SYSCALLS || ws_ops[number] != WS_OP_WAIT) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  struct ws_thread *thread = ws_thread_of_target(me >> 32, (__u32)me);
  if (thread) ws_thread_waits(thread, ws_timeout(regs, number, WS_TYPED));
  return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(wait_ends__tp_btf, struct pt_regs *regs, long result) {
  const __u64 number = ws_call_number(regs, WS_TYPED);
  if (number >= WS_SYSCALLS || ws_ops[number] != WS_OP_WAIT) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  struct ws_thread *thread = ws_thread_of_target(me >> 32, (__u32)me);
  if (thread) thread->loop += 2;
  return 0;
}
