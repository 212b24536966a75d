/* Uprobes on Go functions that hand work from one goroutine to another. Behind the stack check of a function's entry,
 * never at its return: stacks move. The agent attaches them per executable (capture/go_probes). ABIInternal
 * (Go 1.17): first arguments in RAX, RBX on amd64, R0, R1 on arm64; g in R14, R28. */
#include "bpf/core/gate.h"
#include "bpf/core/goroutine.h"
#include "bpf/core/traps.h"

WS_INLINE __u64 ws_go_argument(struct pt_regs *regs) {
#if defined(__TARGET_ARCH_x86)
  return regs->ax;
#elif defined(__TARGET_ARCH_arm64)
  return ((struct user_pt_regs *)regs)->regs[0];
#endif
}

WS_INLINE __u64 ws_go_g(struct pt_regs *regs) {
#if defined(__TARGET_ARCH_x86)
  return regs->r14;
#elif defined(__TARGET_ARCH_arm64)
  return ((struct user_pt_regs *)regs)->regs[28];
#endif
}

/* False: not a process we know. */
WS_INLINE const struct ws_go_process *ws_handover_begin(struct pt_regs *regs, __u32 role, struct ws_ev_handover *ev) {
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 pid = me >> 32;
  const struct ws_go_process *go = bpf_map_lookup_elem(&ws_go_processes, &pid);
  if (!go) return NULL;
  const __u64 g = ws_go_g(regs);
  ev->h.type = WS_EV_HANDOVER;
  ev->h.pid = pid;
  ev->h.time = bpf_ktime_get_boot_ns();
  ev->object = ws_go_argument(regs);
  ev->task = ws_user_word(g + go->goid);
  ev->parent_task = go->parent ? ws_user_word(g + go->parent) : 0;
  ev->tid = (__u32)me;
  ev->role = role;
  return ev->task ? go : NULL;
}

/* Who writes a connection's requests is told once, and holds for later windows. */
WS_INLINE int ws_handover(struct pt_regs *regs, __u32 role) {
  ws_trapped(WS_TRAP_GO);
  if (ws_gate_shut && role != WS_WRITES) return 0;
  struct ws_ev_handover ev = {};
  if (ws_handover_begin(regs, role, &ev)) ws_emit(&ev, sizeof(ev));
  return 0;
}

SEC("uprobe")
int go_calls(struct pt_regs *regs) {
  return ws_handover(regs, WS_CALLS);
}

SEC("uprobe")
int go_writes(struct pt_regs *regs) {
  return ws_handover(regs, WS_WRITES);
}

enum {
  WS_HCHAN_COUNT = 0, /* qcount, then dataqsiz: the same in every release */
  WS_HCHAN_ELEMENT_SIZE = 24,
  WS_SUDOG_G = 0,
};

/* The goroutine that waits first in a queue of the channel, struct waitq { first, last *sudog }. */
WS_INLINE __u64 ws_waiting(const struct ws_go_process *go, __u64 queue) {
  const __u64 sudog = ws_user_word(queue);
  __u8 selects = 0;
  if (!sudog) return 0;
  bpf_probe_read_user(&selects, sizeof(selects), (void *)(sudog + go->selects));
  return selects ? ~0ULL : ws_user_word(ws_user_word(sudog + WS_SUDOG_G) + go->goid);
}

WS_INLINE int ws_channel(struct pt_regs *regs, __u32 role) {
  ws_trapped(WS_TRAP_GO);
  if (ws_gate_shut || ws_gate_no_wakeups) return 0;
  struct ws_ev_handover ev = {};
  const __u64 channel = ws_go_argument(regs);
  __u16 size = 0;
  bpf_probe_read_user(&size, sizeof(size), (void *)(channel + WS_HCHAN_ELEMENT_SIZE));
  /* Signals, locks and tokens hand no work over. */
  if (size <= 1) return 0;
  const struct ws_go_process *go = ws_handover_begin(regs, role, &ev);
  if (!go) return 0;
  __u64 counts[2] = {};
  bpf_probe_read_user(counts, sizeof(counts), (void *)(channel + WS_HCHAN_COUNT));
  ev.queued = counts[0];
  ev.capacity = counts[1];
  ev.place = ws_user_word(channel + (role == WS_SENDS ? go->sendx : go->recvx));
  ev.other = ws_waiting(go, channel + (role == WS_SENDS ? go->recvq : go->sendq));
  ws_emit(&ev, sizeof(ev));
  return 0;
}

SEC("uprobe")
int go_sends(struct pt_regs *regs) {
  return ws_channel(regs, WS_SENDS);
}

SEC("uprobe")
int go_receives(struct pt_regs *regs) {
  return ws_channel(regs, WS_RECEIVES);
}
