/* Which of its runtime's own tasks a thread runs: a goroutine, a Python context, a virtual thread of Java, a task of
 * tokio. Node's are told apart from what is done in them (core/node.h). */
#ifndef WIRESPAN_BPF_CORE_TASK_H
#define WIRESPAN_BPF_CORE_TASK_H

#include "bpf/core/goroutine.h"
#include "bpf/core/java.h"
#include "bpf/core/node.h"
#include "bpf/core/python.h"
#include "bpf/core/tokio.h"

static __noinline __attribute__((unused)) int ws_runtime_ask(struct ws_thread *thread, __u32 pid) {
  if (!thread) return 0;
  thread->runtime_epoch = ws_runtime_epoch;
  thread->runtime = bpf_map_lookup_elem(&ws_python_processes, &pid)  ? WS_RUNTIME_PYTHON
                    : bpf_map_lookup_elem(&ws_java_processes, &pid)  ? WS_RUNTIME_JAVA
                    : bpf_map_lookup_elem(&ws_node_processes, &pid)  ? WS_RUNTIME_NODE
                    : bpf_map_lookup_elem(&ws_tokio_processes, &pid) ? WS_RUNTIME_TOKIO
                                                                     : WS_RUNTIME_NONE;
  thread->state_searches = thread->state_at = thread->java_sort = 0;
  return ws_go_ask(thread, pid);
}

/* Global, so that the verifier looks at it once and not in every state of its caller: its searches through a process's
 * memory have many ends, and made four fifths of what a load cost. `word`: what names the task, see ws_set_task;
 * `stack`: pointer of a thread that sends to fd, else 0. */
__weak __noinline int ws_set_task_of(__u64 pid_tid, __u32 direction, __u64 word, __u64 stack, __u32 fd) {
  const __u32 pid = pid_tid >> 32;
  const __u32 tid = (__u32)pid_tid;
  struct ws_thread *thread = ws_thread_met(tid);
  if (!thread) return 0;
  const int m = thread->runtime_epoch != ws_runtime_epoch ? ws_runtime_ask(thread, pid) : 0;
#if defined(__TARGET_ARCH_x86)
  if (thread->go_g) ws_set_goroutine(thread, m, ws_user_word(word + thread->go_g));
  /* Elsewhere the thread pointer does not name the thread (struct pthread lies below). */
  if (thread->runtime == WS_RUNTIME_PYTHON)
    ws_set_context(thread, pid, word, direction);
  else if (thread->runtime == WS_RUNTIME_JAVA)
    ws_set_java_task(thread, pid, word, stack, fd);
  else if (thread->runtime == WS_RUNTIME_TOKIO)
    ws_set_tokio_task(thread, pid, word);
#else
  if (thread->go_g) ws_set_goroutine(thread, m, word);
#endif
  return 0;
}

/* Sets the task the calling thread runs. 0.2 us in a Go, Python, Java or tokio process, a comparison in others. */
WS_INLINE void ws_set_task(struct ws_thread *thread, __u32 pid, __u32 tid, struct task_struct *task,
                           struct pt_regs *regs, __u32 direction, const enum ws_how_to_load how) {
  if (thread->runtime_epoch == ws_runtime_epoch && !thread->go_g &&
      (thread->runtime == WS_RUNTIME_NONE || thread->runtime == WS_RUNTIME_NODE))
    return;
#if defined(__TARGET_ARCH_x86)
  const __u64 word = WS_LOAD(how, task, thread.fsbase);
  const bool sends = thread->runtime == WS_RUNTIME_JAVA && direction == WS_SENT;
  const __u64 stack = sends ? WS_LOAD(how, regs, sp) : 0;
  const __u32 fd = sends ? (__u32)WS_LOAD(how, regs, di) : 0;
#elif defined(__TARGET_ARCH_arm64)
  struct user_pt_regs *user = (struct user_pt_regs *)regs;
  const __u64 word = BPF_CORE_READ(user, regs[28]); /* g */
  const __u64 stack = 0;
  const __u32 fd = 0;
#endif
  ws_set_task_of((__u64)pid << 32 | tid, direction, word, stack, fd);
}

#endif
