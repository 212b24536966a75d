/* What programs attached by perf get: the record of a trace event. Only the fields we use; the name before the ___ is
 * the kernel's, by which they are found (CO-RE), so that a kernel without the event refuses the program.
 *
 * Such programs (__tp) run with preemption off, which those of raw tracepoints have not had since 7.0: docs/adr/0014.
 * They return 0: perf then goes no further with the event. */
#ifndef WIRESPAN_BPF_CORE_TRACE_EVENT_H
#define WIRESPAN_BPF_CORE_TRACE_EVENT_H

#include "bpf/core/kernel.h"

/* sock:sock_send_length, sock:sock_recv_length */
struct trace_event_raw_sock_msg_length___ws {
  void *sk;
  int ret;
  int flags;
} __attribute__((preserve_access_index));

/* sock:inet_sock_set_state */
struct trace_event_raw_inet_sock_set_state___ws {
  const void *skaddr;
  int newstate;
  __u16 protocol;
} __attribute__((preserve_access_index));

/* task:task_newtask, told while the parent is the current task */
struct trace_event_raw_task_newtask___ws {
  int pid;
  unsigned long clone_flags;
} __attribute__((preserve_access_index));

struct trace_event_raw_sched_process_exec___ws {
  int old_pid;
} __attribute__((preserve_access_index));

/* raw_syscalls:sys_enter, raw_syscalls:sys_exit */
struct trace_event_raw_sys_enter___ws {
  long id;
} __attribute__((preserve_access_index));
struct trace_event_raw_sys_exit___ws {
  long id;
  long ret;
} __attribute__((preserve_access_index));

/* The registers of the system call the current task is in: 5.15. */
WS_INLINE struct pt_regs *ws_registers_of_call(void) {
  return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

#endif
