/* The governor's hand on the kernel side: while the gate is shut nothing is told of data, and what moves is counted
 * instead. Set: the agent, at edges of sampling windows that all of the host's processes share, so that whoever is seen
 * is seen whole (docs/adr/0008). */
#ifndef WIRESPAN_BPF_CORE_GATE_H
#define WIRESPAN_BPF_CORE_GATE_H

#include "bpf/core/config.h"
#include "bpf/core/stats.h"

extern __u32 ws_gate_shut;
/* Wake-ups are not told, to save what they cost user space. */
extern __u32 ws_gate_no_wakeups;
/* Upper limit of ws_conn.capture, for turns that begin from now on. */
extern __u32 ws_gate_capture;

/* key: process and side   value: turns since the entry was made
 * set: I/O while the gate is shut   cleared: the agent, when the process is gone
 * Not per CPU, which would be 200 bytes for each CPU of the host: busy services have several processes. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 8192);
  __type(key, struct ws_turns_key);
  __type(value, struct ws_turns);
} ws_turns __weak SEC(".maps");

/* Not on the stack, of which a program and the functions it is in have 512 bytes together, up to 6.12. */
static const struct ws_turns ws_no_turns;

WS_INLINE struct ws_turns *ws_turns_of(__u32 pid, __u8 side) {
  struct ws_turns_key key = {.pid = pid, .side = side};
  struct ws_turns *turns = bpf_map_lookup_elem(&ws_turns, &key);
  if (turns) return turns;
  bpf_map_update_elem(&ws_turns, &key, &ws_no_turns, BPF_NOEXIST);
  turns = bpf_map_lookup_elem(&ws_turns, &key);
  if (!turns) ws_count(WS_STAT_TURNS_MAP_FULL);
  return turns;
}

/* Floor of the logarithm, at most WS_TURN_SLOTS - 1. Global: the verifier walks its branches once. */
__weak __noinline int ws_log2(__u64 n) {
  __u32 log = 0;
  if (n >> 32) return WS_TURN_SLOTS - 1;
  if (n >> 16) n >>= 16, log += 16;
  if (n >> 8) n >>= 8, log += 8;
  if (n >> 4) n >>= 4, log += 4;
  if (n >> 2) n >>= 2, log += 2;
  log += n >> 1;
  return log < WS_TURN_SLOTS ? log : WS_TURN_SLOTS - 1;
}

WS_INLINE __u32 ws_gate_captures(const struct ws_conn *conn) {
  return conn->capture < ws_gate_capture ? conn->capture : ws_gate_capture;
}

/* Instead of telling: a turn towards the server is a request, one back its answer. Exact where a request is answered
 * before the next is sent; pipelined and multiplexed requests count as one while they wait together. Out of line: the
 * common path stays short. */
static __noinline __attribute__((unused)) int ws_gate_count(struct ws_conn *conn, __u32 pid, __u64 now,
                                                            __u32 moved_direction) {
  if (!conn) return 0;
  const __u8 direction = moved_direction & 1;
  conn->pending = 0; /* not told any more */
  if (conn->direction == direction) return 0;
  const __u64 began = conn->direction > 1 ? 0 : conn->turn;
  conn->direction = direction;
  conn->left = ws_gate_captures(conn);
  conn->turn = now;
  conn->pid = pid;
  if (conn->side == WS_SIDE_UNKNOWN) return 0;
  struct ws_turns *turns = ws_turns_of(pid, conn->side);
  if (!turns) return 0;
  const bool asks = (conn->side == WS_SIDE_PASSIVE) == (direction == WS_RECEIVED);
  if (asks) {
    __sync_fetch_and_add(&turns->requests, 1);
  } else if (began && now > began) {
    const __u64 ns = now - began;
    __sync_fetch_and_add(&turns->answers, 1);
    __sync_fetch_and_add(&turns->answer_ns, ns);
    const __u32 slot = ws_log2(ns >> 10);
    if (slot < WS_TURN_SLOTS) __sync_fetch_and_add(&turns->slot[slot], 1);
  }
  return 0;
}

#endif
