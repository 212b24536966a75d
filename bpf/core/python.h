/* In which context a thread of a Python process runs: asyncio, trio, anyio and asgiref give every task and every piece
 * of work handed to a thread a contextvars.Context of its own, copied from the one it was created in.
 *
 * PyThreadState.context is the context entered last, also while the thread is in a system call and another one holds
 * the interpreter's lock. A context that a thread never entered is that of code outside of any task.
 *
 * Contexts come and go at addresses used again and again, so each is numbered by the time of its birth
 * (hooks/python.bpf.c). */
#ifndef WIRESPAN_BPF_CORE_PYTHON_H
#define WIRESPAN_BPF_CORE_PYTHON_H

#include "bpf/core/load.h"
#include "bpf/core/ring.h"
#include "bpf/core/scratch.h"
#include "bpf/core/threads.h"

/* key: process (tgid)   set: the agent, for interpreters it understood   cleared: the agent, at their exit */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct ws_python_process);
} ws_python_processes __weak SEC(".maps");

/* key: a context's address   value: who it is, ready to be told
 * set: its birth, or its first use when it is older than the agent   cleared: all at once by the agent, when it is
 * full; a dead context's entry stays until its address is used again */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, struct ws_python_context);
  __type(value, struct ws_ev_lineage);
} ws_python_contexts __weak SEC(".maps");

/* key: process (tgid)   set: the agent, while it looks for queues of work or follows some   cleared: the agent */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct ws_python_deques);
} ws_python_deques __weak SEC(".maps");

enum {
  WS_THREAD_KEYS = 32, /* values that lie in struct pthread itself (glibc: PTHREAD_KEY_2NDLEVEL_SIZE) */
  WS_THREAD_KEY_SIZE = 16,
  WS_THREAD_KEY_VALUE = 8,
  WS_MOST_SEARCHES = 16,
  WS_MOST_CHUNKS = 4,
};

/* The start of struct _PyContext, 3.7 to 3.14. */
struct ws_py_context {
  __u64 references;
  __u64 type;
  __u64 previous;
  __u64 variables;
  __u64 weak_references;
  __u32 entered;
};

/* The thread's PyThreadState, 0: it has none. Python keeps it as a thread-specific value of the C library (autoTSSkey):
 * the one that points to something which names this very thread. (_Py_tss_tstate is empty during a system call.) */
static __noinline __attribute__((unused)) __u64 ws_python_state(struct ws_thread *thread,
                                                                const struct ws_python_process *python, __u64 pointer) {
  if (!thread || !python || !pointer) return 0;
  if (thread->state_at) return ws_user_word(pointer + thread->state_at);
  if (thread->state_searches >= WS_MOST_SEARCHES) return 0;
  thread->state_searches++;
  for (__u32 key = 0; key < WS_THREAD_KEYS; key++) {
    const __u32 at = python->thread_keys + key * WS_THREAD_KEY_SIZE + WS_THREAD_KEY_VALUE;
    const __u64 state = ws_user_word(pointer + at);
    if (!state || ws_user_word(state + python->thread_id) != pointer) continue;
    thread->state_at = at;
    return state;
  }
  return 0;
}

/* A context that is older than the probes: nobody's child, as far as is known. */
static __noinline __attribute__((unused)) struct ws_ev_lineage *ws_python_met(const struct ws_python_context *key,
                                                                              __u64 born, struct ws_ev_lineage *room) {
  if (!key || !room) return NULL;
  __builtin_memset(room, 0, sizeof(*room));
  room->h.type = WS_EV_LINEAGE;
  room->h.pid = key->pid;
  room->task = born | WS_TASK_CONTEXT;
  if (bpf_map_update_elem(&ws_python_contexts, key, room, BPF_ANY)) ws_count(WS_STAT_CONTEXT_MAP_FULL);
  return bpf_map_lookup_elem(&ws_python_contexts, key);
}

/* Greenlets have the interpreter's stack each for itself: its first piece lives as long as the greenlet. */
WS_INLINE __u64 ws_python_greenlet(__u64 state, const struct ws_python_process *python) {
  __u64 chunk = ws_user_word(state + python->data_stack);
  for (int i = 0; chunk && i < WS_MOST_CHUNKS; i++) {
    const __u64 previous = ws_user_word(chunk); /* struct _PyStackChunk begins with it */
    if (!previous) return chunk | WS_TASK_CONTEXT;
    chunk = previous;
  }
  return 0;
}

/* Before the first of what is done in a context. */
WS_INLINE void ws_python_tell(struct ws_ev_lineage *lineage) {
  if (lineage->told || !lineage->count) return;
  lineage->told = 1;
  lineage->h.time = bpf_ktime_get_boot_ns();
  ws_emit(lineage, sizeof(*lineage));
}

/* The context that the thread entered last and is in; 0 as its address: none. */
WS_INLINE struct ws_python_context ws_python_entered(__u64 state, const struct ws_python_process *python, __u32 pid) {
  struct ws_python_context key = {
      .pid = pid, .generation = python->generation, .address = ws_user_word(state + python->context)};
  struct ws_py_context context = {};
  if (!key.address) return key;
  bpf_probe_read_user(&context, sizeof(context), (void *)key.address);
  if (context.type != python->context_type || context.entered != 1) key.address = 0;
  return key;
}

/* Sets the context the calling thread runs in. Three reads of user memory and a look-up. Only the I/O programs may call
 * it (core/scratch.h); direction: of the bytes being told. */
static __noinline __attribute__((unused)) int ws_set_context(struct ws_thread *thread, __u32 pid, __u64 pointer,
                                                             __u32 direction) {
  if (!thread) return 0;
  thread->task = thread->parent_task = 0;
  const struct ws_python_process *python = bpf_map_lookup_elem(&ws_python_processes, &pid);
  if (!python) return 0;
  const __u64 state = ws_python_state(thread, python, pointer);
  if (!state) return 0;
  if (python->data_stack) {
    thread->task = ws_python_greenlet(state, python);
    return 0;
  }
  const struct ws_python_context key = ws_python_entered(state, python, pid);
  if (!key.address) return 0;
  struct ws_ev_lineage *lineage = bpf_map_lookup_elem(&ws_python_contexts, &key);
  if (!lineage) {
    struct ws_scratch *scratch = ws_scratch(direction);
    if (!scratch) return 0;
    lineage = ws_python_met(&key, bpf_ktime_get_boot_ns(), &scratch->lineage);
    if (!lineage) return 0;
  }
  thread->task = lineage->task;
  thread->parent_task = lineage->ancestors[0];
  ws_python_tell(lineage);
  return 0;
}

#endif
