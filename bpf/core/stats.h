/* Losses by reason, per CPU. Set: whoever has to drop. Read: the agent, which reports differences. */
#ifndef WIRESPAN_BPF_CORE_STATS_H
#define WIRESPAN_BPF_CORE_STATS_H

#include "bpf/core/kernel.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, WS_STAT_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} ws_stats __weak SEC(".maps");

WS_INLINE void ws_count(enum ws_stat stat) {
  __u32 key = stat;
  __u64 *n = bpf_map_lookup_elem(&ws_stats, &key);
  if (n) __sync_fetch_and_add(n, 1); /* uprobes, and since 7.0 raw tracepoints, may be preempted */
}

#endif
