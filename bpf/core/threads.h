/* What a thread of a target is in the middle of. Being known here is being a target: the common path asks nothing else.
 *
 * A thread lives in the slot its id picks, found by a load (2 ns here, where a hash map takes 29); the few whose slot
 * is taken live in the hash map.   key: thread (tid) set: first call of interest by a thread of a target   cleared:
 * thread exit */
#ifndef WIRESPAN_BPF_CORE_THREADS_H
#define WIRESPAN_BPF_CORE_THREADS_H

#include "bpf/core/targets.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, __u32);
  __type(value, struct ws_thread);
} ws_threads __weak SEC(".maps");

extern struct ws_thread ws_slots[WS_THREAD_SLOTS];

WS_INLINE struct ws_thread *ws_slot(__u32 tid) {
  return &ws_slots[tid & (WS_THREAD_SLOTS - 1)];
}

/* NULL: not met yet, or not traced. */
WS_INLINE struct ws_thread *ws_thread_met(__u32 tid) {
  struct ws_thread *slot = ws_slot(tid);
  return slot->tid == tid ? slot : bpf_map_lookup_elem(&ws_threads, &tid);
}

static __noinline struct ws_thread *ws_thread_new(__u32 pid, __u32 tid) {
  struct ws_thread *thread = bpf_map_lookup_elem(&ws_threads, &tid);
  if (thread) return thread;
  struct ws_target *target = bpf_map_lookup_elem(&ws_targets, &pid);
  if (target ? target->flags & WS_TARGET_EXCLUDED : !ws_trace_all) return NULL;
  struct ws_thread fresh = {.tid = tid, .capture = target ? target->capture : ws_capture_default};
  struct ws_thread *slot = ws_slot(tid);
  if (!slot->tid) {
    /* Two threads may take the slot at once; who loses it comes here again and goes to the map. */
    *slot = fresh;
    return slot;
  }
  bpf_map_update_elem(&ws_threads, &tid, &fresh, BPF_NOEXIST);
  thread = bpf_map_lookup_elem(&ws_threads, &tid);
  if (!thread) ws_count(WS_STAT_THREAD_MAP_FULL);
  return thread;
}

/* NULL: not traced, and for most processes two loads found that out. */
WS_INLINE struct ws_thread *ws_thread_of_target(__u32 pid, __u32 tid) {
  struct ws_thread *slot = ws_slot(tid);
  if (slot->tid == tid) return slot;
  if (!ws_trace_all && !*ws_hint(pid)) return NULL;
  return ws_thread_new(pid, tid);
}

/* Out of line: only when the ring is full, and once after. */
__weak __noinline int ws_thread_missed(__u32 tid, __u32 missed) {
  struct ws_thread *thread = ws_thread_met(tid);
  if (thread) thread->missed = missed;
  return 0;
}

/* The thread's turn of its event loop: even while nothing but what epoll_wait returned can be running, odd from the
 * moment on at which a timer may be. */
WS_INLINE __u32 ws_turn(const struct ws_thread *thread, __u64 now) {
  return thread->loop + (now >= thread->wait_until);
}

extern __u64 ws_tick_jiffies;
extern __u64 ws_tick_ns;

/* At most a tick (10 ms) ago, for 2 ns instead of the 80 of reading the clock. */
WS_INLINE __u64 ws_recent_ns(void) {
  const __u64 jiffies = bpf_jiffies64();
  if (ws_tick_jiffies == jiffies) return ws_tick_ns;
  const __u64 now = bpf_ktime_get_boot_ns();
  ws_tick_ns = now;
  asm volatile("" ::: "memory"); /* whoever sees the new tick sees its time */
  ws_tick_jiffies = jiffies;
  return now;
}

/* A thread begins to wait for events, at most so many milliseconds; negative: for as long as it takes. Loops cut their
 * clock to whole milliseconds, so a timer may be due up to one earlier. */
WS_INLINE void ws_thread_waits(struct ws_thread *thread, __s32 timeout_ms) {
  const __u64 ns = 1000000ULL;
  if (timeout_ms < 0)
    thread->wait_until = ~0ULL;
  else if (timeout_ms <= 1)
    thread->wait_until = 0;
  else
    thread->wait_until = (timeout_ms < 50 ? bpf_ktime_get_boot_ns() : ws_recent_ns()) + (timeout_ms - 1) * ns;
}

WS_INLINE void ws_thread_gone(__u32 tid) {
  struct ws_thread *slot = ws_slot(tid);
  if (slot->tid == tid)
    slot->tid = 0;
  else
    bpf_map_delete_elem(&ws_threads, &tid);
}

#endif
