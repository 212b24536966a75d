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

WS_INLINE bool ws_emit_flags(void *record, __u64 size, __u64 flags) {
  if (bpf_ringbuf_output(&ws_ring, record, size, flags)) {
    ws_count(WS_STAT_RINGBUF_FULL);
    return false;
  }
  return true;
}

/* While there is something to read, the reader comes every few milliseconds by itself: the interrupt to wake it is paid
 * for the first record after a pause, and when the ring fills faster. */
WS_INLINE __u64 ws_wake_dozing(void) {
  if (!ws_reader_dozes) return BPF_RB_NO_WAKEUP;
  ws_reader_dozes = 0;
  return BPF_RB_FORCE_WAKEUP;
}

WS_INLINE bool ws_emit(void *record, __u64 size) {
  return ws_emit_flags(record, size, ws_wake_dozing());
}

/* The same from where most records come: every eighth looks at how much waits, and wakes when that has just passed the
 * mark; past it the reader is on its way. */
WS_INLINE bool ws_emit_often(void *record, __u64 size, __u32 nth) {
  __u64 flags = ws_wake_dozing();
  if (!(nth & 7)) {
    const __u64 waiting = bpf_ringbuf_query(&ws_ring, BPF_RB_AVAIL_DATA);
    if (waiting >= ws_wake_bytes && waiting < ws_wake_bytes + 16384) flags = BPF_RB_FORCE_WAKEUP;
  }
  return ws_emit_flags(record, size, flags);
}

#endif
