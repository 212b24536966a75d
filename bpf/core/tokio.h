/* Which task of Rust's tokio a thread polls. While it does, the task's Id stands in the thread-local CONTEXT; the
 * driver's and the scheduler's own work has none. Ids are given out once in a process's life.
 *
 * A waker names the task it wakes by its Header, whose table of functions (Vtable) says where behind it the Id lies. */
#ifndef WIRESPAN_BPF_CORE_TOKIO_H
#define WIRESPAN_BPF_CORE_TOKIO_H

#include "bpf/core/load.h"
#include "bpf/core/threads.h"

/* key: process (tgid)   value: where its tokio keeps things
 * set: the agent, for executables it understood   cleared: the agent, at their exit */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct ws_tokio_process);
} ws_tokio_processes __weak SEC(".maps");

/* key: process (tgid)   value: what was learned of where it names the running task
 * set, cleared: the agent, before and after it lets it be learned */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 256);
  __type(key, __u32);
  __type(value, struct ws_tokio_guess);
} ws_tokio_guesses __weak SEC(".maps");

/* Oneshots through which a value was sent that nobody was seen to get, by their address: the newest of those that share
 * a slot. Set: by who sends. Cleared: by who gets. One that is overwritten is not told to be got. */
enum { WS_TOKIO_REPLIED = 8192 };
extern __u64 ws_tokio_replied[WS_TOKIO_REPLIED];

/* struct State of tokio::sync::oneshot (1.0 to 1.54). */
enum { WS_TOKIO_VALUE_SENT = 2 };

WS_INLINE __u64 *ws_tokio_oneshot(__u64 cell, __u32 pid) {
  const __u64 mixed = (cell >> 4) * 0x9e3779b97f4a7c15ULL + pid;
  return &ws_tokio_replied[(mixed >> 40) & (WS_TOKIO_REPLIED - 1)];
}

/* Of one process: addresses have 47 bits. */
WS_INLINE __u64 ws_tokio_oneshot_of(__u64 cell, __u32 pid) {
  return cell ^ (__u64)pid << 44;
}

enum { WS_TOKIO_FAR = 65536 }; /* no Id lies farther behind its Header */

WS_INLINE __u64 ws_tokio_word(__u64 address) {
  __u64 word = 0;
  bpf_probe_read_user(&word, sizeof(word), (void *)address);
  return word;
}

/* 0: none that can be a task's. */
WS_INLINE __u64 ws_tokio_task(__u64 id) {
  return id && !(id >> 61) ? id | WS_TASK_TOKIO : 0;
}

WS_INLINE __u64 ws_tokio_current(const struct ws_tokio_process *tokio, __u64 pointer) {
  if (!tokio->current) return 0;
  __u64 words[2] = {}; /* 1 where it counts, and the Id */
  bpf_probe_read_user(words, sizeof(words), (void *)(pointer + tokio->current - sizeof(words[0])));
  return tokio->tagged && words[0] != 1 ? 0 : ws_tokio_task(words[1]);
}

WS_INLINE __u64 ws_tokio_id(const struct ws_tokio_process *tokio, __u64 header) {
  const __u64 offset = ws_tokio_word(ws_tokio_word(header + tokio->vtable) + tokio->id_offset);
  return offset && offset < WS_TOKIO_FAR ? ws_tokio_word(header + offset) : 0;
}

static __noinline __attribute__((unused)) int ws_set_tokio_task(struct ws_thread *thread, __u32 pid, __u64 pointer) {
  if (!thread || !pointer) return 0;
  thread->parent_task = 0;
  const struct ws_tokio_process *tokio = bpf_map_lookup_elem(&ws_tokio_processes, &pid);
  thread->task = tokio ? ws_tokio_current(tokio, pointer) : 0;
  return 0;
}

#endif
