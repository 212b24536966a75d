/* Which future a thread of a Java process works on, and which ones a thread that waits holds: what tells for whom a
 * pool's thread makes a call, though nothing tells when it took its task (docs/adr/0022).
 *
 * A task that runs is named on its thread's stack, and so is what a thread waits for: the futures it was given, or the
 * list of them. Stacks are read word by word, from the last frame of Java's that HotSpot names in the JavaThread: of a
 * call's thread when the response's first bytes have been read, of a thread that waits for a future when it is woken.
 * Objects are known by their addresses, which hold until the next collection of garbage, so their number is told as
 * well. Of the futures on the first one's stack that are not done, the one that lies deepest is what the thread works
 * on: others may be left there from former work. What is to be done when it is done is followed to the threads that
 * wait for that.
 *
 * key: process and class   value: what to make of its objects
 * set: the agent, for processes whose threads have others make their calls   cleared: the agent */
#ifndef WIRESPAN_BPF_CORE_FUTURES_H
#define WIRESPAN_BPF_CORE_FUTURES_H

#include "bpf/core/java.h"
#include "bpf/core/ring.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16384);
  __type(key, struct ws_java_class_of);
  __type(value, struct ws_java_kind);
} ws_java_kinds __weak SEC(".maps");

enum {
  WS_HOLD_WORDS = 128, /* of the stack, read at once */
  /* Of these: a pool's frames lie at the bottom of the stack, what a thread waits for at its top. */
  WS_HOLD_BOTTOM = 3,
  WS_HOLD_TOP = 3,
  WS_HOLD_PENDING = 64, /* objects yet to be looked at */
  WS_HOLD_STEPS = 96,
  WS_HOLD_SEEN_BITS = 6,
  /* A thread's stack begins with the C library's record of it and the frames of HotSpot's own. */
  WS_HOLD_BELOW = 4096,
};

/* Where a look is. One for each of the two who look, as one may come in the middle of the other's. */
enum ws_hold_user { WS_HOLD_WORKS, WS_HOLD_WAITS, WS_HOLD_USERS };

struct ws_hold {
  __u64 words[WS_HOLD_WORDS];
  __u64 pending[WS_HOLD_PENDING];
  __u64 seen[1 << WS_HOLD_SEEN_BITS];
  __u32 count;
  __u32 number; /* of this look */
  __u64 task;
  struct ws_ev_holds ev;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, WS_HOLD_USERS);
  __type(key, __u32);
  __type(value, struct ws_hold);
} ws_holds __weak SEC(".maps");

WS_INLINE bool ws_hold_met(struct ws_hold *hold, __u64 object) {
  const __u64 slot = object * 0x9e3779b97f4a7c15ULL >> (64 - WS_HOLD_SEEN_BITS);
  const __u64 mark = object ^ (__u64)hold->number << 48;
  if (hold->seen[slot] == mark) return true;
  hold->seen[slot] = mark;
  return false;
}

/* What finds no room stays unknown: a future more or less. */
WS_INLINE void ws_hold_push(struct ws_hold *hold, __u64 object) {
  if (!object || hold->count >= WS_HOLD_PENDING || ws_hold_met(hold, object)) return;
  hold->pending[hold->count & (WS_HOLD_PENDING - 1)] = object;
  hold->count++;
}

WS_INLINE const struct ws_java_kind *ws_hold_kind(const struct ws_java_process *java, __u32 pid, __u64 object) {
  const struct ws_java_class_of of = {.pid = pid, .named = (__u32)ws_java_class(java, object)};
  return bpf_map_lookup_elem(&ws_java_kinds, &of);
}

WS_INLINE bool ws_hold_done(const struct ws_java_kind *kind, __u64 object) {
  return kind->done && (__u32)ws_user_word(object + kind->done);
}

WS_INLINE bool ws_hold_may_be(const struct ws_java_process *java, __u64 word) {
  return word >= java->heap && word < java->heap_end && !(word & ((1U << WS_OBJECT_ALIGNMENT) - 1));
}

/* Looks at a part of a stack for what its thread works on: the deepest future that is not done. 1: found. Else it may
 * be a task that was handed over without one: the deepest such as well. These are
 * global so that the verifier looks at each once: a look goes on in its own memory only. */
__weak __noinline int ws_hold_works_on(__u32 pid, __u32 user, __u64 at) {
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  struct ws_hold *hold = bpf_map_lookup_elem(&ws_holds, &user);
  if (!java || !hold || bpf_probe_read_user(hold->words, sizeof(hold->words), (void *)at)) return 0;
  for (int i = WS_HOLD_WORDS - 1; i >= 0; i--) {
    const __u64 word = hold->words[i];
    if (!ws_hold_may_be(java, word)) continue;
    const struct ws_java_kind *kind = ws_hold_kind(java, pid, word);
    if (!kind) continue;
    if (kind->is == WS_JAVA_TASK && !hold->task) hold->task = word;
    if (kind->is != WS_JAVA_FUTURE || ws_hold_done(kind, word)) continue;
    hold->ev.works_on = word;
    return 1;
  }
  return 0;
}

/* The same for all that it holds. */
__weak __noinline int ws_hold_look(__u32 pid, __u32 user, __u64 at) {
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  struct ws_hold *hold = bpf_map_lookup_elem(&ws_holds, &user);
  if (!java || !hold || bpf_probe_read_user(hold->words, sizeof(hold->words), (void *)at)) return 0;
  for (int i = 0; i < WS_HOLD_WORDS; i++) {
    const __u64 word = hold->words[i];
    if (!ws_hold_may_be(java, word)) continue;
    const struct ws_java_kind *kind = ws_hold_kind(java, pid, word);
    if (kind && (kind->is == WS_JAVA_FUTURE || kind->is == WS_JAVA_HOLDER || kind->is == WS_JAVA_ELEMENTS))
      ws_hold_push(hold, word);
  }
  return 0;
}

/* Whether a thread that is parked waits for a future: it says what for. */
WS_INLINE bool ws_hold_waits(const struct ws_java_process *java, __u32 pid, __u64 self) {
  const __u64 thread = ws_user_word(ws_user_word(self + java->thread_object));
  const __u64 blocker = thread ? ws_java_reference(java, thread + java->blocker) : 0;
  const struct ws_java_kind *kind = blocker ? ws_hold_kind(java, pid, blocker) : NULL;
  return kind && (kind->is == WS_JAVA_FUTURE || kind->is == WS_JAVA_FOLLOWS);
}

/* A thread that waits, by its java.lang.Thread. */
WS_INLINE void ws_hold_waiter(const struct ws_java_process *java, struct ws_hold *hold, __u64 thread, __u16 eetop) {
  const __u64 self = ws_user_word(thread + eetop);
  const __u64 os_thread = self ? ws_user_word(self + java->os_thread) : 0;
  const __u32 tid = os_thread ? (__u32)ws_user_word(os_thread + java->thread_id) : 0;
  if (!tid || hold->ev.waiters >= WS_HOLD_WAITERS) return;
  hold->ev.waiting[hold->ev.waiters & (WS_HOLD_WAITERS - 1)] = tid;
  hold->ev.waiters++;
}

/* Looks at one object. 0: there is none left. */
__weak __noinline int ws_hold_step(__u32 pid, __u32 user) {
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  struct ws_hold *hold = bpf_map_lookup_elem(&ws_holds, &user);
  if (!java || !hold || !hold->count) return 0;
  const __u64 object = hold->pending[--hold->count & (WS_HOLD_PENDING - 1)];
  const struct ws_java_kind *kind = ws_hold_kind(java, pid, object);
  if (!kind) return 1;
  if (kind->is == WS_JAVA_WAITER) {
    if (user == WS_HOLD_WORKS) ws_hold_waiter(java, hold, object, kind->fields[0]);
    return 1;
  }
  if (kind->is == WS_JAVA_ELEMENTS) {
    const __u32 length = (__u32)ws_user_word(object + java->array - 4);
    for (__u32 i = 0; i < WS_WAY_ELEMENTS && i < length; i++)
      ws_hold_push(hold, ws_java_reference(java, object + java->array + i * java->reference_size));
    return 1;
  }
  const bool told = kind->is == WS_JAVA_FUTURE || kind->is == WS_JAVA_TASK || kind->is == WS_JAVA_RESULTS;
  if (told && hold->ev.count < WS_HOLD_MOST) {
    const __u32 at = hold->ev.count & (WS_HOLD_MOST - 1);
    hold->ev.futures[at] = object;
    hold->ev.count++;
  }
  for (__u32 i = 0; i < WS_WAY_FIELDS && i < kind->count; i++)
    ws_hold_push(hold, ws_java_reference(java, object + kind->fields[i]));
  return 1;
}

/* What a thread works on whose response was read on `conn`, or what one holds that waits (0). `pointer`: the thread's,
 * as the C library sets it. 1: it was told. */
__weak __noinline int ws_tell_holds(__u64 pid_tid, __u64 conn, __u64 pointer) {
  const __u32 pid = pid_tid >> 32;
  const __u32 user = conn ? WS_HOLD_WORKS : WS_HOLD_WAITS;
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  struct ws_hold *hold = bpf_map_lookup_elem(&ws_holds, &user);
  if (!java || !java->last_frame || !hold || ws_user_word(java->collecting) & 0xff) return 0;
  const __u32 collections = (__u32)ws_user_word(java->collections);
  const __u64 self = ws_user_word(pointer + java->self);
  const __u64 os_thread = self ? ws_user_word(self + java->os_thread) : 0;
  if (!os_thread || ws_user_word(os_thread + java->pthread_id) != pointer) return 0;
  if (!conn && !ws_hold_waits(java, pid, self)) return 0;
  const __u64 top = ws_user_word(self + java->last_frame);
  const __u64 end = ws_user_word(self + java->stack_base) - WS_HOLD_BELOW;
  if (!top || top >= end) return 0;
  hold->count = 0;
  hold->number++;
  const struct ws_ev_holds none = {.h = {.type = WS_EV_HOLDS, .pid = pid, .time = bpf_ktime_get_boot_ns()},
                                   .conn = conn,
                                   .tid = (__u32)pid_tid,
                                   .collections = collections};
  hold->ev = none;
  hold->task = 0;
  __u64 at = end;
  for (int i = 0; i < WS_HOLD_BOTTOM && at > top; i++) {
    at -= sizeof(hold->words);
    if (ws_hold_works_on(pid, user, at)) break;
  }
  if (conn && !hold->ev.works_on) hold->ev.works_on = hold->task;
  if (conn) ws_hold_push(hold, hold->ev.works_on);
  at = top;
  for (int i = 0; i < WS_HOLD_TOP && !conn && at < end; i++, at += sizeof(hold->words)) ws_hold_look(pid, user, at);
  for (int i = 0; i < WS_HOLD_STEPS; i++) {
    if (!ws_hold_step(pid, user)) break;
  }
  /* Objects may have been moved meanwhile. */
  if (!hold->ev.count || ws_user_word(java->collecting) & 0xff || (__u32)ws_user_word(java->collections) != collections)
    return 0;
  ws_emit(&hold->ev, sizeof(hold->ev));
  return 1;
}

#endif
