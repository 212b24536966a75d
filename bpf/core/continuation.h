/* Whose answer, or which thread, waits for a response, in Java processes that block no thread in the read of it.
 *
 * What is to be done once the response is there must be reachable from the connection it comes on: from the channel,
 * over its key and the client's objects, through futures and what lambdas captured, to the exchange that is to be
 * answered, and so to that one's channel. The agent has learned which references lead there and which to what all
 * requests share (agent/capture/java_ways). Here they are followed, when the response's first bytes have been read: a
 * call that reaches the channel of exactly one connection that was accepted is that one's. Where a thread waits for the
 * call, a way ends there instead, at the object that names it (a wait node): the call is that thread's.
 *
 * key: process and class   value: the references to follow
 * set: the agent, as it learns   cleared: the agent, at the process's exit */
#ifndef WIRESPAN_BPF_CORE_CONTINUATION_H
#define WIRESPAN_BPF_CORE_CONTINUATION_H

#include "bpf/core/announce.h"
#include "bpf/core/futures.h"
#include "bpf/core/java.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16384);
  __type(key, struct ws_java_class_of);
  __type(value, struct ws_java_way);
} ws_java_ways __weak SEC(".maps");

enum { WS_WAY_SEEN_BITS = 9 };
_Static_assert(sizeof(((struct ws_scratch *)0)->bytes) >= sizeof(__u64) << WS_WAY_SEEN_BITS, "room for what was seen");

/* These are global so that the verifier looks at each once: a search goes on in its scratch memory only. */

/* Which sort of channel objects of the class are; WS_JAVA_CLASSES: none. A program may have the JDK's and Netty's own.
 */
WS_INLINE __u32 ws_way_sort(const struct ws_java_process *java, __u64 named) {
  if (!named) return WS_JAVA_CLASSES;
  if (named == java->way_classes[0]) return 0;
  return named == java->way_classes[1] ? 1 : WS_JAVA_CLASSES;
}

WS_INLINE __u32 ws_way_descriptor(const struct ws_java_process *java, __u64 channel, __u32 sort) {
  const __u16 in = sort ? java->way_sockets[1] : java->way_sockets[0];
  const __u64 socket = in ? ws_java_reference(java, channel + in) : channel;
  return socket ? (__u32)ws_user_word(socket + (sort ? java->way_descriptors[1] : java->way_descriptors[0])) : ~0U;
}

/* Begins at the channel the thread reads from: it reads in a method of that, so it is named near the top of the stack.
 * 0: it is not. */
__weak __noinline int ws_way_begin(__u32 pid, __u64 stack, __u32 fd) {
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  struct ws_scratch *scratch = ws_scratch(WS_RECEIVED);
  if (!java || !scratch || bpf_probe_read_user(scratch->stack, sizeof(scratch->stack), (void *)stack)) return 0;
  for (int i = 0; i < WS_STACK_WORDS; i++) {
    const __u64 word = scratch->stack[i];
    if (word < java->heap || word >= java->heap_end || word & ((1U << WS_OBJECT_ALIGNMENT) - 1)) continue;
    const __u32 sort = ws_way_sort(java, ws_java_class(java, word));
    if (sort == WS_JAVA_CLASSES || ws_way_descriptor(java, word, sort) != fd) continue;
    const struct ws_search begun = {.begin = word, .count = 1, .number = scratch->search.number + 1};
    scratch->search = begun;
    scratch->stack[0] = word;
    return 1;
  }
  return 0;
}

/* The channel of a connection was reached: it counts if that was accepted, and is the only one. */
__weak __noinline int ws_way_end(__u32 fd) {
  struct ws_scratch *scratch = ws_scratch(WS_RECEIVED);
  struct ws_socket s = {};
  if (!scratch || !ws_socket_of_fd((struct task_struct *)bpf_get_current_task(), fd, &s, WS_PROBE)) return 0;
  const struct ws_conn *conn = ws_conn_find((__u64)s.sk);
  if (!conn || (__u32)conn->id != s.inode || conn->side != WS_SIDE_PASSIVE) return 0;
  if (scratch->search.found && scratch->search.found != conn->id) scratch->search.fails = 1;
  scratch->search.found = conn->id;
  return 0;
}

/* Whether the search was there before: objects refer to each other in circles (Netty's channel and its pipeline). One
 * may be forgotten for another. `bytes` are not in use yet. */
WS_INLINE bool ws_way_seen(struct ws_scratch *scratch, __u64 object) {
  __u64 *seen = (__u64 *)scratch->bytes;
  const __u64 slot = object * 0x9e3779b97f4a7c15ULL >> (64 - WS_WAY_SEEN_BITS);
  const __u64 mark = object ^ (__u64)scratch->search.number << 48;
  if (seen[slot] == mark) return true;
  seen[slot] = mark;
  return false;
}

WS_INLINE void ws_way_push(struct ws_scratch *scratch, __u64 object) {
  const __u32 count = scratch->search.count;
  if (!object || object == scratch->search.begin || ws_way_seen(scratch, object)) return;
  if (count >= WS_WAY_PENDING) {
    scratch->search.fails = 1;
    return;
  }
  scratch->stack[count & (WS_WAY_PENDING - 1)] = object;
  scratch->search.count = count + 1;
}

/* Looks at one place. 0: there is none, or the search fails. Some three reads of user memory. */
__weak __noinline int ws_way_step(__u32 pid) {
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  struct ws_scratch *scratch = ws_scratch(WS_RECEIVED);
  if (!java || !scratch || !scratch->search.count || scratch->search.fails) return 0;
  const __u64 object = scratch->stack[--scratch->search.count & (WS_WAY_PENDING - 1)];
  const __u64 named = ws_java_class(java, object);
  const __u32 sort = ws_way_sort(java, named);
  if (sort != WS_JAVA_CLASSES && object != scratch->search.begin) {
    ws_way_end(ws_way_descriptor(java, object, sort));
    return 1;
  }
  const struct ws_java_class_of key = {.pid = pid, .named = (__u32)named};
  const struct ws_java_way *way = bpf_map_lookup_elem(&ws_java_ways, &key);
  if (!way) return 1;
  if (way->waits) {
    if (way->waits == WS_WAITS_FOR_TASK && !scratch->search.errand) return 1;
    /* It names nobody once the wait is over. */
    const __u64 waiter = ws_java_reference(java, object + way->fields[0]);
    if (waiter && scratch->search.waiter && scratch->search.waiter != waiter) scratch->search.fails = 1;
    if (waiter) scratch->search.waiter = waiter;
    return 1;
  }
  if (!way->is_array) {
    for (__u32 i = 0; i < WS_WAY_FIELDS && i < way->count; i++)
      ws_way_push(scratch, ws_java_reference(java, object + way->fields[i]));
    return 1;
  }
  const __u32 length = (__u32)ws_user_word(object + java->array - 4);
  if (length > WS_WAY_ELEMENTS) scratch->search.fails = 1;
  for (__u32 i = 0; i < WS_WAY_ELEMENTS && i < length; i++)
    ws_way_push(scratch, ws_java_reference(java, object + java->array + i * java->reference_size));
  return 1;
}

/* Goes on until no place is left. 1: it has found one end, of one sort. */
__weak __noinline int ws_way_search(__u32 pid, __u32 collections) {
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  struct ws_scratch *scratch = ws_scratch(WS_RECEIVED);
  if (!java || !scratch) return 0;
  for (int i = 0; i < WS_WAY_STEPS; i++) {
    if (!ws_way_step(pid)) break;
  }
  /* Objects may have been moved meanwhile. */
  return !scratch->search.count && !scratch->search.fails && !scratch->search.found != !scratch->search.waiter &&
         !(ws_user_word(java->collecting) & 0xff) && (__u32)ws_user_word(java->collections) == collections;
}

/* Tells whose answer waits for the response that was just read. Some 200 reads of user memory. `stack`: pointer of the
 * calling thread, which has read from fd. 1: a thread waits, its id and pointer are in the scratch memory. */
__weak __noinline int ws_tell_lead(__u32 pid, __u64 call, __u64 stack, __u32 fd) {
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  if (!java || !java->way_classes[0]) return 0;
  struct ws_scratch *scratch = ws_scratch(WS_RECEIVED);
  if (!scratch || ws_user_word(java->collecting) & 0xff) return 0;
  const __u32 collections = (__u32)ws_user_word(java->collections);
  if (!ws_way_begin(pid, stack, fd) || !ws_way_search(pid, collections)) return 0;
  struct ws_ev_leads ev = {.h = {.type = WS_EV_LEADS, .pid = pid, .time = bpf_ktime_get_boot_ns()},
                           .call = call,
                           .request = scratch->search.found};
  if (scratch->search.waiter) {
    const __u64 self = ws_user_word(scratch->search.waiter + java->way_handle);
    const __u64 os_thread = self ? ws_user_word(self + java->os_thread) : 0;
    if (os_thread)
      ev.tid = (__u32)ws_user_word(os_thread + java->thread_id);
    else
      ev.task = WS_TASK_CONTEXT | ws_user_word(scratch->search.waiter + java->way_number);
    scratch->search.waiter = os_thread ? ws_user_word(os_thread + java->pthread_id) : 0;
    scratch->search.waiter_tid = ev.tid;
  }
  ws_emit(&ev, sizeof(ev));
  return ev.tid != 0;
}

/* A thread that a search has found: its id, and its JavaThread's OSThread; 0: a virtual one. */
WS_INLINE __u64 ws_way_waiter(const struct ws_java_process *java, __u64 waiter, __u32 *tid) {
  const __u64 self = ws_user_word(waiter + java->way_handle);
  const __u64 os_thread = self ? ws_user_word(self + java->os_thread) : 0;
  *tid = os_thread ? (__u32)ws_user_word(os_thread + java->thread_id) : 0;
  return os_thread;
}

/* The same from what a pool's thread works on, which has read the response itself: what is to be done after it, or what
 * it is to do. As ws_tell_holds() has just told it, with those that wait for a future. */
__weak __noinline int ws_tell_errand(__u64 pid_tid, __u64 call) {
  const __u32 pid = pid_tid >> 32;
  const __u32 user = WS_HOLD_WORKS;
  const struct ws_java_process *java = bpf_map_lookup_elem(&ws_java_processes, &pid);
  const struct ws_hold *hold = bpf_map_lookup_elem(&ws_holds, &user);
  struct ws_scratch *scratch = ws_scratch(WS_RECEIVED);
  if (!java || !java->way_classes[0] || !hold || !hold->ev.works_on || !scratch) return 0;
  const struct ws_search begun = {
      .begin = hold->ev.works_on, .count = 1, .errand = 1, .number = scratch->search.number + 1};
  scratch->search = begun;
  scratch->stack[0] = begun.begin;
  if (!ws_way_search(pid, hold->ev.collections) || (scratch->search.waiter && hold->ev.waiters)) return 0;
  struct ws_ev_leads ev = {.h = {.type = WS_EV_LEADS, .pid = pid, .time = bpf_ktime_get_boot_ns()},
                           .call = call,
                           .request = scratch->search.found,
                           .worker = (__u32)pid_tid};
  if (scratch->search.waiter && (!java->way_handle || !ws_way_waiter(java, scratch->search.waiter, &ev.tid))) return 0;
  ws_emit(&ev, sizeof(ev));
  return 0;
}

/* Before ws_data(), which begins the turn. */
WS_INLINE void ws_tell_continuation(const struct ws_sight *sight, const struct ws_conn *conn, struct pt_regs *regs,
                                    const enum ws_how_to_load how) {
#if defined(__TARGET_ARCH_x86)
  if (sight->thread.runtime != WS_RUNTIME_JAVA || sight->direction != WS_RECEIVED || ws_gate_shut ||
      conn->direction != WS_SENT || conn->side != WS_SIDE_ACTIVE)
    return;
  if (ws_tell_lead(sight->pid, conn->id, WS_LOAD(how, regs, sp), (__u32)WS_LOAD(how, regs, di))) {
    /* That one may be a pool's, and work for another: its stack holds still. */
    const struct ws_scratch *scratch = ws_scratch(WS_RECEIVED);
    if (!scratch) return;
    const __u64 waiter = (__u64)sight->pid << 32 | scratch->search.waiter_tid;
    if (ws_tell_holds(waiter, conn->id, scratch->search.waiter)) ws_tell_errand(waiter, conn->id);
    return;
  }
  struct task_struct *me = (struct task_struct *)bpf_get_current_task();
  const __u64 pid_tid = bpf_get_current_pid_tgid();
  if (ws_tell_holds(pid_tid, conn->id, WS_LOAD(WS_PROBE, me, thread.fsbase))) ws_tell_errand(pid_tid, conn->id);
#endif
}

#endif
