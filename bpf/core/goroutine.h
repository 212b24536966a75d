/* Which goroutine a thread runs: g, in thread-local storage (amd64) or a register (arm64), names it.
 *
 * key: process (tgid)   value: where its runtime keeps things
 * set: the agent, for targets whose executable it understood   cleared: the agent, at their exit */
#ifndef WIRESPAN_BPF_CORE_GOROUTINE_H
#define WIRESPAN_BPF_CORE_GOROUTINE_H

#include "bpf/core/load.h"
#include "bpf/core/ring.h"
#include "bpf/core/scratch.h"
#include "bpf/core/threads.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct ws_go_process);
} ws_go_processes __weak SEC(".maps");

/* Changes with every change of ws_go_processes and of the maps of other runtimes: a thread looks itself up again. */
extern __u32 ws_runtime_epoch;

struct ws_goroutine {
  __u64 id;
  __u64 parent;
};

/* Proves that g is one before anything is believed of it: g.m.g0.m is g.m (m begins with g0). */
WS_INLINE bool ws_is_g(__u64 g, __u16 m_offset) {
  const __u64 m = ws_user_word(g + m_offset);
  return m && ws_user_word(ws_user_word(m) + m_offset) == m;
}

static __noinline __attribute__((unused)) int ws_go_ask(struct ws_thread *thread, __u32 pid) {
  if (!thread) return 0;
  const struct ws_go_process *go = bpf_map_lookup_elem(&ws_go_processes, &pid);
  thread->go_g = go ? go->g : 0;
  thread->go_id = go ? go->goid : 0;
  thread->go_parent = go ? go->parent : 0;
  thread->task = thread->parent_task = 0;
  return go ? go->m : 0;
}

/* Sets the goroutine the calling thread runs. m: offset of g.m, to prove g by, the first time; else 0. */
WS_INLINE void ws_set_goroutine(struct ws_thread *thread, int m, __u64 g) {
  if (m && g && !ws_is_g(g, m)) {
    ws_count(WS_STAT_GO_NOT_G);
    thread->go_g = 0;
    return;
  }
  const __u64 id = g ? ws_user_word(g + thread->go_id) : 0;
  if (id == thread->task) return;
  thread->task = id;
  thread->parent_task = id && thread->go_parent ? ws_user_word(g + thread->go_parent) : 0;
}

/* Which ids the process will give to new goroutines: one that has a lower one than its processor's is older. Out of
 * line: the common path of the I/O program stays short. Only the I/O program may call it (core/scratch.h). */
__weak __noinline int ws_tell_births(__u32 pid, __u64 task) {
  const struct ws_go_process *go = bpf_map_lookup_elem(&ws_go_processes, &pid);
  struct ws_scratch *scratch = ws_scratch(WS_RECEIVED);
  if (!go || !scratch || !go->processors) return 0;
  /* GOMAXPROCS was raised: there are processors we do not know. */
  if (ws_user_word(go->allp + 8) != go->processors) return 0;
  struct ws_ev_births *ev = &scratch->births;
  __u64 count = go->processors;
  if (count > WS_PROCESSORS) return 0;
  ev->h.type = WS_EV_BIRTHS;
  ev->h.pid = pid;
  ev->h.time = bpf_ktime_get_boot_ns();
  ev->task = task;
  ev->count = count;
  for (__u32 i = 0; i < WS_PROCESSORS && i < count; i++) {
    __u32 at = i;
    /* asm pins the index to one register: clang would step a pointer, whose bound the verifier does not see. */
    asm volatile("" : "+r"(at));
    if (at >= WS_PROCESSORS) break;
    __u64 run[2] = {}; /* goidcache, goidcacheend */
    bpf_probe_read_user(run, sizeof(run), (void *)(go->processor[at] + go->next));
    ev->next[at] = run[0] | (run[1] - run[0]) << 56;
  }
  __u64 size = sizeof(*ev) - sizeof(ev->next) + count * sizeof(ev->next[0]);
  asm volatile("" : "+r"(size)); /* as WS_CLAMP (core/payload.h) */
  if (size > sizeof(*ev)) return 0;
  ws_emit(ev, size);
  return 0;
}

#endif
