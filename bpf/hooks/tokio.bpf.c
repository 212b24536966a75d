/* Uprobes on tokio's two functions that wake a task (both ends of every Waker, so they are never inlined away), and on
 * those that take a new task in. First arguments in RDI, RSI. The agent attaches them per process
 * (capture/tokio_probes). */
#include "bpf/core/tokio.h"

#include "bpf/core/gate.h"
#include "bpf/core/registers.h"
#include "bpf/core/ring.h"
#include "bpf/core/traps.h"

#if defined(__TARGET_ARCH_x86)
#define ws_tokio_argument(regs, first) ((first) ? (regs)->di : (regs)->si)
#else
#define ws_tokio_argument(regs, first) 0
#endif

WS_INLINE int ws_tokio_tell(__u64 header, __u16 role, __u16 how) {
  ws_trapped(WS_TRAP_TOKIO);
  if (ws_gate_shut) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 pid = me >> 32;
  const struct ws_tokio_process *tokio = bpf_map_lookup_elem(&ws_tokio_processes, &pid);
  if (!tokio) return 0;
  struct ws_ev_tokio ev = {
      .h.type = WS_EV_TOKIO, .h.pid = pid, .tid = (__u32)me, .role = role, .how = how | tokio->how};
  /* None, or a worker thread's own: the driver found a socket ready, or a timer due. */
  ev.task = ws_tokio_current(tokio, ws_thread_pointer());
  if (!ev.task || (ev.task >= tokio->driver_first && ev.task <= tokio->driver_last)) return 0;
  ev.other = ws_tokio_task(ws_tokio_id(tokio, header));
  if (!ev.other || ev.other == ev.task) return 0;
  ev.h.time = bpf_ktime_get_boot_ns();
  ws_emit(&ev, sizeof(ev));
  return 0;
}

SEC("uprobe")
int tokio_wakes(struct pt_regs *regs) {
  return ws_tokio_tell(ws_tokio_argument(regs, true), WS_TOKIO_WAKES, 0);
}

SEC("uprobe")
int tokio_wakes_by_ref(struct pt_regs *regs) {
  return ws_tokio_tell(ws_tokio_argument(regs, true), WS_TOKIO_WAKES, WS_TOKIO_BY_REFERENCE);
}

SEC("uprobe")
int tokio_spawns(struct pt_regs *regs) {
  return ws_tokio_tell(ws_tokio_argument(regs, false), WS_TOKIO_SPAWNS, 0);
}

SEC("uprobe")
int tokio_spawns_blocking(struct pt_regs *regs) {
  return ws_tokio_tell(ws_tokio_argument(regs, false), WS_TOKIO_SPAWNS, WS_TOKIO_BLOCKING);
}

/* At a wake-up, in place of the others until that is known: which word of CONTEXT holds the Id of a task that was
 * woken before, and now another's than the last time on this thread? Only the running task's does so again and again.
 */
SEC("uprobe")
int tokio_learns(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_TOKIO);
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 pid = me >> 32;
  const struct ws_tokio_process *tokio = bpf_map_lookup_elem(&ws_tokio_processes, &pid);
  struct ws_tokio_guess *guess = bpf_map_lookup_elem(&ws_tokio_guesses, &pid);
  if (!tokio || !guess) return 0;
  guess->samples++;
  const __u64 context = ws_thread_pointer() + tokio->context;
  for (__u32 i = 0; i < WS_TOKIO_WORDS; i++) {
    if (i >= tokio->words) break;
    const __u64 word = ws_tokio_word(context + i * 8);
    if (word == 0) guess->word[i].zeros++;
    if (word == 1) guess->word[i].ones++;
    if (!word || guess->woken[word & (WS_TOKIO_WOKEN - 1)] != word) continue;
    guess->word[i].hits++;
    if (guess->word[i].tid == (__u32)me && guess->word[i].last != word) guess->word[i].changes++;
    guess->word[i].tid = (__u32)me;
    guess->word[i].last = word;
  }
  const __u64 woken = ws_tokio_id(tokio, ws_tokio_argument(regs, true));
  if (woken) guess->woken[woken & (WS_TOKIO_WOKEN - 1)] = woken;
  return 0;
}
