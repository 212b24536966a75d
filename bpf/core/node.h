/* For whom a Node process works: the asynchronous context its JavaScript runs in.
 *
 * Node numbers everything it may come back to later (a timer, a tick, a request) and keeps, whether somebody asks for
 * it or not, the number of what runs, the number of what made that, and the last number given out, side by side in
 * memory (Environment::async_hooks). 0 runs: promises, which have no numbers unless somebody asks, or nothing of
 * JavaScript.
 *
 * key: process (tgid)   value: where its main thread's numbers lie
 * set: the agent, for processes it understood   cleared: the agent, at their exit */
#ifndef WIRESPAN_BPF_CORE_NODE_H
#define WIRESPAN_BPF_CORE_NODE_H

#include "bpf/core/gate.h"
#include "bpf/core/ring.h"
#include "bpf/core/threads.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct ws_node_process);
} ws_node_processes __weak SEC(".maps");

/* Three ids, one after the other as in struct ws_ev_async. */
enum { WS_ASYNC_IDS = 24 };

/* Told by the main thread only, which is the process's. Global, so that the verifier looks at it once. */
__weak __noinline int ws_tell_async(__u32 pid, __u32 tid, __u64 conn, __u32 where) {
  if (pid != tid || ws_gate_shut) return 0;
  struct ws_node_process *node = bpf_map_lookup_elem(&ws_node_processes, &pid);
  if (!node) return 0;
  struct ws_ev_async ev = {.h = {.type = WS_EV_ASYNC, .pid = pid}, .conn = conn, .where = where};
  if (bpf_probe_read_user(&ev.execution, WS_ASYNC_IDS, (void *)node->ids)) {
    ws_count(WS_STAT_ASYNC_FAULT);
    return 0;
  }
  if (where == WS_ASYNC_RESOLVES) {
    /* Another promise of the same context tells nothing new. */
    if (ev.execution == node->resolved_by) return 0;
    node->resolved_by = ev.execution;
  } else if (where == WS_ASYNC_BEGINS || where == WS_ASYNC_RECEIVES) {
    node->resolved_by = 0;
  } else if (where == WS_ASYNC_SETS && !ev.execution) {
    return 0; /* in a microtask, of which nothing more is known */
  }
  ev.sequence = node->sequence++;
  ev.h.time = ws_recent_ns();
  ws_emit(&ev, sizeof(ev));
  return 0;
}

#endif
