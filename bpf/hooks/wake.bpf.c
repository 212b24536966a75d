/* A thread of a target makes another one runnable. Off unless asked for: it runs at the rate of the scheduler. */
#include "bpf/core/gate.h"
#include "bpf/core/load.h"
#include "bpf/core/ring.h"
#include "bpf/core/threads.h"

WS_INLINE int ws_on_waking(struct task_struct *wakee, const enum ws_how_to_load how) {
  if (ws_gate_shut || ws_gate_no_wakeups) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 tid = (__u32)me;
  struct ws_thread *thread = ws_thread_of_target(me >> 32, tid);
  if (!thread) return 0;
  /* Work is handed over within a process; that one process wakes another is in the bytes they exchange. */
  const __u32 wakee_pid = WS_LOAD(how, wakee, tgid);
  if (wakee_pid != me >> 32) return 0;
  const __u32 wakee_tid = WS_LOAD(how, wakee, pid);
  if (wakee_tid == tid) return 0;
  const __u64 now = bpf_ktime_get_boot_ns();
  struct ws_ev_wake ev = {.h = {.type = WS_EV_WAKE, .pid = me >> 32, .time = now},
                          .tid = tid,
                          .loop = ws_turn(thread, now),
                          .task = thread->task,
                          .parent_task = thread->parent_task,
                          .wakee_pid = wakee_pid,
                          .wakee_tid = wakee_tid};
  ws_emit(&ev, sizeof(ev));
  return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(wake__tp_btf, struct task_struct *wakee) {
  return ws_on_waking(wakee, WS_TYPED);
}
SEC("raw_tp/sched_waking")
int BPF_PROG(wake__raw_tp, struct task_struct *wakee) {
  return ws_on_waking(wakee, WS_PROBE);
}
