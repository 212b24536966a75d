/* Births and deaths of threads and processes: children of targets are targets. */
#include "bpf/core/load.h"
#include "bpf/core/ring.h"
#include "bpf/core/threads.h"
#include "bpf/core/trace_event.h"

enum { WS_CLONE_THREAD = 0x10000 };

WS_INLINE bool ws_may_trace(__u32 pid) {
  return ws_trace_all || *ws_hint(pid);
}

WS_INLINE int ws_on_birth(__u32 pid, __u32 tid, __u32 child_pid, __u32 child_tid) {
  struct ws_target *target = bpf_map_lookup_elem(&ws_targets, &pid);
  if (!target && !ws_trace_all) return 0;
  if (target && child_pid != pid) ws_target_add(child_pid, target);
  if (target && target->flags & WS_TARGET_EXCLUDED) return 0;
  struct ws_ev_fork ev = {.h = {.type = WS_EV_FORK, .pid = pid, .time = bpf_ktime_get_boot_ns()},
                          .parent_tid = tid,
                          .child_pid = child_pid,
                          .child_tid = child_tid};
  ws_emit(&ev, sizeof(ev));
  return 0;
}

WS_INLINE int ws_on_fork(struct task_struct *parent, struct task_struct *child, const enum ws_how_to_load how) {
  const __u32 pid = WS_LOAD(how, parent, tgid);
  if (!ws_may_trace(pid)) return 0;
  return ws_on_birth(pid, WS_LOAD(how, parent, pid), WS_LOAD(how, child, tgid), WS_LOAD(how, child, pid));
}

WS_INLINE int ws_on_exec(struct task_struct *task, __u32 old_tid, const enum ws_how_to_load how) {
  const __u32 pid = WS_LOAD(how, task, tgid);
  const bool target = ws_target_of(pid) != NULL || ws_trace_all;
  /* exec by another thread than the leader: it takes the leader's id. */
  if (target && old_tid != pid) ws_thread_gone(old_tid);
  if (!target && !ws_watch_exec) return 0;
  struct task_struct *parent = WS_LOAD(how, task, real_parent);
  struct ws_ev_exec ev = {.h = {.type = WS_EV_EXEC, .pid = pid, .time = bpf_ktime_get_boot_ns()},
                          .is_target = target,
                          .parent_pid = WS_LOAD(how, parent, tgid)};
  bpf_get_current_comm(ev.comm, sizeof(ev.comm));
  /* A selector may want it, before its first byte: do not wait for the reader's next round. */
  ws_emit_flags(&ev, sizeof(ev), BPF_RB_FORCE_WAKEUP);
  return 0;
}

WS_INLINE int ws_on_exit(struct task_struct *task, const enum ws_how_to_load how) {
  const __u32 pid = WS_LOAD(how, task, tgid);
  __u32 tid = WS_LOAD(how, task, pid);
  const bool target = ws_target_of(pid) != NULL || ws_trace_all;
  struct signal_struct *signal = WS_LOAD(how, task, signal);
  const bool last = WS_LOAD(how, signal, live.counter) == 0;
  if (target) ws_thread_gone(tid);
  if (last && ws_may_trace(pid)) ws_target_remove(pid);
  if (!target) return 0;
  struct ws_ev_exit ev = {
      .h = {.type = WS_EV_EXIT, .pid = pid, .time = bpf_ktime_get_boot_ns()}, .tid = tid, .process = last};
  ws_emit(&ev, sizeof(ev));
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(fork__tp_btf, struct task_struct *parent, struct task_struct *child) {
  return ws_on_fork(parent, child, WS_TYPED);
}
SEC("raw_tp/sched_process_fork")
int BPF_PROG(fork__raw_tp, struct task_struct *parent, struct task_struct *child) {
  return ws_on_fork(parent, child, WS_PROBE);
}

/* sched_process_fork's record does not say whether the child is a process. */
SEC("tp/task/task_newtask")
int fork__tp(struct trace_event_raw_task_newtask___ws *ctx) {
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 pid = me >> 32;
  if (!ws_may_trace(pid)) return 0;
  return ws_on_birth(pid, (__u32)me, ctx->clone_flags & WS_CLONE_THREAD ? pid : ctx->pid, ctx->pid);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec__tp_btf, struct task_struct *task, pid_t old_tid) {
  return ws_on_exec(task, old_tid, WS_TYPED);
}
SEC("raw_tp/sched_process_exec")
int BPF_PROG(exec__raw_tp, struct task_struct *task, pid_t old_tid) {
  return ws_on_exec(task, old_tid, WS_PROBE);
}

SEC("tp/sched/sched_process_exec")
int exec__tp(struct trace_event_raw_sched_process_exec___ws *ctx) {
  return ws_on_exec((struct task_struct *)bpf_get_current_task(), ctx->old_pid, WS_PROBE);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exit__tp_btf, struct task_struct *task) {
  return ws_on_exit(task, WS_TYPED);
}
SEC("raw_tp/sched_process_exit")
int BPF_PROG(exit__raw_tp, struct task_struct *task) {
  return ws_on_exit(task, WS_PROBE);
}
SEC("tp/sched/sched_process_exit")
int exit__tp(void *ctx) {
  return ws_on_exit((struct task_struct *)bpf_get_current_task(), WS_PROBE);
}
