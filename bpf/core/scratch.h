/* Where the I/O program builds its records: too large for the stack. One slot per CPU; only the I/O program uses it,
 * and a program never interrupts itself on one CPU (bpf_trace_run's `active` count), so a slot has one user. An array
 * by CPU number and not a per-CPU array, whose values may not pass 32 KiB. */
#ifndef WIRESPAN_BPF_CORE_SCRATCH_H
#define WIRESPAN_BPF_CORE_SCRATCH_H

#include "bpf/core/kernel.h"

enum { WS_SEGMENTS = 8 }; /* of a vector call; what lies behind them is counted, not copied */

/* Where a walk along a vector of buffers is. */
struct ws_walk {
  struct iovec segments[WS_SEGMENTS];
  __u64 left; /* moved bytes not walked past */
  __u64 want; /* of them, to copy */
  __u64 end;  /* user address behind the last segment's moved bytes, and their number */
  __u64 last;
};

struct ws_scratch {
  __u64 records; /* told so far */
  struct ws_ev_data data;
  /* Twice what is ever copied: the verifier bounds offset and size apart, never their sum. */
  __u8 bytes[2 * WS_CALL_CAPTURE_MAX];
  struct ws_ev_opened opened;
  struct ws_conn fresh; /* a connection being made */
  struct ws_ev_births births;
  struct ws_ev_lineage lineage;
  struct ws_walk walk;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1); /* possible CPUs: set by the agent */
  __type(key, __u32);
  __type(value, struct ws_scratch);
} ws_scratches __weak SEC(".maps");

WS_INLINE struct ws_scratch *ws_scratch(void) {
  __u32 cpu = bpf_get_smp_processor_id();
  return bpf_map_lookup_elem(&ws_scratches, &cpu);
}

#endif
