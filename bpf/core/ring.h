/* The way out: one ring buffer for all CPUs, so that order is causal within a thread and across a wake-up.
 * Size is set by the agent. */
#ifndef WIRESPAN_BPF_CORE_RING_H
#define WIRESPAN_BPF_CORE_RING_H

#include "bpf/core/config.h"
#include "bpf/core/stats.h"

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 8 * 1024 * 1024);
} ws_ring __weak SEC(".maps");

/* The reader comes every few milliseconds by itself; an interrupt to wake it is paid only when much is waiting. */
WS_INLINE bool ws_emit_flags(void *record, __u64 size, __u64 flags) {
  if (bpf_ringbuf_output(&ws_ring, record, size, flags)) {
    ws_count(WS_STAT_RINGBUF_FULL);
    return false;
  }
  return true;
}

WS_INLINE bool ws_emit(void *record, __u64 size) {
  /* Only the record that crosses the mark wakes: behind it the reader is already on its way. */
  const __u64 waiting = bpf_ringbuf_query(&ws_ring, BPF_RB_AVAIL_DATA);
  const bool crosses = waiting < ws_wake_bytes && waiting + size >= ws_wake_bytes;
  return ws_emit_flags(record, size, crosses ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

#endif
