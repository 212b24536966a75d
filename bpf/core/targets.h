/* key: process (tgid)   value: how to trace it
 * set: the agent (selectors), fork of a target   cleared: process exit, the agent */
#ifndef WIRESPAN_BPF_CORE_TARGETS_H
#define WIRESPAN_BPF_CORE_TARGETS_H

#include "bpf/core/config.h"
#include "bpf/core/stats.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 32768);
  __type(key, __u32);
  __type(value, struct ws_target);
} ws_targets __weak SEC(".maps");

/* How many targets share this hint; the agent adds to it as well. */
extern __u32 ws_hints[WS_HINTS];

WS_INLINE __u32 *ws_hint(__u32 pid) {
  return &ws_hints[pid & (WS_HINTS - 1)];
}

/* NULL: not traced. */
WS_INLINE struct ws_target *ws_target_of(__u32 pid) {
  if (!ws_trace_all && !*ws_hint(pid)) return NULL;
  struct ws_target *target = bpf_map_lookup_elem(&ws_targets, &pid);
  if (target && target->flags & WS_TARGET_EXCLUDED) return NULL;
  return target;
}

WS_INLINE void ws_target_add(__u32 pid, const struct ws_target *like) {
  if (bpf_map_update_elem(&ws_targets, &pid, like, BPF_NOEXIST) == 0)
    __sync_fetch_and_add(ws_hint(pid), 1);
  else if (!bpf_map_lookup_elem(&ws_targets, &pid))
    ws_count(WS_STAT_TARGET_MAP_FULL);
}

WS_INLINE void ws_target_remove(__u32 pid) {
  if (bpf_map_delete_elem(&ws_targets, &pid) == 0) __sync_fetch_and_add(ws_hint(pid), -1);
}

#endif
