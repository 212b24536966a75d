/* Where the I/O programs build their records: too large for the stack. One slot per CPU and program; a program never
 * interrupts itself on one CPU (preemption is off, or bpf_trace_run's `active` count skips it: docs/adr/0014), so a
 * slot has one user. An array by CPU number and not a per-CPU array, whose values may not pass 32 KiB. */
#ifndef WIRESPAN_BPF_CORE_SCRATCH_H
#define WIRESPAN_BPF_CORE_SCRATCH_H

#include "bpf/core/kernel.h"

enum { WS_STACK_WORDS = 192 }; /* of a thread of Java's: what writes to a socket lies within 1300 bytes (ADR 15) */
enum { WS_SEGMENTS = 8 };      /* of a vector call; what lies behind them is counted, not copied */

/* Where a walk along a vector of buffers is. */
struct ws_walk {
  struct iovec segments[WS_SEGMENTS];
  __u64 left; /* moved bytes not walked past */
  __u64 want; /* of them, to copy */
  __u64 end;  /* user address behind the last segment's moved bytes, and their number */
  __u64 last;
};

/* Where a search through a Java process's objects is (core/continuation.h). */
struct ws_search {
  __u64 begin;
  __u64 found;
  __u64 waiter; /* a java.lang.Thread, in the end its pointer as the C library sets it */
  __u32 waiter_tid;
  __u32 count; /* places yet to be looked at, in ws_scratch.stack */
  __u8 fails;
  __u8 errand;  /* it began at what a thread works on */
  __u16 number; /* of this search, on this CPU */
};

struct ws_scratch {
  __u64 records; /* told so far */
  struct ws_ev_data data;
  /* Twice what is ever copied: the verifier bounds offset and size apart, never their sum. */
  __u8 bytes[2 * WS_CALL_CAPTURE_MAX];
  struct ws_ev_births births;
  struct ws_ev_lineage lineage;
  struct ws_walk walk;
  __u64 stack[WS_STACK_WORDS]; /* of the calling thread */
  struct ws_search search;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WS_SCRATCHES); /* times possible CPUs: set by the agent */
  __type(key, __u32);
  __type(value, struct ws_scratch);
} ws_scratches __weak SEC(".maps");

/* `user`: enum ws_direction of the bytes being told; the program of the syscalls plan tells both. */
WS_INLINE struct ws_scratch *ws_scratch(__u32 user) {
  const __u32 cpu = bpf_get_smp_processor_id();
  __u32 slot = cpu * WS_SCRATCHES + (user & 1);
  return bpf_map_lookup_elem(&ws_scratches, &slot);
}

/* A connection being made known. */
struct ws_opening {
  struct ws_ev_opened event;
  struct ws_conn fresh;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, WS_OPENINGS); /* times possible CPUs: set by the agent */
  __type(key, __u32);
  __type(value, struct ws_opening);
} ws_openings __weak SEC(".maps");

enum { WS_OPENING_BY_CONNECT = 2 }; /* else as in ws_scratch() */

WS_INLINE struct ws_opening *ws_opening(__u32 user) {
  const __u32 cpu = bpf_get_smp_processor_id();
  __u32 slot = cpu * WS_OPENINGS + user;
  return bpf_map_lookup_elem(&ws_openings, &slot);
}

#endif
