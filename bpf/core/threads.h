/* key: thread (tid)   value: what it is in the middle of
 * set: first call of interest by a thread of a target   cleared: thread exit
 * Being in it is being a target: the common path asks this map only. */
#ifndef WIRESPAN_BPF_CORE_THREADS_H
#define WIRESPAN_BPF_CORE_THREADS_H

#include "bpf/core/targets.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 131072);
  __type(key, __u32);
  __type(value, struct ws_thread);
} ws_threads __weak SEC(".maps");

static __noinline struct ws_thread *ws_thread_new(__u64 pid_tgid) {
  __u32 pid = pid_tgid >> 32, tid = (__u32)pid_tgid;
  struct ws_target *target = bpf_map_lookup_elem(&ws_targets, &pid);
  if (target ? target->flags & WS_TARGET_EXCLUDED : !ws_trace_all) return NULL;
  struct ws_thread fresh = {.capture = target ? target->capture : ws_capture_default};
  bpf_map_update_elem(&ws_threads, &tid, &fresh, BPF_NOEXIST);
  struct ws_thread *thread = bpf_map_lookup_elem(&ws_threads, &tid);
  if (!thread) ws_count(WS_STAT_THREAD_MAP_FULL);
  return thread;
}

/* NULL: not traced, and nothing but a load was spent on finding that out for most processes. */
WS_INLINE struct ws_thread *ws_thread_of_target(__u64 pid_tgid) {
  if (!ws_trace_all && !*ws_hint(pid_tgid >> 32)) return NULL;
  __u32 tid = (__u32)pid_tgid;
  struct ws_thread *thread = bpf_map_lookup_elem(&ws_threads, &tid);
  return thread ? thread : ws_thread_new(pid_tgid);
}

#endif
