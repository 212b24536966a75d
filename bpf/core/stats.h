/* Losses by reason, enum ws_stat. Set: whoever has to drop. Read: the agent, which reports differences, from mapped
 * memory: a map operation of a bpf(2) call, preempted, hides events from programs attached by perf (docs/adr/0014). */
#ifndef WIRESPAN_BPF_CORE_STATS_H
#define WIRESPAN_BPF_CORE_STATS_H

#include "bpf/core/kernel.h"

extern __u64 ws_stats[WS_STAT_COUNT];

WS_INLINE void ws_count(enum ws_stat stat) {
  __sync_fetch_and_add(&ws_stats[stat], 1);
}

#endif
