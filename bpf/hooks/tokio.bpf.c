/* Uprobes on tokio's two functions that wake a task (both ends of every Waker, so they are never inlined away), and on
 * those that take a new task in; and on what consumers of queues do between jobs. First arguments in RDI, RSI. The
 * agent attaches them per process (capture/tokio_probes). */
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

/* NULL: none that is told. It is none, or a worker thread's own: the driver found a socket ready, or a timer due. */
WS_INLINE const struct ws_tokio_process *ws_tokio_begin(struct ws_ev_tokio *ev) {
  if (ws_gate_shut) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  ev->h.pid = me >> 32;
  ev->tid = (__u32)me;
  const struct ws_tokio_process *tokio = bpf_map_lookup_elem(&ws_tokio_processes, &ev->h.pid);
  if (!tokio) return 0;
  ev->task = ws_tokio_current(tokio, ws_thread_pointer());
  if (!ev->task || (ev->task >= tokio->driver_first && ev->task <= tokio->driver_last)) return 0;
  ev->how |= tokio->how;
  return tokio;
}

WS_INLINE int ws_tokio_end(struct ws_ev_tokio *ev) {
  ev->h.time = bpf_ktime_get_boot_ns();
  ws_emit(ev, sizeof(*ev));
  return 0;
}

WS_INLINE int ws_tokio_tell(__u64 header, __u16 role, __u16 how) {
  ws_trapped(WS_TRAP_TOKIO);
  struct ws_ev_tokio ev = {.h.type = WS_EV_TOKIO, .role = role, .how = how};
  const struct ws_tokio_process *tokio = ws_tokio_begin(&ev);
  if (!tokio) return 0;
  ev.other = ws_tokio_task(ws_tokio_id(tokio, header));
  if (!ev.other || ev.other == ev.task) return 0;
  return ws_tokio_end(&ev);
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

/* tokio::sync::oneshot::State::set_complete(&AtomicUsize): of Sender::send, whether or not anybody waits; also where
 * one is dropped. Within its loop, which goes round again where the receiver changed the word meanwhile: told twice. */
SEC("uprobe")
int tokio_replies(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_TOKIO);
  struct ws_ev_tokio ev = {.h.type = WS_EV_TOKIO, .role = WS_TOKIO_REPLIES, .other = ws_tokio_argument(regs, true)};
  if (!ws_tokio_begin(&ev)) return 0;
  *ws_tokio_oneshot(ev.other, ev.h.pid) = ws_tokio_oneshot_of(ev.other, ev.h.pid);
  return ws_tokio_end(&ev);
}

/* tokio::sync::oneshot::State::load(&AtomicUsize, Ordering): each time the receiver is polled. */
SEC("uprobe")
int tokio_gets(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_TOKIO);
  const __u64 cell = ws_tokio_argument(regs, true);
  const __u32 pid = bpf_get_current_pid_tgid() >> 32;
  __u64 *replied = ws_tokio_oneshot(cell, pid);
  if (*replied != ws_tokio_oneshot_of(cell, pid)) return 0;
  *replied = 0;
  /* A new one may lie where one did that nobody got. */
  if (!(ws_tokio_word(cell) & WS_TOKIO_VALUE_SENT)) return 0;
  struct ws_ev_tokio ev = {.h.type = WS_EV_TOKIO, .role = WS_TOKIO_GETS, .other = cell};
  return ws_tokio_begin(&ev) ? ws_tokio_end(&ev) : 0;
}

/* tokio::sync::batch_semaphore::Semaphore::add_permits_locked(&self, usize, MutexGuard<Waitlist>) */
SEC("uprobe")
int tokio_lets_go(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_TOKIO);
  struct ws_ev_tokio ev = {.h.type = WS_EV_TOKIO, .role = WS_TOKIO_LETS_GO, .other = ws_tokio_argument(regs, true)};
  return ws_tokio_begin(&ev) ? ws_tokio_end(&ev) : 0;
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
