/* Births of Python contexts: the instructions by which the functions that make one return (capture/returns), as only
 * there the new address is known; the interpreter's stack does not move while they run. */
#include "bpf/core/python.h"

#include "bpf/core/registers.h"
#include "bpf/core/traps.h"

#if defined(__TARGET_ARCH_x86)
WS_INLINE __u64 ws_returned(struct pt_regs *regs) {
  return regs->ax;
}
#else
WS_INLINE __u64 ws_returned(struct pt_regs *regs) {
  return 0;
}
#endif

/* The context it was born in, and that one's own ancestors. */
WS_INLINE void ws_inherit(struct ws_ev_lineage *fresh, const struct ws_ev_lineage *parent) {
  fresh->ancestors[0] = parent->task;
  for (int i = 1; i < WS_ANCESTORS; i++) fresh->ancestors[i] = parent->ancestors[i - 1];
  fresh->count = parent->count < WS_ANCESTORS ? parent->count + 1 : WS_ANCESTORS;
}

SEC("uprobe")
int python_born(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_PYTHON);
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 pid = me >> 32;
  const struct ws_python_process *python = bpf_map_lookup_elem(&ws_python_processes, &pid);
  struct ws_thread *thread = python ? ws_thread_of_target(pid, (__u32)me) : NULL;
  if (!thread || python->data_stack) return 0;
  const __u64 state = ws_python_state(thread, python, ws_thread_pointer());
  struct ws_python_context born = {.pid = pid, .generation = python->generation, .address = ws_returned(regs)};
  struct ws_python_context in = {.pid = pid, .generation = python->generation};
  if (!state || !born.address) return 0;
  in.address = ws_user_word(state + python->context);

  struct ws_ev_lineage fresh;
  const __u64 now = bpf_ktime_get_boot_ns();
  struct ws_ev_lineage *parent = NULL;
  if (in.address && in.address != born.address) {
    parent = bpf_map_lookup_elem(&ws_python_contexts, &in);
    if (!parent) parent = ws_python_met(&in, now - 1, &fresh);
  }
  __builtin_memset(&fresh, 0, sizeof(fresh));
  fresh.h.type = WS_EV_LINEAGE;
  fresh.h.pid = pid;
  fresh.task = now | WS_TASK_CONTEXT;
  if (parent) ws_inherit(&fresh, parent);
  struct ws_ev_lineage *old = bpf_map_lookup_elem(&ws_python_contexts, &born);
  if (old)
    *old = fresh;
  else if (bpf_map_update_elem(&ws_python_contexts, &born, &fresh, BPF_ANY))
    ws_count(WS_STAT_CONTEXT_MAP_FULL);
  return 0;
}
