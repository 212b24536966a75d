/* A thread makes another one of its process runnable: what it did is done, or there is something to do. Attached while
 * the agent knows of a process whose threads have others make their calls (capture/handovers), as it runs at the rate
 * of the scheduler. */
#include "bpf/core/futures.h"
#include "bpf/core/gate.h"
#include "bpf/core/load.h"
#include "bpf/core/registers.h"
#include "bpf/core/ring.h"
#include "bpf/core/threads.h"
#include "bpf/core/waking.h"

enum { ws_frames_of_waiting = 4096 };

/* futex, futex_wait, futex_wake, futex_requeue. Whoever is woken by what comes from a network or a pipe is woken by an
 * interrupt, in the name of any thread, or by a send, which is seen as such. */
WS_INLINE bool ws_is_futex(__u64 number) {
#if defined(__TARGET_ARCH_x86)
  if (number == 202) return true;
#elif defined(__TARGET_ARCH_arm64)
  if (number == 98) return true;
#endif
  return number >= 454 && number <= 456;
}

/* Nobody else can find that word, but for whom its thread told of it: one that ended and is kept for the next (Ruby),
 * or that waits for something of its own. */
WS_INLINE bool ws_waits_alone(struct task_struct *sleeper, const enum ws_how_to_load how) {
  struct pt_regs *regs = ws_registers_of_sleeper(sleeper, how);
  if (!ws_is_futex(ws_call_number(regs, how))) return false;
  const __u64 word = ws_call_argument(regs, how);
  const __u64 stack = ws_stack_pointer(regs, how);
  return word - stack < ws_frames_of_waiting;
}

WS_INLINE int ws_on_waking(struct task_struct *wakee, const enum ws_how_to_load how) {
  if (ws_gate_shut || ws_gate_no_wakeups) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 tid = (__u32)me;
  /* Work is handed over within a process; that one process wakes another is in the bytes they exchange. */
  const __u32 wakee_pid = WS_LOAD(how, wakee, tgid);
  if (wakee_pid != me >> 32 || !bpf_map_lookup_elem(&ws_waking_processes, &wakee_pid)) return 0;
  struct ws_thread *thread = ws_thread_of_target(wakee_pid, tid);
  if (!thread) return 0;
  const __u32 wakee_tid = WS_LOAD(how, wakee, pid);
  if (wakee_tid == tid) return 0;
  if (!ws_is_futex(ws_call_number(ws_registers_of_call(), how))) return 0;
#if defined(__TARGET_ARCH_x86)
  if (bpf_map_lookup_elem(&ws_java_processes, &wakee_pid))
    ws_tell_holds((__u64)wakee_pid << 32 | wakee_tid, 0, WS_LOAD(how, wakee, thread.fsbase));
#endif
  const __u64 now = bpf_ktime_get_boot_ns();
  struct ws_ev_wake ev = {.h = {.type = WS_EV_WAKE, .pid = me >> 32, .time = now},
                          .tid = tid,
                          .loop = ws_turn(thread, now),
                          .task = thread->task,
                          .parent_task = thread->parent_task,
                          .wakee_pid = wakee_pid,
                          .wakee_tid = wakee_tid,
                          .alone = ws_waits_alone(wakee, how)};
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
