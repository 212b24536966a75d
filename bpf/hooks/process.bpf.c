/* Births and deaths of threads and processes: children of targets are targets. */
#include "bpf/core/load.h"
#include "bpf/core/ring.h"
#include "bpf/core/threads.h"

WS_INLINE int ws_on_fork(struct task_struct *parent, struct task_struct *child, const enum ws_how_to_load how) {
  const __u32 pid = WS_LOAD(how, parent, tgid);
  if (!ws_trace_all && !*ws_hint(pid)) return 0;
  struct ws_target *target = bpf_map_lookup_elem(&ws_targets, &pid);
  if (!target && !ws_trace_all) return 0;
  const __u32 child_pid = WS_LOAD(how, child, tgid);
  if (target && child_pid != pid) ws_target_add(child_pid, target);
  if (target && target->flags & WS_TARGET_EXCLUDED) return 0;
  struct ws_ev_fork ev = {.h = {.type = WS_EV_FORK, .pid = pid, .time = bpf_ktime_get_boot_ns()},
                          .parent_tid = WS_LOAD(how, parent, pid),
                          .child_pid = child_pid,
                          .child_tid = WS_LOAD(how, child, pid)};
  ws_emit(&ev, sizeof(ev));
  return 0;
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
  if (last && (ws_trace_all || *ws_hint(pid))) ws_target_remove(pid);
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

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec__tp_btf, struct task_struct *task, pid_t old_tid) {
  return ws_on_exec(task, old_tid, WS_TYPED);
}
SEC("raw_tp/sched_process_exec")
int BPF_PROG(exec__raw_tp, struct task_struct *task, pid_t old_tid) {
  return ws_on_exec(task, old_tid, WS_PROBE);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exit__tp_btf, struct task_struct *task) {
  return ws_on_exit(task, WS_TYPED);
}
SEC("raw_tp/sched_process_exit")
int BPF_PROG(exit__raw_tp, struct task_struct *task) {
  return ws_on_exit(task, WS_PROBE);
}
