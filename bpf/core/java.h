/* Which virtual thread a carrier of a Java process runs (JDK 21 and newer).
 *
 * HotSpot keeps for each of its threads a JavaThread, and its address as a thread-specific value of the C library, in
 * struct pthread. It is believed once its OSThread names this very thread.
 *
 * While a virtual thread is mounted, the JavaThread lies inside of a continuation and has the virtual thread's number
 * as that of the owner of monitors (JDK 24); before, its _vthread names the java.lang.Thread, whose field tid holds the
 * number and whose eetop is empty, as no JavaThread belongs to it alone. Numbers are given out once in a process's
 * life.
 *
 * key: process (tgid)   value: where its JVM keeps things
 * set: the agent, for JVMs it understood   cleared: the agent, at their exit */
#ifndef WIRESPAN_BPF_CORE_JAVA_H
#define WIRESPAN_BPF_CORE_JAVA_H

#include "bpf/core/load.h"
#include "bpf/core/threads.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct ws_java_process);
} ws_java_processes __weak SEC(".maps");

enum {
  WS_MOST_JAVA_SEARCHES = 4, /* a thread's OSThread is there before it runs anything of Java's */
};

/* The thread's JavaThread, 0: it is none of Java's. */
WS_INLINE __u64 ws_java_thread(struct ws_thread *thread, const struct ws_java_process *java, __u64 pointer) {
  if (thread->state_at) return ws_user_word(pointer + thread->state_at);
  if (thread->state_searches >= WS_MOST_JAVA_SEARCHES) return 0;
  thread->state_searches++;
  const __u64 self = ws_user_word(pointer + java->self);
  const __u64 os_thread = self ? ws_user_word(self + java->os_thread) : 0;
  if (!os_thread || ws_user_word(os_thread + java->pthread_id) != pointer) return 0;
  thread->state_at = java->self;
  return self;
}

/* Sets the virtual thread the calling thread runs; nothing while it runs none. Three or four reads of user memory. */
static __noinline __attribute__((unused)) int ws_set_virtual_thread(struct ws_thread *thread, __u32 pid,
                                                                    __u64 pointer) {
  if (!thread || !pointer) return 0;
  thread->task = thread->parent_task = 0;
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  const __u64 self = java ? ws_java_thread(thread, java, pointer) : 0;
  if (!self) return 0;
  __u64 number = 0;
  if (java->owner) {
    if (ws_user_word(self + java->continuation)) number = ws_user_word(self + java->owner);
  } else {
    /* OopHandle: a pointer to the reference. */
    const __u64 object = ws_user_word(ws_user_word(self + java->virtual_thread));
    if (object && !ws_user_word(object + java->eetop)) number = ws_user_word(object + java->number);
  }
  if (number && !(number >> 48)) thread->task = number | WS_TASK_CONTEXT;
  return 0;
}

#endif
