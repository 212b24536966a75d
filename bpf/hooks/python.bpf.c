/* Births of Python contexts: the instructions by which the functions that make one return (capture/returns), as only
 * there the new address is known; the interpreter's stack does not move while they run.
 *
 * And work that threads hand to a pool's: what goes into and comes out of a _queue.SimpleQueue (ADR 20), told of pieces
 * of work of concurrent.futures only. Who takes one does nothing else until it comes back. And what goes into and comes
 * out of deques, of which queue.Queue and programs' own queues are made: of those the agent has found to carry work. */
#include "bpf/core/python.h"

#include "bpf/core/gate.h"
#include "bpf/core/registers.h"
#include "bpf/core/traps.h"

#if defined(__TARGET_ARCH_x86)
WS_INLINE __u64 ws_returned(struct pt_regs *regs) {
  return regs->ax;
}
WS_INLINE __u64 ws_first_argument(struct pt_regs *regs) {
  return regs->di;
}
WS_INLINE __u64 ws_second_argument(struct pt_regs *regs) {
  return regs->si;
}
#else
WS_INLINE __u64 ws_returned(struct pt_regs *regs) {
  return 0;
}
WS_INLINE __u64 ws_first_argument(struct pt_regs *regs) {
  return 0;
}
WS_INLINE __u64 ws_second_argument(struct pt_regs *regs) {
  return 0;
}
#endif

/* The context it was born in, and that one's own ancestors. */
WS_INLINE void ws_inherit(struct ws_ev_lineage *fresh, const struct ws_ev_lineage *parent) {
  fresh->ancestors[0] = parent->task;
  for (int i = 1; i < WS_ANCESTORS; i++) fresh->ancestors[i] = parent->ancestors[i - 1];
  fresh->count = parent->count < WS_ANCESTORS ? parent->count + 1 : WS_ANCESTORS;
}

SEC("uprobe")
int python_born(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_PYTHON);
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 pid = me >> 32;
  const struct ws_python_process *python = bpf_map_lookup_elem(&ws_python_processes, &pid);
  struct ws_thread *thread = python ? ws_thread_of_target(pid, (__u32)me) : NULL;
  if (!thread || python->data_stack) return 0;
  const __u64 state = ws_python_state(thread, python, ws_thread_pointer());
  struct ws_python_context born = {.pid = pid, .generation = python->generation, .address = ws_returned(regs)};
  struct ws_python_context in = {.pid = pid, .generation = python->generation};
  if (!state || !born.address) return 0;
  in.address = ws_user_word(state + python->context);

  struct ws_ev_lineage fresh;
  const __u64 now = bpf_ktime_get_boot_ns();
  struct ws_ev_lineage *parent = NULL;
  if (in.address && in.address != born.address) {
    parent = bpf_map_lookup_elem(&ws_python_contexts, &in);
    if (!parent) parent = ws_python_met(&in, now - 1, &fresh);
  }
  __builtin_memset(&fresh, 0, sizeof(fresh));
  fresh.h.type = WS_EV_LINEAGE;
  fresh.h.pid = pid;
  fresh.task = now | WS_TASK_CONTEXT;
  if (parent) ws_inherit(&fresh, parent);
  struct ws_ev_lineage *old = bpf_map_lookup_elem(&ws_python_contexts, &born);
  if (old)
    *old = fresh;
  else if (bpf_map_update_elem(&ws_python_contexts, &born, &fresh, BPF_ANY))
    ws_count(WS_STAT_CONTEXT_MAP_FULL);
  return 0;
}

enum {
  WS_PY_TYPE = 8,       /* in an object */
  WS_PY_TYPE_NAME = 24, /* in a type: where its name stands. Both the same in all releases with a lock */
};

/* Whether the object is a concurrent.futures.thread._WorkItem. */
WS_INLINE bool ws_python_is_work(__u64 object) {
  __u64 name[2] = {};
  if (!object) return false;
  const __u64 at = ws_user_word(ws_user_word(object + WS_PY_TYPE) + WS_PY_TYPE_NAME);
  bpf_probe_read_user(name, 10, (void *)at);
  return name[0] == 0x6574496b726f575fULL && name[1] == 'm'; /* "_WorkIte", "m" */
}

WS_INLINE void ws_python_hand(struct ws_ev_handover *ev, __u32 tid) {
  ev->h.type = WS_EV_HANDOVER;
  ev->tid = tid;
  if (!ws_emit(ev, sizeof(*ev))) ws_thread_missed(tid, 1);
}

/* Counts what goes through queues: where it is too much, they are left alone (capture/python_probes). */
WS_INLINE const struct ws_python_process *ws_python_handing(__u32 pid) {
  struct ws_python_process *python = bpf_map_lookup_elem(&ws_python_processes, &pid);
  if (python) python->handed++;
  return python;
}

/* In which context somebody gives work away, or takes it. */
WS_INLINE void ws_python_actor(struct ws_ev_handover *ev, struct ws_thread *thread,
                               const struct ws_python_process *python) {
  const __u32 pid = ev->h.pid;
  const __u64 state = python ? ws_python_state(thread, python, ws_thread_pointer()) : 0;
  if (!python || !state) return;
  const struct ws_python_context key = ws_python_entered(state, python, pid);
  if (!key.address) return;
  struct ws_ev_lineage fresh;
  struct ws_ev_lineage *lineage = bpf_map_lookup_elem(&ws_python_contexts, &key);
  if (!lineage) lineage = ws_python_met(&key, ev->h.time, &fresh);
  if (!lineage) return;
  ws_python_tell(lineage);
  ev->task = lineage->task;
  ev->parent_task = lineage->ancestors[0];
}

/* Whether an operation on a queue is to be told, and as what; 0: it is not. */
WS_INLINE __u32 ws_queue_role(__u32 pid, __u64 queue, __u32 known, __u32 perhaps) {
  struct ws_python_deques *deques = bpf_map_lookup_elem(&ws_python_deques, &pid);
  if (!deques) return 0;
  deques->operations++;
  if (deques->callbacks == queue) return 0;
  for (__u32 i = 0; i < WS_PYTHON_DEQUES; ++i)
    if (deques->followed[i] == queue) return known;
  if (!deques->looks) return 0;
  deques->looks--;
  return perhaps;
}

/* SimpleQueue.put(self, args, count, names), at its entry. */
SEC("uprobe")
int python_gives(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_PYTHON);
  if (ws_gate_shut || ws_gate_no_wakeups) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  struct ws_thread *thread = ws_thread_of_target(me >> 32, (__u32)me);
  if (!thread) return 0;
  const struct ws_python_process *python = ws_python_handing(me >> 32);
  struct ws_ev_handover ev = {.h = {.pid = me >> 32, .time = bpf_ktime_get_boot_ns()}, .role = WS_GIVES};
  ev.object = ws_user_word(ws_second_argument(regs));
  ev.place = ws_first_argument(regs);
  if (!ws_python_is_work(ev.object)) ev.role = ws_queue_role(me >> 32, ev.place, WS_GIVES, WS_MAY_GIVE);
  if (!ev.role) return 0;
  ev.queued = ws_turn(thread, ev.h.time);
  if (ev.role == WS_GIVES) ws_python_actor(&ev, thread, python);
  ws_python_hand(&ev, (__u32)me);
  return 0;
}

/* What is taken from a queue that is not known, and is no piece of work of concurrent.futures: enum ws_handover_role,
 * 0: it is not to be told. */
WS_INLINE __u32 ws_python_took(__u32 pid) {
  struct ws_python_deques *queues = bpf_map_lookup_elem(&ws_python_deques, &pid);
  if (!queues) return 0;
  if (queues->takes_all) return WS_TAKES;
  if (!queues->looks) return 0;
  queues->looks--;
  return WS_MAY_TAKE;
}

/* SimpleQueue.get() and get_nowait(), where they return. What is not told is told as nothing, once, to whoever was last
 * told to have taken something. */
SEC("uprobe")
int python_takes(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_PYTHON);
  if (ws_gate_shut) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  struct ws_thread *thread = ws_thread_of_target(me >> 32, (__u32)me);
  if (!thread) return 0;
  ws_python_handing(me >> 32);
  const __u64 object = ws_returned(regs);
  __u32 role = 0;
  if (!ws_gate_no_wakeups && object) role = ws_python_is_work(object) ? WS_TAKES : ws_python_took(me >> 32);
  struct ws_ev_handover ev = {.h = {.pid = me >> 32, .time = bpf_ktime_get_boot_ns()}, .role = WS_TAKES};
  if (role != WS_TAKES && thread->took) ws_python_hand(&ev, (__u32)me);
  thread->took = role == WS_TAKES;
  if (!role) return 0;
  ev.role = role;
  ev.object = object;
  ws_python_hand(&ev, (__u32)me);
  return 0;
}

enum {
  WS_PY_FIRST_ELEMENT = 8, /* in struct BLOCK, behind the link to the one before it */
  WS_PY_BLOCK_SIZE = 64,   /* elements */
};

/* The start of dequeobject, the same since 3.4. */
struct ws_py_deque {
  __u64 references;
  __u64 type;
  __u64 size;
  __u64 left_block;
  __u64 right_block;
  __u64 left_index;
};

/* deque.append(self, item), at its entry. */
SEC("uprobe")
int python_appends(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_PYTHON);
  if (ws_gate_shut || ws_gate_no_wakeups) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 pid = me >> 32;
  const __u64 deque = ws_first_argument(regs);
  const __u32 role = ws_queue_role(pid, deque, WS_GIVES, WS_MAY_GIVE);
  struct ws_thread *thread = role ? ws_thread_of_target(pid, (__u32)me) : NULL;
  if (!thread) return 0;
  struct ws_ev_handover ev = {.h = {.pid = pid, .time = bpf_ktime_get_boot_ns()}, .role = role, .place = deque};
  ev.object = ws_second_argument(regs);
  ev.queued = ws_turn(thread, ev.h.time);
  ws_python_actor(&ev, thread, bpf_map_lookup_elem(&ws_python_processes, &pid));
  ws_python_hand(&ev, (__u32)me);
  return 0;
}

/* deque.popleft(self), at its entry: what it takes is the first element. The interpreter's lock is held until then. */
SEC("uprobe")
int python_pops(struct pt_regs *regs) {
  ws_trapped(WS_TRAP_PYTHON);
  if (ws_gate_shut || ws_gate_no_wakeups) return 0;
  const __u64 me = bpf_get_current_pid_tgid();
  const __u32 pid = me >> 32;
  const __u64 address = ws_first_argument(regs);
  const __u32 role = ws_queue_role(pid, address, WS_TAKES, WS_MAY_TAKE);
  struct ws_thread *thread = role ? ws_thread_of_target(pid, (__u32)me) : NULL;
  if (!thread) return 0;
  struct ws_py_deque deque = {};
  bpf_probe_read_user(&deque, sizeof(deque), (void *)address);
  struct ws_ev_handover ev = {.h = {.pid = pid, .time = bpf_ktime_get_boot_ns()}, .role = role, .place = address};
  if (deque.size && deque.left_index < WS_PY_BLOCK_SIZE)
    ev.object = ws_user_word(deque.left_block + WS_PY_FIRST_ELEMENT + deque.left_index * 8);
  /* Who finds nothing has ended what it took before: told once. */
  if (!ev.object && (role != WS_TAKES || !thread->took)) return 0;
  if (role == WS_TAKES) thread->took = ev.object != 0;
  ev.queued = deque.size;
  ws_python_actor(&ev, thread, bpf_map_lookup_elem(&ws_python_processes, &pid));
  ws_python_hand(&ev, (__u32)me);
  return 0;
}
