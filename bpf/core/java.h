/* Which virtual thread a carrier of a Java process runs (JDK 21 and newer), and in which context a thread of Vert.x's
 * works (any JDK).
 *
 * HotSpot keeps for each of its threads a JavaThread, and its address as a thread-specific value of the C library, in
 * struct pthread. It is believed once its OSThread names this very thread.
 *
 * While a virtual thread is mounted, the JavaThread lies inside of a continuation and has the virtual thread's number
 * as that of the owner of monitors (JDK 24); before, its _vthread names the java.lang.Thread, whose field tid holds the
 * number and whose eetop is empty, as no JavaThread belongs to it alone. Numbers are given out once in a process's
 * life.
 *
 * An event loop of Vert.x names the context it works in, one for each request, in a field of its thread's object. That
 * is known by its address, which holds until the next collection of garbage.
 *
 * key: process (tgid)   value: where its JVM keeps things
 * set: the agent, for JVMs it understood   cleared: the agent, at their exit */
#ifndef WIRESPAN_BPF_CORE_JAVA_H
#define WIRESPAN_BPF_CORE_JAVA_H

#include "bpf/core/load.h"
#include "bpf/core/scratch.h"
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

/* The number of the virtual thread that runs on the thread; 0: none does. Up to three reads of user memory. */
WS_INLINE __u64 ws_virtual_thread(const struct ws_java_process *java, __u64 self) {
  if (java->owner) return ws_user_word(self + java->continuation) ? ws_user_word(self + java->owner) : 0;
  if (!java->virtual_thread) return 0;
  /* OopHandle: a pointer to the reference. */
  const __u64 object = ws_user_word(ws_user_word(self + java->virtual_thread));
  return object && !ws_user_word(object + java->eetop) ? ws_user_word(object + java->number) : 0;
}

WS_INLINE __u64 ws_java_reference(const struct ws_java_process *java, __u64 at) {
  const __u64 reference = ws_user_word(at);
  if (java->reference_size != 4) return reference;
  const __u64 narrow = reference & 0xffffffff;
  return narrow ? java->reference_base + (narrow << java->reference_shift) : 0;
}

WS_INLINE __u64 ws_java_class(const struct ws_java_process *java, __u64 object) {
  return ws_user_word(object + java->class_at) >> java->class_shift & java->class_mask;
}

/* Which class a thread is of does not change. */
WS_INLINE __u8 ws_java_sort(const struct ws_java_process *java, __u64 object) {
  const __u64 named = ws_java_class(java, object);
  for (int i = 0; i < WS_JAVA_CLASSES; i++) {
    if (named && java->classes[i] == named) return WS_JAVA_IN_CONTEXTS;
  }
  return WS_JAVA_THREAD;
}

/* Whether the object is a channel of Netty's over that file descriptor. */
WS_INLINE bool ws_java_is_channel(const struct ws_java_process *java, __u64 object, __u32 fd) {
  const __u64 named = ws_java_class(java, object);
  if (!named) return false;
  for (int i = 0; i < WS_JAVA_CLASSES; i++) {
    if (named != java->channels[i]) continue;
    const __u64 socket = ws_java_reference(java, object + java->sockets[i]);
    return socket && (__u32)ws_user_word(socket + java->descriptors[i]) == fd;
  }
  return false;
}

/* The channel that is written to: Netty writes in a method of the channel, so it is named near the top of the stack.
 * Others may be, where nobody has written since. 0: none is. */
static __noinline __attribute__((unused)) __u64 ws_java_channel(const struct ws_java_process *java, __u64 stack,
                                                                __u32 fd) {
  struct ws_scratch *scratch = ws_scratch(WS_SENT);
  if (!java || !scratch || bpf_probe_read_user(scratch->stack, sizeof(scratch->stack), (void *)stack)) return 0;
  for (int i = 0; i < WS_STACK_WORDS; i++) {
    const __u64 word = scratch->stack[i];
    if (word < java->heap || word >= java->heap_end || word & ((1U << WS_OBJECT_ALIGNMENT) - 1)) continue;
    if (ws_java_is_channel(java, word, fd)) return word;
  }
  return 0;
}

/* Who asked for what is written to a channel now: the context of a client's newest stream, or of the request that a
 * server answers. Up to eleven reads. */
static __noinline __attribute__((unused)) __u64 ws_java_asker(const struct ws_java_process *java, __u64 channel) {
  if (!java || !channel) return 0;
  const __u64 tail = ws_java_reference(java, ws_java_reference(java, channel + java->pipeline) + java->tail);
  const __u64 handler = ws_java_reference(java, ws_java_reference(java, tail + java->previous) + java->handler);
  if (!handler || ws_java_class(java, handler) != java->handler_class) return 0;
  const __u64 connection = ws_java_reference(java, handler + java->connection);
  const __u64 named = connection ? ws_java_class(java, connection) : 0;
  if (!named) return 0;
  if (named == java->server_class) {
    const __u64 request = ws_java_reference(java, connection + java->answering);
    return request ? ws_java_reference(java, request + java->request_context) : 0;
  }
  if (named != java->client_class) return 0;
  const __u64 deque = ws_java_reference(java, connection + java->responses);
  const __u64 elements = deque ? ws_java_reference(java, deque + java->elements) : 0;
  if (!elements) return 0;
  const __u32 length = ws_user_word(elements + java->array - 4);
  const __u32 end = ws_user_word(deque + java->end);
  const __u64 last = end ? end - 1 : length - 1;
  if (last >= length) return 0;
  const __u64 stream = ws_java_reference(java, elements + java->array + last * java->reference_size);
  return stream ? ws_java_reference(java, stream + java->stream_context) : 0;
}

/* The context the thread works in, as a task; 0: in none. `stack`: its pointer where it writes to fd, else 0. Six reads
 * of user memory. */
static __noinline __attribute__((unused)) __u64 ws_java_context(struct ws_thread *thread,
                                                                const struct ws_java_process *java, __u64 self,
                                                                __u64 stack, __u32 fd) {
  if (!thread || !java) return 0;
  const __u64 object = ws_user_word(ws_user_word(self + java->thread_object));
  if (!object) return 0;
  if (thread->java_sort == WS_JAVA_UNKNOWN) thread->java_sort = ws_java_sort(java, object);
  if (thread->java_sort != WS_JAVA_IN_CONTEXTS) return 0;
  __u64 context = ws_java_reference(java, object + java->context);
  /* Written in the loop of the connection, for a request of another loop; or at the end of a read. */
  if (!context && stack && java->channels[0]) context = ws_java_asker(java, ws_java_channel(java, stack, fd));
  context >>= WS_OBJECT_ALIGNMENT;
  /* While objects are moved nobody knows which address is meant. */
  if (!context || context >> WS_OBJECT_BITS || (ws_user_word(java->collecting) & 0xff)) return 0;
  const __u64 collections = ws_user_word(java->collections) & ((1U << WS_COLLECTION_BITS) - 1);
  return WS_TASK_CONTEXT | WS_TASK_OBJECT | collections << WS_OBJECT_BITS | context;
}

/* Sets what the calling thread runs: a virtual thread, or its work in a context; nothing while it runs neither. */
static __noinline __attribute__((unused)) int ws_set_java_task(struct ws_thread *thread, __u32 pid, __u64 pointer,
                                                               __u64 stack, __u32 fd) {
  if (!thread || !pointer) return 0;
  thread->task = thread->parent_task = 0;
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  const __u64 self = java ? ws_java_thread(thread, java, pointer) : 0;
  if (!self) return 0;
  if (java->context && thread->java_sort != WS_JAVA_THREAD) {
    thread->task = ws_java_context(thread, java, self, stack, fd);
    if (thread->java_sort == WS_JAVA_IN_CONTEXTS) return 0;
  }
  const __u64 number = ws_virtual_thread(java, self);
  if (number && !(number >> 48)) thread->task = number | WS_TASK_CONTEXT;
  return 0;
}

#endif
